//! Which requests of a run a recording keeps, and what it tells of them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use super::{RecordedRequest, RecordedStep};
use crate::format::counted;
use crate::host::HostMap;
use crate::journal::{Fact, JournalEntry, RequestOutcome};
use crate::replay::{LoggedFacts, MessageFate, RequestWay, StoryEvent};

/// The most requests that are kept, and how many of them may be failed ones and the slowest.
const MOST_KEPT: usize = 900;
const MOST_FAILED: usize = 300;
const MOST_SLOW: usize = 200;

/// What is known of a request before its way is asked for.
#[derive(Clone, Debug)]
struct KnownRequest {
    due: Timestamp,
    entry: Name,
    ended: Option<(Timestamp, RequestOutcome)>,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(super) struct RequestList(BTreeMap<u64, KnownRequest>);

impl RequestList {
    pub(super) fn observe(&mut self, entry: &JournalEntry, names: &HostMap<Name>) {
        match &entry.fact {
            Fact::RequestDue { request, entry: agent, .. } => {
                let entry_agent = names[agent.host()].clone();
                let known = KnownRequest { due: entry.at, entry: entry_agent, ended: None };
                self.0.insert(*request, known);
            }
            Fact::RequestEnded { request, due, outcome, .. } => {
                if let Some(known) = self.0.get_mut(request) {
                    known.due = *due;
                    known.ended = Some((entry.at, *outcome));
                }
            }
            _ => {}
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The requests that are kept: all, or else those that failed, the slowest hundredth, and
    /// others at equal distances. And which these are, in words.
    fn chosen(&self) -> (BTreeSet<u64>, String) {
        let all = self.0.len();
        if all <= MOST_KEPT {
            return (self.0.keys().copied().collect(), format!("All {}.", counted(all, "request")));
        }
        let failed: Vec<u64> = self.of(|known| known.failure().is_some());
        let mut chosen: BTreeSet<u64> = spread(&failed, MOST_FAILED).collect();
        let told_failed = match failed.len() <= MOST_FAILED {
            true => format!("all {} that failed", failed.len()),
            false => format!("{MOST_FAILED} of the {} that failed", failed.len()),
        };
        let mut slow = self.of(|known| known.ended.is_some() && known.failure().is_none());
        // Stable, so of equal ones the first counts.
        slow.sort_by_key(|number| std::cmp::Reverse(self.0[number].took()));
        slow.truncate((all / 100).min(MOST_SLOW));
        let told_slow = slow.len();
        chosen.extend(slow);
        let others: Vec<u64> = self.of(|_| true);
        let others: Vec<u64> = others.into_iter().filter(|it| !chosen.contains(it)).collect();
        let left = MOST_KEPT - chosen.len();
        chosen.extend(spread(&others, left));
        let text = format!(
            "{} of {all} requests: {told_failed}, the {told_slow} slowest of the others, and \
             {} at equal distances.",
            chosen.len(),
            left.min(others.len()),
        );
        (chosen, text)
    }

    fn of(&self, keeps: impl Fn(&KnownRequest) -> bool) -> Vec<u64> {
        self.0.iter().filter(|(_, known)| keeps(known)).map(|(number, _)| *number).collect()
    }

    /// What is told of the requests that are kept, and which these are.
    pub(super) fn recorded(&self, facts: &LoggedFacts) -> (Vec<RecordedRequest>, String) {
        let (chosen, note) = self.chosen();
        let mut requests: Vec<RecordedRequest> =
            facts.ways(&chosen).into_iter().filter_map(|way| self.request(way)).collect();
        requests.sort_by(|one, other| one.due_ms.total_cmp(&other.due_ms));
        (requests, note)
    }

    fn request(&self, way: RequestWay) -> Option<RecordedRequest> {
        let known = self.0.get(&way.request)?;
        Some(RecordedRequest {
            number: way.request,
            due_ms: millis(known.due),
            ended_ms: known.ended.map(|(at, _)| millis(at)),
            failure: known.failure(),
            entry: known.entry.to_string(),
            way: way.events.iter().map(step).collect(),
        })
    }
}

impl KnownRequest {
    fn failure(&self) -> Option<&'static str> {
        self.ended.and_then(|(_, outcome)| outcome.failure())
    }

    fn took(&self) -> std::time::Duration {
        self.ended.map(|(at, _)| at.since(self.due)).unwrap_or_default()
    }
}

fn step(event: &StoryEvent) -> RecordedStep {
    let message = event.message.as_ref();
    RecordedStep {
        at_ms: millis(event.at),
        host: event.host.to_string(),
        to: message.map(|message| message.to.to_string()),
        is_lost: message.is_some_and(|message| matches!(message.fate, MessageFate::Lost(_))),
        words: event.line().words,
    }
}

/// So many of these numbers, at equal distances.
fn spread(numbers: &[u64], most: usize) -> impl Iterator<Item = u64> {
    let count = most.min(numbers.len());
    (0..count).map(move |index| numbers[index * numbers.len() / count])
}

/// Milliseconds since the run began, to the microsecond.
fn millis(at: Timestamp) -> f64 {
    (at.as_nanos() / 1000) as f64 / 1000.0
}
