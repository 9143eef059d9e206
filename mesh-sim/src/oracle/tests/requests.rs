use mesh_core::agent::{FailureKind, RetryReason};

use super::*;
use crate::journal::{ConnectionFailure, RequestRefusal, SentAgain};
use crate::oracle::requests::*;

#[test]
fn a_request_that_ends_twice() {
    assert_eq!(broken("", |story| story.ended(secs(2), 0, RequestOutcome::Answered)), [ENDS_ONCE]);
}

#[test]
fn a_request_that_was_never_sent() {
    assert_eq!(broken("", |story| story.ended(secs(2), 9, RequestOutcome::TimedOut)), [ENDS_ONCE]);
}

#[test]
fn a_request_that_is_sent_twice() {
    let twice = broken("", |story| {
        story.due(5, 0);
        story.ended(secs(5), 0, RequestOutcome::TimedOut);
    });
    assert_eq!(twice, [ENDS_ONCE]);
}

#[test]
fn a_request_that_never_ends() {
    assert_eq!(broken("", |story| story.due(5, 1)), [ENDS_ONCE]);
}

#[test]
fn a_request_that_ends_after_its_deadline() {
    let ends_after = |took: Duration| {
        broken("", |story| {
            story.due(10, 1);
            story.ended(secs(10) + took, 1, RequestOutcome::TimedOut);
        })
    };
    let latest = Duration::from_secs(5) + RESOLUTION;
    assert_eq!(ends_after(latest), [""; 0]);
    assert_eq!(ends_after(latest + Duration::from_nanos(1)), [IN_TIME]);
}

#[test]
fn an_answer_to_a_request_that_nobody_worked_on() {
    let from_nowhere = broken("", |story| {
        story.due(10, 1);
        story.works(10, 1, 0, Ending::Cancelled);
        story.ended(secs(11), 1, RequestOutcome::Answered);
    });
    assert_eq!(from_nowhere, [ANSWER_IS_WORK]);
}

/// A request through a-1, due at a time, is lost.
fn lost(story: &mut Story, request: u64, due: u64) {
    story.due(due, request);
    story.ended(secs(due + 1), request, RequestOutcome::Lost(ConnectionFailure::Reset));
}

#[test]
fn a_request_that_is_lost_without_a_fault() {
    assert_eq!(broken("", |story| lost(story, 1, 100)), [LOST_TO_A_FAULT]);
}

