//! What led to a failure: the facts of a run that it is about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::protocol::Name;

use crate::failure::{Defect, Failure};
use crate::host::{HostId, HostMap};
use crate::journal::{Fact, FactObserver, JournalEntry, line};
use crate::scenario::Scenario;

/// Keeps the facts of a run that stand in its event log, to look for what led to a failure.
#[derive(Debug)]
pub struct LoggedFacts {
    /// The names of all hosts.
    names: Arc<HostMap<Name>>,
    /// In the order of their times.
    entries: Vec<JournalEntry>,
    /// Requests due before this don't count for thresholds.
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
    /// Of a run of this scenario, before it begins.
    pub fn new(scenario: &Scenario) -> Self {
        let names = scenario.fault_schedule().hosts().clone();
        Self { names, entries: Vec::new(), warm_up: scenario.warm_up }
    }

    /// The last `count` events that led to a failure, as lines of JSON: those of the request that it
    /// is about, or else those, not of requests, at the hosts that it is about. Of a missed
    /// threshold, those of the request that fared worst, of the ones due after the warm-up.
    pub fn leading_to(&self, failure: &Failure, count: usize) -> Vec<String> {
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
            // Better than nothing: whatever happened last.
            found = earlier().take(count).collect();
        }
        found.iter().rev().filter_map(|entry| line(entry, &self.names)).collect()
    }

    /// The request that took longest, of those that failed for `cause`, or else of those that
    /// failed, or else of all.
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
            let due = Fact::RequestDue { request, entry, demand };
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
            happens(micros, HostId::CLIENT, Fact::RequestEnded { request, due, outcome });
            happens(micros, agent.host(), Fact::MachineBusy { second: 0, percent: 1.0 });
        }
        facts
    }

    fn failure(defect: Defect, at_ms: Option<u64>) -> Failure {
        let at = at_ms.map(|ms| at(1_000 * ms));
        Failure { defect, detail: String::new(), at, request: None, hosts: Vec::new() }
    }

    /// The times of the last two lines that led to a failure, as they stand in them.
    fn times(failure: &Failure) -> Vec<String> {
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
        let late = Failure { request: Some(1), ..oracle(None) };
        assert_eq!(times(&late), ["1.000000", "9.000000"]);
        let early = Failure { request: Some(1), ..oracle(Some(5)) };
        assert_eq!(times(&early), ["1.000000"]);
        let missing = Failure { hosts: vec!["agent-1".into()], ..oracle(None) };
        assert_eq!(times(&missing), ["2.501000"]);
        let other = Failure { hosts: vec!["agent-12".into()], ..oracle(Some(2)) };
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
