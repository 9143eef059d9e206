//! Retries: which attempts are followed by another one, how many there may be, and the failure that
//! is answered when there are no more.

use std::sync::Arc;

use mesh_core::agent::{CallError, Failure, Note, RegistryReply, TriedPeers};
use mesh_core::jsonrpc::Error;
use mesh_core::protocol::{JobDetails, Reply, Task};
use mesh_core::resilience::RetryConfig;
use mesh_core::roster::{ListedLease, Listing};

use crate::driver::{Driver, RARELY, config, done_by, info, job, lease, load, ms};

const BUSY: CallError = CallError::Answered(Failure::Busy);
const STOPPING: CallError = CallError::Answered(Failure::ShuttingDown);

fn random() -> mesh_core::agent::AgentConfig {
    config("random")
}

/// Fails the only open call, and gives back its peer.
fn fail_next(driver: &mut Driver, error: CallError) -> String {
    let peer = driver.only_peer();
    driver.fail(&peer, error);
    peer
}

#[test]
fn a_job_that_demands_a_skill_goes_to_nobody_else() {
    let able =
        || lease("b").with_profile(["draw"].into_iter().collect::<mesh_core::skills::Skills>());
    let details = Arc::new(JobDetails { skill: Some("draw".into()), ..JobDetails::default() });
    let job = || Task { details: Some(details.clone()), ..job() };
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    let ticket = driver.delegate(job());
    assert_eq!(driver.failure(ticket), &Failure::NoSkill { skill: "draw".into() });
    // The agent has no skill itself, and says that it has not begun the job.
    let ticket = driver.work(job());
    assert!(driver.failure(ticket).is_refusal());

    let mut driver = Driver::with_leases(random(), vec![lease("a"), able(), lease("c")]);
    for _ in 0..20 {
        let ticket = driver.delegate(job());
        assert_eq!(driver.calls[0].task().skill().map(|skill| &**skill), Some("draw"));
        driver.work_answered("b");
        assert_eq!(driver.done_by(ticket), "b");
    }
    let ticket = driver.delegate(job());
    driver.fail("b", BUSY);
    let tried = TriedPeers { busy: 1, unreachable: 0 };
    assert_eq!(driver.failure(ticket), &Failure::AllBusy(tried), "a and c can't do it");
    driver.assert_idle();
}

#[test]
fn no_peers() {
    let mut driver = Driver::with_peers(random(), &[]);
    let ticket = driver.delegate(job());
    assert_eq!(driver.failure(ticket), &Failure::NoPeers);
    driver.assert_idle();
}

#[test]
fn it_never_delegates_to_itself_unless_told_to() {
    let mut driver = Driver::with_peers(random(), &["me"]);
    let ticket = driver.delegate(job());
    assert_eq!(driver.failure(ticket), &Failure::NoPeers);

    let mut settings = random();
    settings.delegation.to_self = true;
    let mut driver = Driver::with_peers(settings, &["me"]);
    let ticket = driver.delegate(job());
    driver.work_answered("me");
    assert_eq!(driver.done_by(ticket), "me");
}

#[test]
fn refusals_and_failed_connects_go_to_another_peer() {
    for error in [CallError::NotSent, BUSY, STOPPING] {
        let mut driver = Driver::with_peers(random(), &["a", "b"]);
        let ticket = driver.delegate(job());
        let first = fail_next(&mut driver, error);
        let second = driver.only_peer();
        assert_ne!(first, second);
        assert_eq!(driver.calls[0].task().attempt, 1);
        assert_eq!(driver.calls[0].task().request, job().request);
        driver.work_answered(&second);
        assert_eq!(driver.done_by(ticket), second);
        driver.assert_idle();
    }
}

