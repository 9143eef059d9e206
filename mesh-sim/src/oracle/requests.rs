//! Every request ends exactly once, in time and for a reason, and no job is done twice unless a
//! retry said so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, Note};
use mesh_core::hash::FastMap;
use mesh_core::protocol::Name;

use super::Found;
use super::history::{History, Step};
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId};
use crate::record::Outcome;
use crate::scenario::Scenario;

pub(super) const ENDS_ONCE: &str = "every request ends exactly once";
pub(super) const IN_TIME: &str = "every request ends by its deadline";
pub(super) const LOST_TO_A_FAULT: &str = "a request is lost only to a fault";
pub(super) const FOR_A_REASON: &str = "a request is refused only for a reason";
pub(super) const ANSWER_IS_WORK: &str = "an answered request has been worked on";
pub(super) const WORKS_ONCE: &str = "no attempt is worked on twice";
pub(super) const RETRY_SAID: &str = "a further attempt is one that a retry announced";
pub(super) const DONE_ONCE: &str = "a request that is not idempotent is done at most once";

#[derive(Debug)]
pub(super) struct Requests {
    faults: Arc<FaultSchedule>,
    deadline: Duration,
    connect_timeout: Duration,
    resolution: Duration,
    idempotent: bool,
    /// An agent gives up a call before its deadline without a fault.
    impatient: bool,
    last_due: Timestamp,
    /// Every request so far.
    history: History,
    /// Those that have not ended.
    open: FastMap<u64, Open>,
    /// No request has a number as great as this.
    numbers: u64,
    /// By entry agent, the last fault that a lost request brought to light after its end, and when
    /// the first such request ended.
    discovered: BTreeMap<AgentId, (Timestamp, Timestamp)>,
    /// Further attempts begun, by request and attempt.
    started_again: BTreeSet<(u64, u32)>,
    /// The next attempt that a retry announced, by request.
    announced: BTreeMap<u64, u32>,
    /// Agents that have been told to shut down.
    leaving: BTreeSet<AgentId>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    intended: Timestamp,
    /// The agent that it was sent to.
    entry: AgentId,
}