#[test]
fn only_a_fault_between_client_and_entry_explains_a_loss() {
    let partition = |groups| fault("partition", 90, Some(60), groups);
    for elsewhere in [
        partition(r#"groups = ["client", "a-2"]"#),
        partition(r#"groups = ["a-1", ["a-2", "registry"]]"#),
        fault("crash", 90, Some(60), r#"hosts = ["a-2", "registry"]"#),
        fault("slow_down", 90, Some(60), "agents = \"a-1\"\nfactor = 0.1"),
    ] {
        let settled = |story: &mut Story| lost(story, 1, 100);
        let found = broken(&elsewhere, |story| restart_registry(story, settled));
        assert_eq!(found, [LOST_TO_A_FAULT], "{elsewhere}");
    }
    for here in [
        partition(r#"groups = ["client", "a-1"]"#),
        fault("hold", 90, Some(60), r#"between = ["*", "*"]"#),
        fault("crash", 90, Some(60), r#"hosts = "a-1""#),
    ] {
        assert_eq!(broken(&here, |story| lost(story, 1, 100)), [""; 0], "{here}");
    }
}

/// After `history` the registry restarts and both agents get leases, whatever happened to them.
fn restart_registry(story: &mut Story, history: impl FnOnce(&mut Story)) {
    history(story);
    story.registry_restarts(150);
    for host in [A1, A2] {
        story.registry(secs(160), host, LIFE + 1, LeaseNoteKind::Granted);
    }
}

#[test]
fn a_fault_that_is_yet_to_come_explains_nothing() {
    let later = fault("crash", 200, Some(5), r#"hosts = "a-1""#);
    assert_eq!(broken(&later, |story| lost(story, 1, 100)), [LOST_TO_A_FAULT]);
}

#[test]
fn a_broken_connection_is_discovered_once() {
    let crash = fault("crash", 50, Some(10), r#"hosts = "a-1""#);
    let together = broken(&crash, |story| {
        story.due(100, 1);
        story.due(101, 2);
        story.ended(secs(101), 1, RequestOutcome::Lost(ConnectionFailure::Reset));
        story.ended(secs(102), 2, RequestOutcome::Lost(ConnectionFailure::Reset));
    });
    assert_eq!(together, [""; 0], "both were sent before the first was lost");
    let again = broken(&crash, |story| {
        lost(story, 1, 100);
        lost(story, 2, 110);
    });
    assert_eq!(again, [LOST_TO_A_FAULT]);
}

#[test]
fn a_way_as_slow_as_a_connect_may_take_breaks_by_itself() {
    let connect = |latency: &str| {
        let network = format!("[network]\nlatency = {latency:?}\n");
        broken(&network, |story| {
            story.due(100, 1);
            story.ended(secs(101), 1, RequestOutcome::Lost(ConnectionFailure::Connect));
        })
    };
    assert_eq!(connect("490ms"), [LOST_TO_A_FAULT]);
    assert_eq!(connect("500ms"), [""; 0]);
}

#[test]
fn a_refusal_without_a_reason() {
    let refused = |extra: &str, reason| {
        broken(extra, |story| {
            story.due(100, 1);
            story.ended(secs(100), 1, RequestOutcome::Refused(reason));
        })
    };
    for kind in [
        FailureKind::DeadlineExceeded,
        FailureKind::OutcomeUnknown,
        FailureKind::TooDeep,
        FailureKind::ShuttingDown,
        FailureKind::JobFailed,
        FailureKind::Unavailable,
        FailureKind::Other,
    ] {
        assert_eq!(refused("", RequestRefusal::Failed(kind)), [FOR_A_REASON], "{kind:?}");
    }
    for refusal in [
        RequestRefusal::Failed(FailureKind::Busy),
        RequestRefusal::Failed(FailureKind::NoPeers),
        RequestRefusal::Failed(FailureKind::NoReachablePeers),
        RequestRefusal::Failed(FailureKind::AllBusy),
        RequestRefusal::Failed(FailureKind::RetriesExhausted),
        RequestRefusal::RetriesExhaustedBusy,
        RequestRefusal::RetriesExhaustedUnreachable,
    ] {
        assert_eq!(refused("", refusal), [""; 0], "{refusal:?}");
    }
    let outcome_unknown = RequestRefusal::Failed(FailureKind::OutcomeUnknown);
    let impatient = "[delegation]\nattempt_timeout = \"1500ms\"\n";
    assert_eq!(refused(impatient, outcome_unknown), [""; 0]);
    let broken_connection = fault("crash", 50, Some(10), r#"hosts = "a-2""#);
    assert_eq!(refused(&broken_connection, outcome_unknown), [""; 0]);
}

/// a-1 announces this many retries of request 0, whose attempt 0 was answered; then `history` goes
/// on.
fn retried(retries: u32, history: impl FnOnce(&mut Story)) -> Vec<&'static str> {
    broken("", |story| {
        for attempt in 0..retries {
            let reason = RetryReason::NoAnswer;
            story.notes(secs(2), A1, Note::Retrying { request: 0, attempt, reason });
        }
        history(story);
    })
}

#[test]
fn an_attempt_that_is_worked_on_twice() {
    let again = |story: &mut Story| story.begins(2, 0, 0, Ending::Cancelled);
    assert_eq!(retried(0, again), [WORKS_ONCE]);
    assert_eq!(retried(1, again), [WORKS_ONCE], "a retry is another attempt");
}

#[test]
fn an_attempt_that_no_retry_announced() {
    let works = |attempt| move |story: &mut Story| story.works(2, 0, attempt, Ending::Cancelled);
    assert_eq!(retried(0, works(1)), [RETRY_SAID]);
    assert_eq!(retried(1, works(2)), [RETRY_SAID]);
    assert_eq!(retried(1, works(1)), [""; 0]);
}

#[test]
fn an_attempt_that_was_not_sent_or_was_sent_twice() {
    let begins = |story: &mut Story| story.begins(2, 0, 1, Ending::Cancelled);
    assert_eq!(retried(1, begins), [SENT_FIRST]);
    assert_eq!(broken("", |story| story.begins(2, 9, 0, Ending::Cancelled)), [SENT_FIRST]);
    let twice = |attempt| {
        move |story: &mut Story| {
            for _ in 0..2 {
                let (peer, incarnation) = (name(A2), LIFE);
                let sent = Note::Routed { request: 0, attempt, peer, incarnation };
                story.notes(secs(2), A1, sent);
            }
        }
    };
    assert_eq!(retried(1, twice(1)), [SENT_ONCE]);
    assert_eq!(retried(1, twice(0)), [SENT_ONCE, SENT_ONCE], "it had been sent before");
}

#[test]
fn attempts_may_be_open_side_by_side() {
    let side_by_side = |story: &mut Story| {
        for attempt in [1, 2] {
            let (peer, incarnation) = (name(A2), LIFE);
            story.notes(secs(2), A1, Note::Routed { request: 0, attempt, peer, incarnation });
        }
        story.begins(2, 0, 2, Ending::Cancelled);
        story.begins(2, 0, 1, Ending::Cancelled);
    };
    assert_eq!(retried(2, side_by_side), [""; 0]);
}

#[test]
fn a_request_that_is_not_idempotent_and_done_twice() {
    let done_again = |text: &str| {
        broken(text, |story| {
            let reason = RetryReason::NoAnswer;
            story.notes(secs(2), A1, Note::Retrying { request: 0, attempt: 0, reason });
            story.works(2, 0, 1, Ending::Done);
        })
    };
    assert_eq!(done_again(""), [DONE_ONCE]);
    // The end of SCENARIO is its workload.
    assert_eq!(done_again("idempotent = true\n"), [""; 0]);
}

/// The client sends request 1, which is due at 100 s, to a-2 one second later, because it could not
/// connect to a-1.
fn sent_again(extra: &str, attempt: u32, history: impl FnOnce(&mut Story)) -> Vec<&'static str> {
    broken(extra, |story| {
        story.due(100, 1);
        let again = Fact::RequestSentAgain {
            request: 1,
            due: secs(100),
            how: SentAgain::Failover,
            after: RequestOutcome::Lost(ConnectionFailure::Connect),
            entry: A2,
            attempt,
            pause: Duration::ZERO,
        };
        story.happens(secs(101), HostId::CLIENT, again);
        history(story);
    })
}

#[test]
fn each_try_of_a_request_fails_for_a_reason_of_its_own() {
    let ends = |outcome| move |story: &mut Story| story.ended(secs(102), 1, outcome);
    let not_busy = RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::NoPeers));
    let unconnected = RequestOutcome::Lost(ConnectionFailure::Connect);
    let down = |host: &str| fault("crash", 99, Some(1), &format!("hosts = \"{host}\""));
    assert_eq!(sent_again("", 0, ends(not_busy)), [LOST_TO_A_FAULT]);
    assert_eq!(sent_again(&down("a-1"), 0, ends(not_busy)), [""; 0]);
    assert_eq!(sent_again(&down("a-1"), 0, ends(unconnected)), [LOST_TO_A_FAULT], "a-2 is up");
    assert_eq!(sent_again(&down("a-*"), 0, ends(unconnected)), [""; 0]);
}

#[test]
fn a_request_that_is_sent_again_after_its_end() {
    let end = |story: &mut Story| {
        story.ended(secs(102), 1, RequestOutcome::TimedOut);
        let again = Fact::RequestSentAgain {
            request: 1,
            due: secs(100),
            how: SentAgain::Retry,
            after: RequestOutcome::TimedOut,
            entry: A1,
            attempt: 3,
            pause: Duration::from_secs(1),
        };
        story.happens(secs(102), HostId::CLIENT, again);
    };
    assert_eq!(sent_again(&fault("crash", 99, Some(1), "hosts = \"a-1\""), 0, end), [ENDS_ONCE]);
}

#[test]
fn a_client_announces_the_attempts_of_its_retries() {
    let crash = fault("crash", 99, Some(1), "hosts = \"a-1\"");
    let works = |attempt| {
        move |story: &mut Story| {
            story.works(101, 1, attempt, Ending::Done);
            story.ended(secs(102), 1, RequestOutcome::Answered);
        }
    };
    assert_eq!(sent_again(&crash, 3, works(3)), [""; 0]);
    assert_eq!(sent_again(&crash, 3, works(4)), [RETRY_SAID]);
}