#[test]
fn the_errors_tell_busy_from_unreachable() {
    let cases = [
        ([BUSY, STOPPING], Failure::AllBusy(TriedPeers { busy: 2, unreachable: 0 })),
        (
            [CallError::NotSent, CallError::NotSent],
            Failure::NoReachablePeers(TriedPeers { busy: 0, unreachable: 2 }),
        ),
        ([CallError::NotSent, BUSY], Failure::AllBusy(TriedPeers { busy: 1, unreachable: 1 })),
    ];
    for (errors, expected) in cases {
        let mut driver = Driver::with_peers(random(), &["a", "b"]);
        let ticket = driver.delegate(job());
        for error in errors {
            fail_next(&mut driver, error);
        }
        assert_eq!(driver.failure(ticket), &expected);
        driver.assert_idle();
    }
}

#[test]
fn attempts_are_bounded() {
    let mut settings = random();
    settings.delegation.max_attempts = 2;
    let mut driver = Driver::with_peers(settings, &["a", "b", "c"]);
    let ticket = driver.delegate(job());
    fail_next(&mut driver, BUSY);
    fail_next(&mut driver, BUSY);
    let tried = TriedPeers { busy: 2, unreachable: 0 };
    assert_eq!(driver.failure(ticket), &Failure::RetriesExhausted(tried));
    driver.assert_idle();
}

#[test]
fn retries_stay_within_a_tenth_and_the_floor() {
    let mut settings = random();
    settings.delegation.retry = RetryConfig { ratio: 0.1, floor: 2.0 };
    let mut driver = Driver::with_peers(settings, &["a", "b", "c"]);
    let retries = |driver: &mut Driver, delegations: u32| {
        let before = driver.notes.iter().filter(|note| is_retry(note)).count();
        for _ in 0..delegations {
            driver.delegate(job());
            while !driver.calls.is_empty() {
                fail_next(driver, BUSY);
            }
        }
        driver.notes.iter().filter(|note| is_retry(note)).count() - before
    };
    // The budget starts with one second of the floor, and 50 delegations add a tenth of 50.
    assert_eq!(retries(&mut driver, 50), 2 + 5);
    driver.advance(ms(1_000));
    assert_eq!(retries(&mut driver, 50), 2 + 5);
}

fn is_retry(note: &Note) -> bool {
    matches!(note, Note::Retrying { .. })
}

#[test]
fn an_empty_budget_is_an_error_of_its_own() {
    let mut settings = random();
    settings.delegation.retry = RetryConfig { ratio: 0.0, floor: 0.0 };
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let ticket = driver.delegate(job());
    fail_next(&mut driver, BUSY);
    let tried = TriedPeers { busy: 1, unreachable: 0 };
    assert_eq!(driver.failure(ticket), &Failure::RetriesExhausted(tried));
}

#[test]
fn what_was_never_begun_for_the_peers_own_reasons_costs_no_budget() {
    let mut settings = random();
    settings.delegation.retry = RetryConfig { ratio: 0.0, floor: 0.0 };
    let unavailable = CallError::Answered(Failure::Unavailable("no such file".into()));
    for error in [CallError::NotSent, STOPPING, unavailable] {
        let mut driver = Driver::with_peers(settings.clone(), &["a", "b"]);
        let ticket = driver.delegate(job());
        fail_next(&mut driver, error);
        let second = driver.only_peer();
        driver.work_answered(&second);
        assert_eq!(driver.done_by(ticket), second);
    }
}

#[test]
fn a_job_that_may_have_been_done_is_not_tried_again() {
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    let ticket = driver.delegate(job());
    let peer = fail_next(&mut driver, CallError::NoAnswer);
    assert_eq!(driver.failure(ticket), &Failure::OutcomeUnknown { peer });
    driver.assert_idle();
}

#[test]
fn unless_it_is_idempotent() {
    let mut settings = random();
    settings.delegation.attempt_timeout = Some(ms(500));
    for error in [CallError::NoAnswer, CallError::Answered(Failure::DeadlineExceeded)] {
        let mut driver = Driver::with_peers(settings.clone(), &["a", "b"]);
        let ticket = driver.delegate(Task { idempotent: true, ..job() });
        let first = fail_next(&mut driver, error);
        let second = driver.only_peer();
        assert_ne!(first, second);
        driver.work_answered(&second);
        assert_eq!(driver.done_by(ticket), second);
    }
}

