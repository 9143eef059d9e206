//! Peers that fail are passed over for a while, then tried with one call at a time.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::agent::{AgentConfig, CallError, Failure, Note};
use mesh_core::jsonrpc::Error;
use mesh_core::protocol::{JobDetails, Request, Task};
use mesh_core::resilience::HealthConfig;
use mesh_core::skills::Skills;

use crate::driver::{Driver, config, done_by, job, lease, load, ms};

const POLICIES: [&str; 8] = [
    "random",
    "round_robin",
    "least_loaded",
    "least_loaded signal=reports",
    "weighted signal=reports",
    "power_of_two",
    "power_of_two signal=own",
    "shortest_queue signal=own",
];

/// Delegates one job and lets every probe be answered. Gives back the request's ticket and the peer
/// that has the job; that call is left open.
fn send(driver: &mut Driver) -> (u64, String) {
    let ticket = driver.delegate(job());
    let probes: Vec<String> = driver
        .calls
        .iter()
        .filter(|call| matches!(call.request, Request::Info))
        .map(|call| call.peer.clone())
        .collect();
    probes.iter().for_each(|peer| driver.probe_answered(peer, load(1.0, 0)));
    (ticket, driver.calls.last().expect("a call for work").peer.clone())
}

/// Delegates `jobs` jobs, 100 ms apart. The peer `sick` ends its jobs with `error`, and all others
/// do theirs. Gives back how often each peer was sent a job.
fn run(driver: &mut Driver, jobs: u32, sick: &str, error: &CallError) -> BTreeMap<String, u32> {
    let mut asked: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..jobs {
        let (ticket, mut peer) = send(driver);
        while driver.is_open(ticket) {
            *asked.entry(peer.clone()).or_default() += 1;
            let call = driver.take_call(&peer);
            let result = if peer == sick { Err(error.clone()) } else { done_by(&peer) };
            driver.end_call(call.id, result);
            for call in std::mem::take(&mut driver.calls) {
                match call.request {
                    Request::Info => {
                        driver.calls.push(call.clone());
                        driver.probe_answered(&call.peer, load(1.0, 0));
                    }
                    _ => driver.calls.push(call),
                }
            }
            peer = driver.calls.last().map(|call| call.peer.clone()).unwrap_or_default();
        }
        driver.advance(ms(100));
    }
    asked
}

fn failed(driver: &Driver) -> usize {
    driver.answers.values().filter(|answer| answer.is_err()).count()
}

#[test]
fn a_peer_that_can_do_nothing_costs_no_job_whatever_the_policy() {
    let unavailable = CallError::Answered(Failure::Unavailable("no such file".into()));
    for policy in POLICIES {
        for error in [CallError::NotSent, unavailable.clone()] {
            let mut driver = Driver::with_peers(config(policy), &["a", "b", "c"]);
            let asked = run(&mut driver, 300, "b", &error);
            assert_eq!(failed(&driver), 0, "{policy:?}");
            // The first failure, and the trials after 5 s and 15 s of the 30 s.
            let times = asked.get("b").copied().unwrap_or_default();
            assert!(times <= 3, "{policy:?}: {times} times");
        }
    }
}

#[test]
fn a_peer_that_fails_its_jobs_draws_few_of_them() {
    for policy in POLICIES {
        let failure = CallError::Answered(Failure::JobFailed("no".into()));
        let mut driver = Driver::with_peers(config(policy), &["a", "b", "c"]);
        run(&mut driver, 300, "b", &failure);
        // Three in a row, and one trial each after 5 s and 15 s.
        assert!(failed(&driver) <= 5, "{policy:?}: {}", failed(&driver));
    }
}

fn passed_over(driver: &Driver) -> Vec<(&str, &str, u128)> {
    let notes = driver.notes.iter().filter_map(|note| match note {
        Note::PassedOver { peer, reason, penalty } => {
            Some((&**peer, reason.name(), penalty.as_millis()))
        }
        _ => None,
    });
    notes.collect()
}

