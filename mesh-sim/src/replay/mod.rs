//! What led to a failure: the events of a run that concern it, and the faults that it met.
//!
//! [`LoggedFacts`] watches a run and keeps what its event log shows. Afterwards it tells the story of
//! a failure: a [`FailureStory`], which `report` draws and prints.

mod choice;
mod messages;
mod story;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

pub use self::story::{
    FailureStory, MessageFate, RequestWay, StoryEvent, StoryFault, StoryLine, StoryMessage,
    StoryStep, seconds_text,
};

use self::choice::Subject;
use self::messages::Messages;
use self::words::{Teller, brief_duration};
use crate::faults::{Fault, FaultSchedule};
use crate::format;
use crate::host::{HostId, HostMap};
use crate::host_names::is_registry_name;
use crate::journal::{Fact, FactObserver, JournalEntry, RequestOutcome, line};
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
    faults: Vec<Fault>,
    schedule: FaultSchedule,
    /// How long the mesh may feel a fault that is over: until leases that it let end are forgotten.
    look_back: Duration,
}

impl FactObserver for LoggedFacts {
    fn observe(&mut self, entry: &JournalEntry) {
        if entry.fact.is_logged() {
            self.entries.push(entry.clone());
        }
    }
}

/// How a request fared.
struct RequestFate {
    number: u64,
    ended: Timestamp,
    took: Duration,
    outcome: RequestOutcome,
}

impl LoggedFacts {
    /// For a run of this scenario that has not begun yet. Faults at random must have been drawn:
    /// see [`Scenario::for_seed`].
    pub fn new(scenario: &Scenario) -> Self {
        let schedule = scenario.fault_schedule();
        let refresh = scenario.agents.iter().map(|agent| agent.refresh).max().unwrap_or_default();
        Self {
            names: schedule.hosts().clone(),
            entries: Vec::new(),
            warm_up: scenario.warm_up,
            faults: scenario.faults.clone(),
            schedule,
            look_back: scenario.leases.ttl + scenario.leases.sweep + refresh,
        }
    }

    /// What led to a failure, with at most `limit` events.
    ///
    /// If the failure concerns a request, the story is about that request. If it is a missed
    /// threshold, it is about the request after the warm-up that shows it best. Otherwise it is
    /// about the hosts that the failure concerns, without the events of requests. Faults are part of
    /// each story, however many events there are.
    pub fn story(&self, failure: &RunFailure, limit: usize) -> FailureStory {
        let worst = match failure.defect {
            Defect::Threshold { cause, .. } => self.worst_request(cause),
            _ => None,
        };
        let request = worst.as_ref().map_or(failure.request, |worst| Some(worst.number));
        let last = self.entries.last().map_or(Timestamp::ZERO, |entry| entry.at);
        let until = failure.at.or(worst.as_ref().map(|worst| worst.ended)).unwrap_or(last);
        let is_meant = |(host, name): (HostId, &Name)| failure.hosts.contains(name).then_some(host);
        let subject = Subject {
            request,
            hosts: self.names.iter().filter_map(is_meant).collect(),
            until,
            look_back: self.look_back,
            names: &self.names,
        };
        let choice = subject.choose(&self.entries, limit.max(1));
        let is_own = |fact: &Fact| request.is_some() && fact.request() == request;
        let own: Vec<usize> =
            (0..self.entries.len()).filter(|at| is_own(&self.entries[*at].fact)).collect();
        let events = self.events(&own, until, &choice.events);
        let began = events.first().map_or(until, |event| event.at);
        let (faults, faults_left_out) = subject.faults(&self.faults, began);
        let client = request.map(|_| self.names[HostId::CLIENT].clone());
        FailureStory {
            failure: failure.to_string(),
            failed_at: until,
            failed_host: failure.hosts.first().cloned().or(client),
            request,
            about: worst.map(|worst| about(&worst)),
            hosts: self.lifelines(&events, &failure.hosts),
            events,
            left_out: choice.left_out,
            faults: faults.into_iter().map(StoryFault::of).collect(),
            faults_left_out,
        }
    }

