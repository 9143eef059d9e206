//! A story as JSON, for programs.

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use serde_json::{Value, json};

use crate::format;
use crate::replay::{FailureStory, StoryFault};

/// A story as one JSON object in one line, with its line feed: the failure, the faults, and the
/// events as the event log has them.
pub fn json_line(story: &FailureStory) -> String {
    let head = json!({
        "failure": story.failure,
        "at_ms": format::ms_number(story.failed_at.as_nanos()),
        "request": story.request,
        "hosts": names(&story.hosts),
        "faults": story.faults.iter().map(fault).collect::<Vec<_>>(),
        "left_out": story.left_out,
        "faults_left_out": story.faults_left_out,
    });
    // The events are JSON already; their numbers have more digits than a float keeps.
    let events: Vec<&str> = story.events.iter().map(|event| &*event.json).collect();
    let head = head.to_string();
    let open = head.strip_suffix('}').unwrap_or(&head);
    format!("{open},\"events\":[{}]}}\n", events.join(","))
}

fn names(hosts: &[Name]) -> Vec<&str> {
    hosts.iter().map(|host| &**host).collect()
}

fn fault(fault: &StoryFault) -> Value {
    let until = fault.until;
    json!({
        "kind": fault.label,
        "detail": fault.detail,
        "sides": fault.sides.iter().map(|side| names(side)).collect::<Vec<_>>(),
        "from_ms": format::ms_number(fault.from.as_nanos()),
        "until_ms": (until < Timestamp::MAX).then(|| format::ms_number(until.as_nanos())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sequence::story_example::partition;

    #[test]
    fn a_story_is_one_line_of_json() {
        let mut story = partition();
        story.failure = "a \"quoted\"\nfailure".to_owned();
        let line = json_line(&story);
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["failure"], "a \"quoted\"\nfailure");
        assert_eq!(value["request"], 812);
        assert_eq!(value["events"].as_array().unwrap().len(), story.events.len());
        assert_eq!(value["events"][1]["event"], "routed");
        assert_eq!(value["faults"][0]["from_ms"], 20_000.0);
        assert_eq!(value["faults"][0]["until_ms"], Value::Null);
        assert_eq!(value["faults"][0]["sides"][1], json!(["registry", "agent-3"]));
    }
}
