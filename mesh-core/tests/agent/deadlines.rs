//! Deadlines: they hold in every stage of a request, and a peer gets what is left of them. And the
//! bounds on depth and on open delegations.

use std::time::Duration;

use mesh_core::agent::{AgentConfig, CallError, Failure, TriedPeers};
use mesh_core::protocol::{Reply, Task, WorkReply};

use crate::driver::{Driver, at, config, job, load, ms, output};

fn probing() -> AgentConfig {
    config("least_loaded")
}

fn random() -> AgentConfig {
    config("random")
}

#[test]
fn while_probing() {
    let mut driver = Driver::with_peers(probing(), &["a", "b"]);
    let ticket = driver.delegate(Task { timeout: Some(ms(50)), ..job() });
    assert!(driver.calls.iter().all(|call| call.until == at(ms(50))), "not after the deadline");
    driver.advance(ms(49));
    assert!(driver.is_open(ticket));
    driver.advance(ms(1));
    assert_eq!(driver.failure(ticket), &Failure::DeadlineExceeded);
    driver.assert_idle();
}

#[test]
fn while_working() {
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    let ticket = driver.delegate(Task { idempotent: true, ..job() });
    driver.advance(ms(999));
    assert!(driver.is_open(ticket));
    driver.advance(ms(1));
    assert_eq!(driver.failure(ticket), &Failure::DeadlineExceeded, "no time to retry");
    driver.assert_idle();
}

#[test]
fn of_running_and_queued_jobs() {
    let mut driver = Driver::with_peers(random(), &[]);
    let running = driver.work(job());
    let queued = driver.work(Task { timeout: Some(ms(500)), ..job() });
    driver.advance(ms(500));
    assert_eq!(driver.failure(queued), &Failure::DeadlineExceeded);
    assert!(driver.is_open(running));
    assert!(driver.stopped.is_empty(), "it never ran");
    driver.advance(ms(500));
    assert_eq!(driver.failure(running), &Failure::DeadlineExceeded);
    assert_eq!(driver.stopped.len(), 1);
    driver.assert_idle();
}

#[test]
fn of_jobs_that_expire_together_starts_none_of_them() {
    let mut settings = random();
    settings.admission.queue = 100_000;
    let mut driver = Driver::with_peers(settings, &[]);
    for _ in 0..100_001 {
        driver.work(job());
    }
    driver.advance(ms(1_000));
    assert_eq!(driver.answers.len(), 100_001);
    assert_eq!(driver.stopped.len(), 1, "only the first ran");
    driver.assert_idle();
}

#[test]
fn default_timeouts_apply_where_the_caller_names_none() {
    let mut driver = Driver::with_peers(random(), &["a"]);
    let job = Task { timeout: None, ..job() };
    let tickets = [driver.work(job.clone()), driver.delegate(job)];
    driver.advance(ms(4_999));
    assert!(tickets.iter().all(|ticket| driver.is_open(*ticket)));
    driver.advance(ms(1));
    for ticket in tickets {
        assert_eq!(driver.failure(ticket), &Failure::DeadlineExceeded);
    }
}

#[test]
fn an_attempt_may_end_before_the_deadline() {
    let mut settings = random();
    settings.delegation.attempt_timeout = Some(ms(300));
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let unsafe_to_repeat = driver.delegate(job());
    let first = driver.only_peer();
    driver.advance(ms(300));
    let failure = Failure::OutcomeUnknown { peer: first };
    assert_eq!(driver.failure(unsafe_to_repeat), &failure);

    let ticket = driver.delegate(Task { idempotent: true, ..job() });
    let first = driver.only_peer();
    driver.advance(ms(300));
    let second = driver.only_peer();
    assert_ne!(first, second, "the first call is abandoned");
    driver.advance(ms(300));
    let tried = TriedPeers { busy: 0, unreachable: 2 };
    assert_eq!(driver.failure(ticket), &Failure::NoReachablePeers(tried));
    driver.assert_idle();
}

#[test]
fn the_peer_gets_what_is_left() {
    let mut driver = Driver::with_peers(probing(), &["a", "b"]);
    driver.delegate(job());
    driver.advance(ms(40));
    driver.probe_answered("a", load(10.0, 0));
    driver.advance(ms(60));
    driver.probe_answered("b", load(90.0, 0));
    let call = driver.take_call("a");
    // 1,000 ms less 100 ms of probing and the 40 ms of a's own round trip.
    assert_eq!(call.task().timeout, Some(ms(860)));
    assert_eq!(call.until, at(ms(1_000)));
    assert_eq!(call.task().depth, 1);
}

#[test]
fn a_retry_gets_what_is_left() {
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    driver.delegate(job());
    driver.advance(ms(700));
    let first = driver.only_peer();
    driver.fail(&first, CallError::NotSent);
    assert_eq!(driver.calls[0].task().timeout, Some(ms(300)));
}

#[test]
fn one_slow_round_trip_does_not_bar_a_peer_for_ever() {
    let mut driver = Driver::with_peers(random(), &["a"]);
    let slow = driver.delegate(Task { timeout: Some(ms(3_000)), ..job() });
    driver.advance(ms(2_000));
    driver.work_answered("a");
    assert_eq!(driver.done_by(slow), "a");

    let ticket = driver.delegate(job());
    assert_eq!(driver.calls[0].task().timeout, Some(ms(500)), "half of it is the peer's to spend");
    driver.advance(ms(10));
    driver.work_answered("a");
    assert_eq!(driver.done_by(ticket), "a");
    driver.delegate(job());
    assert_eq!(driver.calls[0].task().timeout, Some(ms(990)), "measured anew");
}

#[test]
fn the_peers_own_time_is_no_round_trip() {
    let mut driver = Driver::with_peers(random(), &["a"]);
    driver.delegate(job());
    driver.advance(ms(500));
    let call = driver.take_call("a");
    let latency = ms(470);
    let reply = WorkReply { agent: "a".into(), result: output(), latency };
    driver.end_call(call.id, Ok(Reply::Work(reply)));
    driver.delegate(job());
    assert_eq!(driver.calls[0].task().timeout, Some(ms(970)));
}

#[test]
fn no_time_at_all() {
    for settings in [random(), probing()] {
        let mut driver = Driver::with_peers(settings, &["a"]);
        let ticket = driver.delegate(Task { timeout: Some(Duration::ZERO), ..job() });
        driver.advance(Duration::ZERO);
        assert_eq!(driver.failure(ticket), &Failure::DeadlineExceeded);
        driver.assert_idle();
    }
}

#[test]
fn all_the_time_in_the_world() {
    let mut driver = Driver::with_peers(random(), &["a"]);
    let ticket = driver.delegate(Task { timeout: Some(Duration::MAX), ..job() });
    driver.advance(ms(3_600_000));
    assert!(driver.is_open(ticket));
}

#[test]
fn depth_is_bounded() {
    let mut settings = random();
    settings.admission.max_depth = 2;
    let mut driver = Driver::with_peers(settings, &["a"]);
    let ticket = driver.delegate(Task { depth: 2, ..job() });
    assert_eq!(driver.failure(ticket), &Failure::TooDeep { max: 2 });
    driver.delegate(Task { depth: 1, ..job() });
    assert_eq!(driver.calls[0].task().depth, 2);
}

#[test]
fn open_delegations_are_bounded() {
    let mut settings = random();
    settings.delegation.max_open = 2;
    let mut driver = Driver::with_peers(settings, &["a"]);
    driver.delegate(job());
    driver.delegate(job());
    let ticket = driver.delegate(job());
    assert_eq!(driver.failure(ticket), &Failure::Busy);
}
