//! What led to a failure: the events of a run that concern it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;

use crate::host::{HostId, HostMap};
use crate::journal::{Fact, FactObserver, JournalEntry, line};
use crate::run_failure::{Defect, RunFailure};
use crate::scenario::Scenario;

/// Keeps the facts of a run that its event log shows, to find those that led to a failure.
#[derive(Debug)]
pub struct LoggedFacts {
    names: Arc<HostMap<Name>>,
    /// The facts in the order of their times.
    entries: Vec<JournalEntry>,
    /// Requests that were due before this don't count for thresholds.
    warm_up: Duration,
}

impl FactObserver for LoggedFacts {
    fn observe(&mut self, entry: &JournalEntry) {
        if entry.fact.is_logged() {
            self.entries.push(entry.clone());
        }
    }
}

impl LoggedFacts {
    /// For a run of this scenario that has not begun yet.
    pub fn new(scenario: &Scenario) -> Self {
        let names = scenario.fault_schedule().hosts().clone();
        Self { names, entries: Vec::new(), warm_up: scenario.warm_up }
    }

    /// The last `count` events that led to a failure, as lines of JSON.
    ///
    /// If the failure concerns a request, these are the events of that request. If it is a missed
    /// threshold, they are those of the worst request that was due after the warm-up. Otherwise
    /// they are the events at the hosts that the failure concerns, without those of requests.
    pub fn leading_to(&self, failure: &RunFailure, count: usize) -> Vec<String> {
        let request = match failure.defect {
            Defect::Threshold { cause, .. } => self.worst_request(cause),
            _ => failure.request,
        };
        let is_meant = |(host, name): (HostId, &Name)| failure.hosts.contains(name).then_some(host);
        let hosts: Vec<HostId> = self.names.iter().filter_map(is_meant).collect();
        let concerns = |entry: &JournalEntry| match (request, entry.fact.request()) {
            (None, None) => hosts.iter().any(|host| entry.concerns(*host, &self.names)),
            (wanted, request) => wanted == request,
        };
        let is_before = |entry: &&JournalEntry| failure.at.is_none_or(|at| entry.at <= at);
        let earlier = || self.entries.iter().rev().filter(is_before);
        let mut found: Vec<&JournalEntry> =
            earlier().filter(|entry| concerns(entry)).take(count).collect();
        if found.is_empty() {
            // No event concerns the failure; those that happened last are better than none.
            found = earlier().take(count).collect();
        }
        found.iter().rev().filter_map(|entry| line(entry, &self.names)).collect()
    }

    /// The request that took longest of those that failed for the reason `cause`. If there is none,
    /// the longest of all that failed; if none failed, the longest of all.
    fn worst_request(&self, cause: Option<&str>) -> Option<u64> {
        let mut due = BTreeMap::new();
        let mut worst = None;
        for JournalEntry { at, fact, .. } in &self.entries {
            match *fact {
                Fact::RequestDue { request, .. } if at.elapsed() >= self.warm_up => {
                    due.insert(request, *at);
                }
                Fact::RequestEnded { request, outcome, .. } => {
                    let Some(since) = due.remove(&request) else { continue };
                    let reason = outcome.failure();
                    let is_typical =
                        reason.is_some_and(|reason| cause.is_none_or(|cause| cause == reason));
                    let fared = (is_typical, reason.is_some(), at.since(since), request);
                    worst = worst.max(Some(fared));
                }
                _ => {}
            }
        }
        worst.map(|(_, _, _, request)| request)
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::Timestamp;
    use mesh_core::agent::FailureKind;
    use mesh_core::registry::{self, LeaseNoteKind};

    use super::*;
    use crate::host::AgentId;
    use crate::journal::{RequestOutcome, RequestRefusal};

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(micros * 1_000)
    }

    /// Request 1 is answered after 8 ms, request 2 is refused after 1 ms; in between a lease ends.
    fn facts(warm_up: Duration) -> LoggedFacts {
        let names = ["registry", "client", "agent-1", "agent-12"].into_iter().map(Name::from);
        let names = Arc::new(names.collect());
        let mut facts = LoggedFacts { names, entries: Vec::new(), warm_up };
        let agent = AgentId::new(0);
        let mut happens = |micros, host, fact| {
            facts.observe(&JournalEntry { at: at(micros), host, fact });
        };
        for request in [1, 2] {
            let (entry, demand) = (agent, Duration::ZERO);
            let due = Fact::RequestDue { request, kind: 0, entry, demand, wait: demand };
            happens(1_000 * request, HostId::CLIENT, due);
        }
        let (name, url) = ("agent-1".into(), "h:1".into());
        let kind = LeaseNoteKind::Expired { at: at(2_500) };
        let note = registry::LeaseNote { name, incarnation: Some(4), url, kind };
        happens(2_501, HostId::REGISTRY, Fact::RegistryNoted(note));
        let refused = RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy));
        for (micros, request, outcome) in
            [(3_000, 2, refused), (9_000, 1, RequestOutcome::Answered)]
        {
            let due = at(1_000 * request);
            happens(micros, HostId::CLIENT, Fact::RequestEnded { request, kind: 0, due, outcome });
            happens(micros, agent.host(), Fact::MachineBusy { second: 0, percent: 1.0 });
        }
        facts
    }

    fn failure(defect: Defect, at_ms: Option<u64>) -> RunFailure {
        let at = at_ms.map(|ms| at(1_000 * ms));
        RunFailure { defect, detail: String::new(), at, request: None, hosts: Vec::new() }
    }

    /// The times in the last two lines that led to a failure, as text.
    fn times(failure: &RunFailure) -> Vec<String> {
        let lines = facts(Duration::ZERO).leading_to(failure, 2);
        let time = |line: &String| {
            let (_, rest) = line.split_once(':').unwrap();
            rest.split_once(',').unwrap().0.to_owned()
        };
        lines.iter().map(time).collect()
    }

    #[test]
    fn shows_what_a_failure_is_about() {
        let oracle = |at_ms| failure(Defect::Oracle("x"), at_ms);
        let late = RunFailure { request: Some(1), ..oracle(None) };
        assert_eq!(times(&late), ["1.000000", "9.000000"]);
        let early = RunFailure { request: Some(1), ..oracle(Some(5)) };
        assert_eq!(times(&early), ["1.000000"]);
        let missing = RunFailure { hosts: vec!["agent-1".into()], ..oracle(None) };
        assert_eq!(times(&missing), ["2.501000"]);
        let other = RunFailure { hosts: vec!["agent-12".into()], ..oracle(Some(2)) };
        assert_eq!(times(&other), ["1.000000", "2.000000"], "nothing is known of that host");
        assert_eq!(times(&oracle(Some(2))), ["1.000000", "2.000000"]);
    }

    #[test]
    fn shows_the_worst_request_for_a_threshold() {
        let missed = |cause| failure(Defect::Threshold { field: "max_p99", cause }, None);
        assert_eq!(times(&missed(None)), ["2.000000", "3.000000"], "it failed");
        assert_eq!(times(&missed(Some("busy"))), ["2.000000", "3.000000"]);
        let counted = facts(Duration::from_micros(2_500)).leading_to(&missed(None), 9);
        assert_eq!(counted.len(), 5, "no request was due after the warm-up");
    }
}