#[test]
fn a_job_stopped_at_the_attempts_limit_may_have_done_a_part() {
    let mut settings = random();
    settings.delegation.attempt_timeout = Some(ms(500));
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let ticket = driver.delegate(job());
    let peer = fail_next(&mut driver, CallError::Answered(Failure::DeadlineExceeded));
    assert_eq!(driver.failure(ticket), &Failure::OutcomeUnknown { peer });
}

#[test]
fn failed_jobs_and_foreign_errors_pass_through() {
    let other = Failure::Other(Error::method_not_found());
    for failure in [Failure::JobFailed("no".into()), other, Failure::DeadlineExceeded] {
        let mut driver = Driver::with_peers(random(), &["a", "b"]);
        let ticket = driver.delegate(job());
        fail_next(&mut driver, CallError::Answered(failure.clone()));
        assert_eq!(driver.failure(ticket), &failure);
        driver.assert_idle();
    }
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error() {
    let mut driver = Driver::with_peers(random(), &["a"]);
    let ticket = driver.delegate(job());
    let call = driver.take_call("a");
    let info = info("a", load(0.0, 0));
    driver.end_call(call.id, Ok(Reply::Info(info)));
    assert_eq!(driver.failure(ticket).code(), -32603);
}

#[test]
fn late_and_second_results_are_ignored() {
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    let ticket = driver.delegate(job());
    let first = driver.only_peer();
    let call = driver.take_call(&first);
    driver.end_call(call.id, Err(BUSY));
    driver.end_call(call.id, done_by(&first));
    assert!(driver.is_open(ticket), "the first peer's call was over");
    let second = driver.only_peer();
    let call = driver.take_call(&second);
    driver.end_call(call.id, done_by(&second));
    driver.end_call(call.id, Err(CallError::NoAnswer));
    assert_eq!(driver.done_by(ticket), second);
    driver.assert_idle();
}

#[test]
fn a_peer_that_left_during_the_probes_costs_no_retry() {
    let mut settings = config("least_loaded");
    settings.delegation.retry = RetryConfig { ratio: 0.0, floor: 0.0 };
    settings.membership.refresh = ms(100);
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    driver.advance(ms(60));
    let ticket = driver.delegate(job());
    driver.probe_answered("a", load(1.0, 0));
    driver.advance(ms(60));
    let leases: Vec<ListedLease> = vec![lease("b")];
    driver.answer_registry(RegistryReply::Listed(Listing { epoch: 1, leases: leases.into() }));
    driver.probe_answered("b", load(99.0, 0));
    assert_eq!(driver.only_peer(), "b", "a was idler but is gone");
    assert_eq!(driver.calls[0].task().attempt, 0, "nothing was sent before");
    driver.work_answered("b");
    assert_eq!(driver.done_by(ticket), "b");
}

#[test]
fn a_peer_that_left_while_it_works_may_still_answer() {
    let mut settings = random();
    settings.membership.refresh = ms(100);
    let mut driver = Driver::with_peers(settings, &["a"]);
    let ticket = driver.delegate(job());
    driver.advance(ms(120));
    driver.answer_registry(RegistryReply::Listed(Listing { epoch: 1, leases: Vec::new().into() }));
    driver.work_answered("a");
    assert_eq!(driver.done_by(ticket), "a");
    driver.assert_idle();
}

#[test]
fn the_callers_own_numbers_cannot_make_it_panic() {
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    let ticket = driver.delegate(Task { attempt: u32::MAX, timeout: Some(RARELY), ..job() });
    fail_next(&mut driver, BUSY);
    fail_next(&mut driver, BUSY);
    assert_eq!(driver.failure(ticket).name(), "all_busy");
}
