//! A made-up story, with everything in it that a picture can show.

use mesh_core::Timestamp;

use crate::replay::{FailureStory, MessageFate, StoryEvent, StoryFault, StoryMessage, StoryStep};

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn event(ms: u64, host: &str, words: &str, note: &str, step: StoryStep) -> StoryEvent {
    let event = if note.is_empty() { "routed" } else { "noted" };
    StoryEvent {
        at: at(ms),
        host: host.into(),
        words: words.to_owned(),
        note: note.to_owned(),
        step,
        message: None,
        json: format!("{{\"at_ms\":{ms}.000000,\"host\":\"{host}\",\"event\":\"{event}\"}}"),
    }
}

fn sends(mut event: StoryEvent, to: &str, label: &str, fate: MessageFate) -> StoryEvent {
    let (to, label) = (to.into(), label.to_owned());
    event.message = Some(StoryMessage { to, sent: event.at, label, fate });
    event
}

/// Request 812 goes to agent-3, which sends the job to agent-1, which is cut off, and then to
/// agent-2, whose process crashes.
pub(super) fn partition() -> FailureStory {
    use MessageFate::{Arrived, Lost};
    use StoryStep::{HostStops, JobStarts, Plain};
    let due = event(24_100, "client", "sends request 812", "", Plain);
    let first = event(24_102, "agent-3", "sends the job", "", Plain);
    let second = event(24_302, "agent-3", "sends the job, attempt 2", "", Plain);
    let cut = Lost("the link is cut".to_owned());
    FailureStory {
        failure: "missed: min_success, mostly for timed_out: ok is 98 %, less than 99 %".to_owned(),
        failed_at: at(29_100),
        failed_host: Some("client".into()),
        request: Some(812),
        about: Some("Request 812 shows it: it failed after 5.00 s (timed out).".to_owned()),
        hosts: ["client", "agent-3", "agent-1", "agent-2"].map(Into::into).to_vec(),
        events: vec![
            sends(due, "agent-3", "request 812", Arrived(at(24_102))),
            sends(first, "agent-1", "job", cut),
            event(24_302, "agent-3", "tries another peer: no answer", "no answer", Plain),
            sends(second, "agent-2", "job, attempt 2", Arrived(at(24_304))),
            event(24_304, "agent-2", "starts the job", "starts", JobStarts),
            event(25_000, "agent-2", "crashes: its process stops", "crashes", HostStops),
            event(29_100, "client", "gives request 812 up after 5.00 s", "gives up", Plain),
        ],
        left_out: 0,
        faults: vec![
            StoryFault {
                label: "partition".to_owned(),
                detail: "agent-1 | registry, agent-3".to_owned(),
                sides: vec![vec!["agent-1".into()], vec!["registry".into(), "agent-3".into()]],
                from: at(20_000),
                until: Timestamp::MAX,
            },
            StoryFault {
                label: "process crash".to_owned(),
                detail: "agent-2".to_owned(),
                sides: vec![vec!["agent-2".into()]],
                from: at(25_000),
                until: at(28_000),
            },
        ],
        faults_left_out: 0,
    }
}
