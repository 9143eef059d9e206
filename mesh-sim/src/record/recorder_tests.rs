use mesh_core::agent::FailureKind;

use super::*;
use crate::journal::{ConnectionFailure, RequestRefusal, TIMED_OUT};

const MS: u64 = 1_000_000;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * MS)
}

/// Warm-up 1 s, arrivals for 4 s, drain 1 s, deadline 2 s, a fault from 2 s to 3 s.
fn recorder() -> Recorder {
    Recorder::new(RecorderConfig {
        policy: "random".to_owned(),
        seed: 42,
        wait_speeds: vec![1.0; 2],
        job_delay: Duration::ZERO,
        has_phases: true,
        has_sends: true,
        warm_up: Duration::from_secs(1),
        duration: Duration::from_secs(4),
        drain: Duration::from_secs(1),
        deadlines: vec![Duration::from_secs(2)],
        windows: vec![FaultWindow {
            label: "crash 2-3 s".to_owned(),
            detail: "agent-1".to_owned(),
            from: at_ms(2000),
            until: at_ms(3000),
        }],
    })
}

fn run(requests: &[(u64, u64, RequestOutcome)]) -> RunRecord {
    let mut recorder = recorder();
    for &(intended, at, outcome) in requests {
        recorder.due(at_ms(intended));
        recorder.ended(at_ms(intended), 0, at_ms(at), outcome);
    }
    recorder.finish(7, 8, Vec::new())
}

#[test]
fn the_warm_up_is_on_the_time_line_only() {
    let record =
        run(&[(999, 1005, RequestOutcome::Answered), (1000, 1010, RequestOutcome::Answered)]);
    assert_eq!(record.requests.sent, 1);
    assert_eq!(record.latency.max_ns(), 10 * MS);
    assert_eq!(record.timeline.iter().map(|second| second.due).sum::<u64>(), 2);
    assert_eq!(record.timeline[1].ended.answered, 2);
    assert_eq!((record.event_hash, record.events), (7, 8));
}

#[test]
fn a_request_without_an_answer_counts_with_its_whole_deadline() {
    let record = run(&[
        (1000, 1001, RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy))),
        (1000, 1002, RequestOutcome::Lost(ConnectionFailure::Reset)),
        (1000, 1003, RequestOutcome::Answered),
        (1000, 3000, RequestOutcome::TimedOut),
    ]);
    assert_eq!(record.latency.count(), 4);
    assert_eq!(record.latency.min_ns(), 3 * MS);
    assert_eq!(record.latency.quantile_ns(0.5), 2000 * MS);
    let expected = OutcomeCounts { sent: 4, answered: 1, refused: 1, timed_out: 1, lost: 1 };
    assert_eq!(record.requests, expected);
    assert_eq!(record.requests.failed(), 3);
    let failures: Vec<_> = record.failures.into_iter().collect();
    assert_eq!(failures, [("busy", 1), ("reset", 1), (TIMED_OUT, 1)]);
}

#[test]
fn failures_are_counted_by_the_fault_that_the_request_met() {
    let record = run(&[
        (1500, 1999, RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy))),
        (2000, 2001, RequestOutcome::Answered),
        (2999, 3500, RequestOutcome::Lost(ConnectionFailure::Reset)),
        (3000, 3600, RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy))),
    ]);
    let [inside, outside] = record.by_window.as_slice() else { panic!("one window and the rest") };
    assert_eq!((inside.requests.sent, inside.requests.lost), (2, 1));
    assert_eq!(inside.failures.get("reset"), Some(&1));
    assert_eq!((outside.requests.sent, outside.failures["busy"]), (2, 2));
}

#[test]
fn each_second_has_quantiles_of_its_own_answers() {
    let record = run(&[
        (1000, 1100, RequestOutcome::Answered),
        (1000, 1200, RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy))),
        (3000, 3020, RequestOutcome::Answered),
    ]);
    let p50s: Vec<_> = record.timeline.iter().map(|second| second.p50_ns / MS).collect();
    assert_eq!(p50s, [0, 100, 0, 20, 0]);
    assert_eq!(record.timeline[1].p99_ns, 100 * MS);
}

#[test]
fn in_flight_is_what_was_due_and_has_not_ended() {
    let mut recorder = recorder();
    recorder.due(at_ms(100));
    recorder.due(at_ms(1100));
    recorder.ended(at_ms(100), 0, at_ms(2000), RequestOutcome::Answered);
    // The very end of the run belongs to its last second.
    recorder.ended(at_ms(1100), 0, at_ms(5000), RequestOutcome::TimedOut);
    let record = recorder.finish(0, 0, Vec::new());
    let in_flight: Vec<_> = record.timeline.iter().map(|second| second.in_flight).collect();
    assert_eq!(in_flight, [1, 2, 1, 1, 0]);
}

#[test]
fn work_and_cpu_are_kept_per_agent() {
    let mut recorder = recorder();
    recorder.worked(at_ms(999), AgentId::new(0));
    recorder.worked(at_ms(1000), AgentId::new(0));
    recorder.worked(at_ms(1000), AgentId::new(1));
    recorder.cpu(at_ms(2000), at_ms(2900), AgentId::new(1), 30.0);
    recorder.cpu(at_ms(2900), at_ms(3000), AgentId::new(1), 55.0);
    let record = recorder.finish(0, 0, Vec::new());
    assert_eq!(record.work_per_agent, [1, 1]);
    assert_eq!(record.timeline[2].cpu_percent, [0.0, 32.5]);
}

#[test]
#[should_panic(expected = "an outcome at")]
#[cfg(debug_assertions)]
fn outcomes_out_of_order_are_a_bug_of_the_engine() {
    run(&[(1000, 1100, RequestOutcome::Answered), (1000, 1099, RequestOutcome::Answered)]);
}

#[test]
fn tries_of_requests_in_the_warm_up_do_not_count() {
    let mut recorder = recorder();
    recorder.sent_again(at_ms(999), SentAgain::Retry);
    recorder.sent_again(at_ms(1000), SentAgain::Retry);
    recorder.sent_again(at_ms(1000), SentAgain::Failover);
    let record = recorder.finish(0, 0, Vec::new());
    assert_eq!(record.sent_again, SentAgainCounts { failovers: 1, retries: 1 });
}
