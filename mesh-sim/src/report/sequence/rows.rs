//! The instants of a story, from the first to the failure: what both kinds of diagrams lay out from
//! top to bottom.

use mesh_core::Timestamp;

use crate::replay::{FailureStory, MessageFate};

/// One instant of a diagram. The order of the variants is that of instants at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKind {
    /// The fault at this position in the story ends.
    FaultEnds(usize),
    /// The fault at this position in the story begins.
    FaultBegins(usize),
    /// Events happen, messages are sent or arrive.
    Events,
    /// The failure.
    Failure,
}

/// A time of a story, and what is drawn for it.
pub(super) type TimedRow = (Timestamp, RowKind);

/// Every row of a story, in order.
pub(super) fn rows(story: &FailureStory) -> Vec<TimedRow> {
    let mut rows = vec![(story.failed_at, RowKind::Failure)];
    for event in &story.events {
        rows.push((event.at, RowKind::Events));
        let Some(message) = &event.message else { continue };
        rows.push((message.sent, RowKind::Events));
        if let MessageFate::Arrived(at) = message.fate {
            rows.push((at, RowKind::Events));
        }
    }
    let faults = story.faults.iter().enumerate();
    for (index, fault) in faults.filter(|(_, fault)| story.is_drawn(fault)) {
        rows.push((fault.from, RowKind::FaultBegins(index)));
        rows.push((fault.until, RowKind::FaultEnds(index)));
    }
    // The failure is the end, and comes after all that happens at its time.
    rows.retain(|(at, _)| *at <= story.failed_at);
    rows.sort_unstable();
    rows.dedup();
    rows
}