#[test]
fn the_penalty_doubles_up_to_its_limit_and_a_job_done_ends_it() {
    let mut settings = config("shortest_queue signal=own");
    settings.delegation.health =
        HealthConfig { max_failures: 1, min_penalty: ms(1_000), max_penalty: ms(3_000) };
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    run(&mut driver, 200, "a", &CallError::NotSent);
    let penalties: Vec<u128> =
        passed_over(&driver).iter().map(|(_, _, penalty)| *penalty).collect();
    assert_eq!(penalties[..4], [1_000, 2_000, 3_000, 3_000]);
    assert!(
        passed_over(&driver).iter().all(|(peer, reason, _)| (*peer, *reason) == ("a", "not_sent"))
    );
    assert!(!driver.notes.iter().any(|note| matches!(note, Note::Recovered { .. })));
    driver.advance(ms(3_000));
    driver.notes.clear();
    run(&mut driver, 100, "nobody", &CallError::NotSent);
    let recovered = |note: &&Note| matches!(note, Note::Recovered { peer } if &**peer == "a");
    assert_eq!(driver.notes.iter().filter(recovered).count(), 1);
    driver.notes.clear();
    run(&mut driver, 20, "a", &CallError::NotSent);
    assert_eq!(passed_over(&driver)[0].2, 1_000, "it starts anew");
}

#[test]
fn a_peer_that_says_when_it_takes_jobs_again_is_passed_over_until_then() {
    let limited = |after: u64| {
        let failure = Failure::Unavailable("HTTP status 429".into());
        CallError::Answered(failure.with_retry_after(Some(ms(after))))
    };
    let mut settings = config("shortest_queue signal=own");
    settings.delegation.health =
        HealthConfig { max_failures: 3, min_penalty: ms(5_000), max_penalty: ms(8_000) };
    for (asked, penalty) in [(1_500, 1_500), (20_000, 8_000), (0, 5_000)] {
        let mut driver = Driver::with_peers(settings.clone(), &["a", "b"]);
        run(&mut driver, 200, "a", &limited(asked));
        let over = passed_over(&driver);
        assert_eq!(over[0], ("a", "unavailable", penalty));
        let doubles = asked == 0;
        assert_eq!(over[1].2 != over[0].2, doubles, "{over:?}");
        assert_eq!(failed(&driver), 0);
    }
}

#[test]
fn while_one_call_tries_a_peer_nobody_else_does() {
    let settings = config("shortest_queue signal=own");
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let (_, first) = send(&mut driver);
    driver.fail(&first, CallError::NotSent);
    let other = driver.only_peer();
    driver.work_answered(&other);
    driver.advance(ms(5_000));
    let peers: Vec<String> = (0..8).map(|_| send(&mut driver).1).collect();
    assert_eq!(peers.iter().filter(|peer| **peer == first).count(), 1, "{peers:?}");
}

#[test]
fn a_cancelled_trial_leaves_the_peer_to_the_next() {
    let settings = config("shortest_queue signal=own");
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let (_, sick) = send(&mut driver);
    driver.fail(&sick, CallError::NotSent);
    let other = driver.only_peer();
    driver.work_answered(&other);
    driver.advance(ms(5_000));
    // One of two equal peers is drawn. If the cancelled trial did not free the peer that failed, it
    // would be drawn once and never again.
    let mut trials = 0;
    for _ in 0..40 {
        let (_, handle) = driver.request(Request::Delegate(job()));
        trials += u32::from(driver.only_peer() == sick);
        driver.agent.handle_cancel(driver.now, handle.expect("open"));
        driver.drain();
    }
    assert!(trials > 10, "{trials} of 40");
}

#[test]
fn a_job_that_fails_everywhere_empties_nobodys_list() {
    let failure = CallError::Answered(Failure::JobFailed("no".into()));
    let mut driver = Driver::with_peers(config("round_robin"), &["a", "b"]);
    for _ in 0..20 {
        let ticket = driver.delegate(job());
        let peer = driver.only_peer();
        driver.fail(&peer, failure.clone());
        assert_eq!(driver.failure(ticket).name(), "job_failed");
    }
    assert_eq!(passed_over(&driver).len(), 2);
}

#[test]
fn when_all_have_failed_the_first_that_does_a_job_does_not_get_all_of_them() {
    for policy in POLICIES {
        let mut driver = Driver::with_peers(config(policy), &["a", "b", "c"]);
        while passed_over(&driver).len() < 3 {
            let (_, peer) = send(&mut driver);
            driver.fail(&peer, CallError::NotSent);
            while let Some(call) = driver.calls.pop() {
                driver.end_call(call.id, Err(CallError::NotSent));
            }
        }
        let asked = run(&mut driver, 30, "nobody", &CallError::NotSent);
        assert_eq!(asked.len(), 3, "{policy:?}: {asked:?}");
    }
}

