use mesh_core::agent::RetryReason;

use super::*;
use crate::oracle::requests::*;

#[test]
fn a_request_that_ends_twice() {
    assert_eq!(broken("", |story| story.ended(2, 0, Outcome::Answered)), [ENDS_ONCE]);
}

#[test]
fn a_request_that_was_never_sent() {
    assert_eq!(broken("", |story| story.ended(2, 9, Outcome::TimedOut)), [ENDS_ONCE]);
}

#[test]
fn a_request_that_is_sent_twice() {
    let twice = broken("", |story| {
        story.due(5, 0);
        story.ended(5, 0, Outcome::TimedOut);
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
            story.oracles.ended(secs(10) + took, 1, &Outcome::TimedOut);
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
        story.ended(11, 1, Outcome::Answered);
    });
    assert_eq!(from_nowhere, [ANSWER_IS_WORK]);
}

/// A request through a-1, due at a time, is lost.
fn lost(story: &mut Story, request: u64, due: u64) {
    story.due(due, request);
    story.ended(due + 1, request, Outcome::Lost("reset"));
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

/// Whatever happened to the registry, both agents hold leases again afterwards.
fn restart_registry(story: &mut Story, history: impl FnOnce(&mut Story)) {
    history(story);
    story.oracles.registry_restarted(secs(150));
    for host in [A1, A2] {
        story.registry(secs(160), host, LIFE + 1, NoteKind::Granted);
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
        story.ended(101, 1, Outcome::Lost("reset"));
        story.ended(102, 2, Outcome::Lost("reset"));
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
            story.ended(101, 1, Outcome::Lost("connect"));
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
            story.ended(100, 1, Outcome::Refused(reason));
        })
    };
    for reason in ["job_failed", "shutting_down", "too_deep", "other_error", "outcome_unknown"] {
        assert_eq!(refused("", reason), [FOR_A_REASON], "{reason}");
    }
    assert_eq!(refused("", "busy"), [""; 0]);
    let impatient = "[delegation]\nattempt_timeout = \"1500ms\"\n";
    assert_eq!(refused(impatient, "outcome_unknown"), [""; 0]);
    let broken_connection = fault("crash", 50, Some(10), r#"hosts = "a-2""#);
    assert_eq!(refused(&broken_connection, "outcome_unknown"), [""; 0]);
}

/// The answered request 0, which was attempt 0, is worked on again.
fn again(extra: &str, announced: bool, attempt: u32) -> Vec<&'static str> {
    broken(extra, |story| {
        if announced {
            let reason = RetryReason::NoAnswer;
            story.notes(secs(2), A1, Note::Retrying { request: 0, attempt: 0, reason });
        }
        story.works(2, 0, attempt, Ending::Cancelled);
    })
}

#[test]
fn an_attempt_that_is_worked_on_twice() {
    assert_eq!(again("", false, 0), [WORKS_ONCE]);
    assert_eq!(again("", true, 0), [WORKS_ONCE], "a retry is another attempt");
}

#[test]
fn an_attempt_that_no_retry_announced() {
    assert_eq!(again("", false, 1), [RETRY_SAID]);
    assert_eq!(again("", true, 2), [RETRY_SAID]);
    assert_eq!(again("", true, 1), [""; 0]);
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
