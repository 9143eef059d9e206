//! Signals: each policy gets what it declares to need, and the agent makes no other calls for it.

use std::collections::BTreeSet;

use mesh_core::agent::{CallError, Failure, TriedPeers};
use mesh_core::protocol::Request;

use crate::driver::{Driver, config, job, lease, load, ms};

const LEAST_LOADED: &str = "least_loaded";

#[test]
fn no_signal_means_no_probe() {
    for policy in ["random", "round_robin"] {
        let mut driver = Driver::with_peers(config(policy), &["a", "b", "c"]);
        let ticket = driver.delegate(job());
        let peer = driver.only_peer();
        driver.work_answered(&peer);
        assert_eq!(driver.done_by(ticket), peer);
        driver.assert_idle();
    }
}

#[test]
fn own_counters_send_each_job_to_the_idler_of_two() {
    let policy = "power_of_two signal=own";
    let mut driver = Driver::with_peers(config(policy), &["a", "b"]);
    for _ in 0..6 {
        driver.delegate(job());
    }
    assert_eq!(driver.called(), ["a", "a", "a", "b", "b", "b"]);
    driver.work_answered("b");
    driver.delegate(job());
    assert_eq!(driver.called(), ["a", "a", "a", "b", "b", "b"], "b's answer freed its count");
}

#[test]
fn probes_of_all_find_the_least_loaded() {
    let mut driver = Driver::with_peers(config(LEAST_LOADED), &["a", "b", "c"]);
    let ticket = driver.delegate(job());
    assert_eq!(driver.called(), ["a", "b", "c"]);
    driver.probe_answered("b", load(50.0, 0));
    driver.probe_answered("a", load(70.0, 0));
    assert_eq!(driver.called(), ["c"], "the choice waits for every probe");
    driver.advance(ms(5));
    driver.probe_answered("c", load(20.0, 0));
    assert_eq!(driver.only_peer(), "c");
    driver.work_answered("c");
    assert_eq!(driver.done_by(ticket), "c");
    driver.assert_idle();
}

#[test]
fn power_of_two_probes_two() {
    let policy = "power_of_two";
    let mut driver = Driver::with_peers(config(policy), &["a", "b", "c", "d"]);
    let mut asked = BTreeSet::new();
    for _ in 0..30 {
        let ticket = driver.delegate(job());
        let called: Vec<String> = driver.called().into_iter().map(str::to_owned).collect();
        let [busier, idler] = &called[..] else { panic!("{called:?}") };
        driver.probe_answered(busier, load(0.0, 3));
        driver.probe_answered(idler, load(99.0, 2));
        driver.work_answered(idler);
        assert_eq!(driver.done_by(ticket), idler);
        asked.extend(called);
    }
    assert_eq!(asked.len(), 4, "every peer has its turn");
}

#[test]
fn reports_come_from_the_registry_without_a_call() {
    let policy = "least_loaded signal=reports";
    let mut leases = vec![lease("a"), lease("b"), lease("c")];
    for (lease, cpu) in leases.iter_mut().zip([40.0, 10.0, 20.0]) {
        lease.load = Some(load(cpu, 0));
    }
    let mut driver = Driver::with_leases(config(policy), leases);
    driver.delegate(job());
    assert_eq!(driver.only_peer(), "b");
    assert!(matches!(driver.take_call("b").request, Request::Work(_)));
}

#[test]
fn a_silent_peer_is_out_and_its_probe_abandoned() {
    let mut driver = Driver::with_peers(config(LEAST_LOADED), &["a", "b"]);
    let ticket = driver.delegate(job());
    driver.probe_answered("a", load(90.0, 0));
    driver.advance(ms(199));
    assert_eq!(driver.called(), ["b"], "the wait is not over");
    driver.advance(ms(1));
    assert_eq!(driver.only_peer(), "a", "b is abandoned, a has the job");
    driver.work_answered("a");
    assert_eq!(driver.done_by(ticket), "a");
    driver.assert_idle();
}

#[test]
fn a_failed_probe_does_not_wait_for_the_timeout() {
    let mut driver = Driver::with_peers(config(LEAST_LOADED), &["a", "b"]);
    driver.delegate(job());
    driver.probe_answered("a", load(90.0, 0));
    driver.fail("b", CallError::NotSent);
    assert_eq!(driver.only_peer(), "a");
}

#[test]
fn silence_all_round_asks_others_next() {
    let policy = "power_of_two";
    let mut settings = config(policy);
    // Probes take nothing of the retry budget, so an empty budget does not stop the second round.
    settings.delegation.retry.floor = 0.0;
    let mut driver = Driver::with_peers(settings, &["a", "b", "c"]);
    let ticket = driver.delegate(job());
    let silent: BTreeSet<String> = driver.called().into_iter().map(str::to_owned).collect();
    driver.advance(ms(200));
    let third = driver.only_peer();
    assert!(!silent.contains(&third));
    driver.probe_answered(&third, load(99.0, 9));
    driver.work_answered(&third);
    assert_eq!(driver.done_by(ticket), third);
}

#[test]
fn silence_of_everybody_is_no_reachable_peers() {
    let mut driver = Driver::with_peers(config(LEAST_LOADED), &["a", "b", "c"]);
    let ticket = driver.delegate(job());
    driver.advance(ms(200));
    let tried = TriedPeers { busy: 0, unreachable: 3 };
    assert_eq!(driver.failure(ticket), &Failure::NoReachablePeers(tried));
    driver.assert_idle();
}

#[test]
fn rounds_of_silence_are_bounded_by_the_attempts() {
    let policy = "power_of_two choices=1";
    let mut settings = config(policy);
    settings.delegation.max_attempts = 2;
    let mut driver = Driver::with_peers(settings, &["a", "b", "c"]);
    let ticket = driver.delegate(job());
    driver.advance(ms(400));
    let tried = TriedPeers { busy: 0, unreachable: 2 };
    assert_eq!(driver.failure(ticket), &Failure::RetriesExhausted(tried));
}

#[test]
fn a_probed_peer_that_says_it_is_shutting_down_was_reached() {
    let mut driver = Driver::with_peers(config(LEAST_LOADED), &["a", "b"]);
    let ticket = driver.delegate(job());
    driver.fail("a", CallError::Answered(Failure::ShuttingDown));
    driver.fail("b", CallError::NotSent);
    let tried = TriedPeers { busy: 1, unreachable: 1 };
    assert_eq!(driver.failure(ticket), &Failure::AllBusy(tried));
}