/// The agents that lack the skill, and do well, are no reason to pass over those that have it.
#[test]
fn the_first_with_a_skill_that_does_a_job_does_not_get_all_of_its_jobs() {
    let skill: Skills = ["draw"].into_iter().collect();
    let details = JobDetails { skill: Some("draw".into()), ..JobDetails::default() };
    let drawing = || Task { details: Some(details.clone().into()), ..job() };
    let peers = ["a", "b", "c", "d"].map(lease);
    let peers = peers.into_iter().map(|lease| match &*lease.name {
        "a" | "d" => lease,
        _ => lease.with_profile(skill.clone()),
    });
    let mut driver = Driver::with_leases(config("round_robin"), peers.collect());
    let ticket = driver.delegate(drawing());
    for _ in 0..2 {
        let peer = driver.only_peer();
        driver.fail(&peer, CallError::NotSent);
    }
    assert_eq!(driver.failure(ticket).name(), "no_reachable_peers");
    let retries = driver.notes.iter().filter(|note| matches!(note, Note::Retrying { .. }));
    assert_eq!(retries.count(), 1, "nobody else could be tried");
    let asked: BTreeSet<String> = (0..4)
        .map(|_| {
            driver.delegate(drawing());
            let peer = driver.only_peer();
            driver.work_answered(&peer);
            peer
        })
        .collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn failures_that_are_not_the_peers_do_not_count() {
    let not_found = Failure::Other(Error::method_not_found());
    for failure in [Failure::Busy, Failure::DeadlineExceeded, not_found] {
        let mut driver = Driver::with_peers(config("round_robin"), &["a", "b", "c"]);
        run(&mut driver, 60, "b", &CallError::Answered(failure.clone()));
        assert_eq!(passed_over(&driver), [], "{failure:?}");
    }
}

#[test]
fn a_success_in_between_forgets_failed_jobs() {
    let mut driver = Driver::with_peers(config("round_robin"), &["a", "b"]);
    let failure = CallError::Answered(Failure::JobFailed("no".into()));
    for round in 0..30 {
        let (_, peer) = send(&mut driver);
        match round % 6 {
            0..4 => driver.fail(&peer, failure.clone()),
            _ => driver.work_answered(&peer),
        }
    }
    assert_eq!(passed_over(&driver), []);
}

/// The peer b is silent: no call to it is ever answered.
#[test]
fn a_silent_peer_costs_at_most_three_probe_timeouts_until_its_lease_is_over() {
    for policy in ["least_loaded", "shortest_queue"] {
        let mut driver = Driver::with_peers(config(policy), &["a", "b", "c"]);
        let mut slow = 0;
        for _ in 0..1_500 {
            let before = driver.now;
            // Two delegations at once: when one finds that b is silent, the other stops waiting.
            let tickets = [driver.delegate(job()), driver.delegate(job())];
            while tickets.iter().any(|ticket| driver.is_open(*ticket)) {
                let next = driver.calls.iter().find(|call| call.peer != "b").cloned();
                match next.map(|call| (call.peer, call.request)) {
                    Some((peer, Request::Info)) => driver.probe_answered(&peer, load(1.0, 0)),
                    Some((peer, _)) => driver.work_answered(&peer),
                    None => driver.advance(ms(10)),
                }
            }
            slow += u32::from(driver.now > before);
            driver.advance(ms(20));
        }
        assert_eq!(failed(&driver), 0);
        assert!((1..=3).contains(&slow), "{policy:?}: {slow} waits");
    }
}

#[test]
fn it_can_be_switched_off() {
    let mut settings: AgentConfig = config("round_robin");
    settings.delegation.health.max_failures = 0;
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let asked = run(&mut driver, 40, "b", &CallError::NotSent);
    assert!(asked["b"] >= 20, "every other job at least: {asked:?}");
    assert_eq!(passed_over(&driver), []);
}

#[test]
fn a_deadline_without_an_answer_counts_as_a_failure() {
    let mut driver = Driver::with_peers(config("round_robin"), &["a", "b"]);
    for _ in 0..6 {
        driver.delegate(Task { timeout: Some(ms(100)), ..job() });
        if driver.only_peer() == "a" {
            driver.work_answered("a");
        }
        driver.advance(ms(200));
    }
    assert_eq!(passed_over(&driver), [("b", "no_answer", 5_000)]);
}