impl Requests {
    pub(super) fn new(
        scenario: &Scenario,
        faults: Arc<FaultSchedule>,
        resolution: Duration,
    ) -> Self {
        Self {
            faults,
            deadline: scenario.workload.deadline,
            connect_timeout: scenario.delegation.connect_timeout,
            resolution,
            idempotent: scenario.workload.idempotent,
            impatient: scenario.delegation.attempt_timeout.is_some(),
            last_due: Timestamp::from(scenario.duration),
            history: History::default(),
            open: FastMap::default(),
            numbers: 0,
            discovered: BTreeMap::new(),
            started_again: BTreeSet::new(),
            announced: BTreeMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    pub(super) fn leaves(&mut self, agent: AgentId) {
        self.leaving.insert(agent);
    }

    /// By then even the last request has ended.
    pub(super) fn end(&self) -> Timestamp {
        self.last_due + self.deadline + self.resolution
    }

    pub(super) fn due(
        &mut self,
        request: u64,
        intended: Timestamp,
        entry: AgentId,
        found: &mut Found,
    ) {
        self.open.insert(request, Open { intended, entry });
        self.numbers = self.numbers.max(request + 1);
        if !self.history.note(request, Step::Due) || self.history.has(request, Step::Ended) {
            found.add(ENDS_ONCE, intended, format!("request {request} was sent twice"));
        }
    }

    pub(super) fn ended(
        &mut self,
        now: Timestamp,
        request: u64,
        outcome: &Outcome,
        found: &mut Found,
    ) {
        self.history.note(request, Step::Ended);
        let Some(open) = self.open.remove(&request) else {
            found.add(ENDS_ONCE, now, format!("request {request} ended again: {outcome:?}"));
            return;
        };
        let took = now.since(open.intended);
        if took > self.deadline + self.resolution {
            let detail = format!("request {request} took {took:?} of {:?}", self.deadline);
            found.add(IN_TIME, now, detail);
        }
        match *outcome {
            Outcome::Answered if !self.history.has(request, Step::Done) => {
                let detail = format!("request {request} was answered, but no agent had done it");
                found.add(ANSWER_IS_WORK, now, detail);
            }
            Outcome::Refused(reason) if !self.is_explained(now, open.entry, reason) => {
                let detail = format!("request {request} was refused: {reason}");
                found.add(FOR_A_REASON, now, detail);
            }
            Outcome::Lost(reason) if !self.is_broken(now, open, reason) => {
                let detail =
                    format!("request {request} was lost ({reason}) while nothing was broken");
                found.add(LOST_TO_A_FAULT, now, detail);
            }
            _ => {}
        }
    }

    /// Simulated jobs don't fail, only those who leave shut down, nobody delegates in circles, and an
    /// agent knows the outcome of what it sent unless a connection broke, the peer left, or it did not
    /// want to wait.
    fn is_explained(&self, now: Timestamp, entry: AgentId, reason: &str) -> bool {
        match reason {
            "outcome_unknown" => {
                self.impatient || self.faults.has_broken(now) || !self.leaving.is_empty()
            }
            "shutting_down" => self.leaving.contains(&entry),
            "job_failed" | "too_deep" | "other_error" => false,
            _ => true,
        }
    }

    /// Whether a fault explains that the client's connection failed: one between the client and the
    /// agent that was called, during the request or before. A connection that was idle when the
    /// fault broke it is found out by the next request to use it, however late; that request makes
    /// the client drop all that are as old, so those sent later have no such excuse.
    fn is_broken(&mut self, now: Timestamp, open: Open, reason: &str) -> bool {
        let Open { intended, entry } = open;
        let host = entry.host();
        // A round trip that takes as long as a connect may take breaks by itself.
        let there = self.faults.slowest(HostId::CLIENT, host);
        let slow = there + self.faults.slowest(host, HostId::CLIENT) + self.resolution;
        if reason == "connect" && slow >= self.connect_timeout {
            return true;
        }
        // Requests are sent to agents that are there; this one left meanwhile.
        if self.leaving.contains(&entry) {
            return true;
        }
        let Some(broken) = self.faults.last_broken(HostId::CLIENT, host, now) else {
            return false;
        };
        if broken >= intended {
            return true;
        }
        match self.discovered.get(&entry) {
            Some((fault, ended)) if *fault == broken => *ended >= intended,
            _ => {
                self.discovered.insert(entry, (broken, now));
                true
            }
        }
    }

    pub(super) fn agent(&mut self, now: Timestamp, agent: &Name, note: &Note, found: &mut Found) {
        match *note {
            Note::Retrying { request, attempt, .. } => {
                self.announced.insert(request, attempt + 1);
            }
            Note::JobStarted { request, attempt } => {
                let first = match attempt {
                    0 => self.history.note(request, Step::Started),
                    _ => self.started_again.insert((request, attempt)),
                };
                if !first {
                    let detail =
                        format!("{agent} began attempt {attempt} of request {request} again");
                    found.add(WORKS_ONCE, now, detail);
                }
                let announced = || self.announced.get(&request).copied().unwrap_or_default();
                if attempt > 0 && attempt > announced() {
                    let detail = format!("{agent} began attempt {attempt} of request {request}");
                    found.add(RETRY_SAID, now, detail);
                }
            }
            Note::JobEnded { request, outcome: Ending::Done, .. }
                if !self.history.note(request, Step::Done) && !self.idempotent =>
            {
                let detail = format!("{agent} did request {request}, which had been done before");
                found.add(DONE_ONCE, now, detail);
            }
            _ => {}
        }
    }

    pub(super) fn finish(&self, now: Timestamp, found: &mut Found) {
        if self.open.is_empty() {
            return;
        }
        for request in 0..self.numbers {
            let Some(Open { intended, .. }) = self.open.get(&request) else { continue };
            let detail = format!("request {request}, due at {intended}, never ended");
            found.add(ENDS_ONCE, now, detail);
        }
    }
}