    /// The ways of these requests, of which nothing has to have failed. Those that are no requests of
    /// the run are left out.
    pub fn ways(&self, requests: &BTreeSet<u64>) -> Vec<RequestWay> {
        let mut own: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (position, entry) in self.entries.iter().enumerate() {
            if let Some(request) = entry.fact.request().filter(|number| requests.contains(number)) {
                own.entry(request).or_default().push(position);
            }
        }
        let way = |(request, own): (u64, Vec<usize>)| {
            let last = own.last().map_or(Timestamp::ZERO, |position| self.entries[*position].at);
            RequestWay { request, events: self.events(&own, last, &own) }
        };
        own.into_iter().map(way).collect()
    }

    /// The chosen events in words, with what became of their messages up to a time. `own` are the
    /// positions of all events of the request that they are about.
    fn events(&self, own: &[usize], until: Timestamp, chosen: &[usize]) -> Vec<StoryEvent> {
        let facts: Vec<&JournalEntry> = own.iter().map(|at| &self.entries[*at]).collect();
        let teller = Teller::new(&self.names, facts.iter().copied());
        let messages = Messages {
            facts: &facts,
            schedule: &self.schedule,
            names: &self.names,
            teller: &teller,
            until,
        };
        let event = |position: &usize| {
            let entry = &self.entries[*position];
            let told = teller.tell(entry);
            let message = told.sends.and_then(|sent| {
                let index = own.binary_search(position).ok()?;
                let (to, fate) = (self.names[sent.to].clone(), messages.fate(index, &sent));
                Some(StoryMessage { to, sent: sent.at, label: sent.label, fate })
            });
            StoryEvent {
                at: entry.at,
                host: self.names[entry.host].clone(),
                words: told.words,
                note: told.note,
                step: told.step,
                message,
                json: line(entry, &self.names).unwrap_or_default(),
            }
        };
        chosen.iter().map(event).collect()
    }

    /// The hosts of these events and of the failure: the client, the agents as they come in, the
    /// registry.
    fn lifelines(&self, events: &[StoryEvent], of_failure: &[Name]) -> Vec<Name> {
        let receivers =
            |event: &StoryEvent| event.message.as_ref().map(|message| message.to.clone());
        let of_events =
            events.iter().flat_map(|event| [Some(event.host.clone()), receivers(event)]);
        let mut seen = BTreeSet::new();
        let mut hosts: Vec<Name> = of_events.flatten().chain(of_failure.iter().cloned()).collect();
        hosts.retain(|host| seen.insert(host.clone()));
        let place = |host: &Name| match host {
            host if *host == self.names[HostId::CLIENT] => 0,
            host if is_registry_name(host) => 2,
            _ => 1,
        };
        hosts.sort_by_key(place);
        hosts
    }

    /// The request that took longest of those that failed for the reason `cause`. If there is none,
    /// the longest of all that failed; if none failed, the longest of all. Of several that took as
    /// long, the one about which most is known, and then the first.
    fn worst_request(&self, cause: Option<&str>) -> Option<RequestFate> {
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for request in self.entries.iter().filter_map(|entry| entry.fact.request()) {
            *counts.entry(request).or_default() += 1;
        }
        let ended = self.entries.iter().filter_map(|entry| match entry.fact {
            Fact::RequestEnded { request, due, outcome, .. } if due.elapsed() >= self.warm_up => {
                let (ended, took) = (entry.at, entry.at.since(due));
                Some(RequestFate { number: request, ended, took, outcome })
            }
            _ => None,
        });
        ended.max_by_key(|fate| {
            let reason = fate.outcome.failure();
            let is_typical = reason.is_some_and(|reason| cause.is_none_or(|cause| cause == reason));
            let first = std::cmp::Reverse(fate.number);
            (is_typical, reason.is_some(), fate.took, counts[&fate.number], first)
        })
    }
}

/// Why a story is about a request that the failure does not name.
fn about(fate: &RequestFate) -> String {
    let (number, took) = (fate.number, brief_duration(fate.took));
    match fate.outcome.failure() {
        None => format!("Request {number} shows it: no other took longer ({took})."),
        Some(reason) => {
            let reason = format::reason(reason);
            format!("Request {number} shows it: it failed after {took} ({reason}).")
        }
    }
}

impl StoryFault {
    /// The fault as stories and playbacks tell it.
    pub fn of(fault: &Fault) -> Self {
        Self {
            label: fault.kind.label().to_owned(),
            detail: fault.kind.detail(),
            sides: fault.kind.host_lists().into_iter().map(|(_, hosts)| hosts).collect(),
            from: Timestamp::from(fault.at),
            until: fault.end(),
        }
    }
}
