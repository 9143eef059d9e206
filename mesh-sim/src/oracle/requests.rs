//! Every request ends exactly once, in time and for a reason. No job is done twice unless a retry
//! was announced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Ending, FailureKind, Note};
use mesh_core::hash::FastMap;
use mesh_core::subjobs::is_subjob;

use super::FoundViolations;
use super::request_history::{History, RequestStep};
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId};
use crate::journal::{ConnectionFailure, RequestOutcome, RequestRefusal};
use crate::record::Violation;
use crate::scenario::Scenario;

pub(super) const ENDS_ONCE: &str = "every request ends exactly once";
pub(super) const IN_TIME: &str = "every request ends by its deadline";
pub(super) const LOST_TO_A_FAULT: &str = "a request is lost only to a fault";
pub(super) const FOR_A_REASON: &str = "a request is refused only for a reason";
pub(super) const ANSWER_IS_WORK: &str = "an answered request has been worked on";
pub(super) const WORKS_ONCE: &str = "no attempt is worked on twice";
pub(super) const RETRY_SAID: &str = "a further attempt is one that a retry announced";
pub(super) const SENT_ONCE: &str = "no attempt is sent to two peers";
pub(super) const SENT_FIRST: &str = "an agent begins only attempts that were sent";
pub(super) const DONE_ONCE: &str = "a request that is not idempotent is done at most once";

/// Follows every request of the run and the attempts made for it, and checks both. It keeps a byte
/// for each request of the run, and more only for requests that are open or were retried.
#[derive(Debug)]
pub(super) struct RequestOracle {
    faults: Arc<FaultSchedule>,
    /// The deadline of each kind of jobs, and whether they may be done twice.
    kinds: Vec<(Duration, bool)>,
    connect_timeout: Duration,
    resolution: Duration,
    /// The requests that may be done twice, if only some kinds of jobs may.
    idempotent: BTreeSet<u64>,
    /// Whether jobs have others done.
    has_subjobs: bool,
    /// Whether agents give up an attempt before its deadline although nothing is wrong.
    impatient: bool,
    /// Whether there are agents that end jobs with errors on purpose, without any fault.
    some_err: bool,
    /// No request is due after this time.
    last_due: Timestamp,
    /// The steps of every request so far.
    history: History,
    /// The requests that have not ended, by number.
    open: FastMap<u64, OpenRequest>,
    /// All requests so far have numbers below this.
    numbers: u64,
    /// By entry agent: when the fault was that broke the client's idle connections, and when the
    /// first request that was lost to it ended.
    discovered: BTreeMap<AgentId, (Timestamp, Timestamp)>,
    /// The attempts after the first that were sent, by request and attempt.
    sent_again: BTreeSet<(u64, u32)>,
    /// The attempts after the first that a peer began, by request and attempt.
    started_again: BTreeSet<(u64, u32)>,
    /// How many attempts after the first were announced, by request. They are numbered from 1.
    announced: BTreeMap<u64, u32>,
    /// Agents that have been told to shut down.
    leaving: BTreeSet<AgentId>,
}

/// A request that has not ended.
#[derive(Clone, Copy, Debug)]
struct OpenRequest {
    /// The kind of its job.
    kind: u16,
    /// When it was due.
    intended: Timestamp,
    /// When it was sent last; the first time, when it was due.
    sent: Timestamp,
    /// The agent that it was sent to last.
    entry: AgentId,
}

/// Where a request is sent next.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextSend {
    /// The agent that it is sent to.
    pub(super) entry: AgentId,
    /// The number of the first attempt that this agent makes.
    pub(super) attempt: u32,
    /// When it is sent.
    pub(super) sent: Timestamp,
}

impl RequestOracle {
    pub(super) fn new(
        scenario: &Scenario,
        faults: Arc<FaultSchedule>,
        resolution: Duration,
    ) -> Self {
        Self {
            faults,
            kinds: scenario.workload.jobs.iter().map(|j| (j.deadline, j.idempotent)).collect(),
            connect_timeout: scenario.delegation.connect_timeout,
            resolution,
            idempotent: BTreeSet::new(),
            has_subjobs: scenario.workload.has_subjobs(),
            impatient: scenario.delegation.attempt_timeout.is_some(),
            some_err: scenario.agents.iter().any(|agent| agent.errors.is_some()),
            last_due: Timestamp::from(scenario.duration),
            history: History::default(),
            open: FastMap::default(),
            numbers: 0,
            discovered: BTreeMap::new(),
            sent_again: BTreeSet::new(),
            started_again: BTreeSet::new(),
            announced: BTreeMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    pub(super) fn leaves(&mut self, agent: AgentId) {
        self.leaving.insert(agent);
    }

    /// When even the last request must have ended.
    pub(super) fn end(&self) -> Timestamp {
        let longest = self.kinds.iter().map(|(deadline, _)| *deadline).max().unwrap_or_default();
        self.last_due + longest + self.resolution
    }

    pub(super) fn due(
        &mut self,
        request: u64,
        kind: u16,
        (intended, entry): (Timestamp, AgentId),
        found: &mut FoundViolations,
    ) {
        self.open.insert(request, OpenRequest { kind, intended, sent: intended, entry });
        if self.kinds.len() > 1 && self.kinds[usize::from(kind)].1 {
            self.idempotent.insert(request);
        }
        self.numbers = self.numbers.max(request + 1);
        if !self.history.note(request, RequestStep::Due)
            || self.history.has(request, RequestStep::Ended)
        {
            let detail = format!("request {request} was sent twice");
            found.add(Violation::new(ENDS_ONCE, intended, detail).request(request));
        }
    }

    pub(super) fn ended(
        &mut self,
        now: Timestamp,
        request: u64,
        outcome: RequestOutcome,
        found: &mut FoundViolations,
    ) {
        let add = |found: &mut FoundViolations, oracle, detail| {
            found.add(Violation::new(oracle, now, detail).request(request));
        };
        self.history.note(request, RequestStep::Ended);
        let Some(open) = self.open.remove(&request) else {
            return add(found, ENDS_ONCE, format!("request {request} ended again: {outcome:?}"));
        };
        let took = now.since(open.intended);
        let deadline = self.kinds[usize::from(open.kind)].0;
        if took > deadline + self.resolution {
            add(found, IN_TIME, format!("request {request} took {took:?} of {deadline:?}"));
        }
        self.try_ended(now, (request, open), outcome, found);
    }

    /// Checks that there is a reason for what the last try of a request ended with.
    fn try_ended(
        &mut self,
        now: Timestamp,
        (request, open): (u64, OpenRequest),
        outcome: RequestOutcome,
        found: &mut FoundViolations,
    ) {
        let mut add = |oracle, detail| {
            found.add(Violation::new(oracle, now, detail).request(request));
        };
        match outcome {
            RequestOutcome::Answered if !self.history.has(request, RequestStep::Done) => {
                let detail = format!("request {request} was answered, but no agent had done it");
                add(ANSWER_IS_WORK, detail);
            }
            RequestOutcome::Refused(refusal) if !self.is_explained(now, open.entry, refusal) => {
                let detail = format!("request {request} was refused: {}", refusal.name());
                add(FOR_A_REASON, detail);
            }
            RequestOutcome::Lost(how) if !self.is_broken(now, open, how) => {
                let how = how.name();
                let detail = format!("request {request} was lost ({how}) while nothing was broken");
                add(LOST_TO_A_FAULT, detail);
            }
            RequestOutcome::Answered
            | RequestOutcome::Refused(_)
            | RequestOutcome::TimedOut
            | RequestOutcome::Lost(_) => {}
        }
    }

    /// The client sends a request again, which has brought no result so far.
    pub(super) fn sent_again(
        &mut self,
        now: Timestamp,
        request: u64,
        after: RequestOutcome,
        NextSend { entry, attempt, sent }: NextSend,
        found: &mut FoundViolations,
    ) {
        let Some(&open) = self.open.get(&request) else {
            let detail = format!("request {request}, which is not open, was sent again");
            return found.add(Violation::new(ENDS_ONCE, now, detail).request(request));
        };
        self.try_ended(now, (request, open), after, found);
        self.open.insert(request, OpenRequest { sent, entry, ..open });
        if attempt > 0 {
            let announced = self.announced.entry(request).or_default();
            *announced = attempt.max(*announced);
        }
    }

    /// Whether a request that was sent to this agent may be refused for this reason.
    fn is_explained(&self, now: Timestamp, entry: AgentId, refusal: RequestRefusal) -> bool {
        let RequestRefusal::Failed(kind) = refusal else { return true };
        match kind {
            // In any scenario peers may be busy or out of reach. Whether there are too many such
            // refusals is for the thresholds to say.
            FailureKind::Busy
            | FailureKind::NoPeers
            | FailureKind::NoSkill
            | FailureKind::NoReachablePeers
            | FailureKind::AllBusy
            | FailureKind::RetriesExhausted
            | FailureKind::Throttled => true,
            // An agent learns the outcome of an attempt unless a connection broke, the peer left,
            // or the agent gave the attempt up.
            FailureKind::OutcomeUnknown => {
                self.impatient
                    || self.faults.has_broken(now)
                    || !self.leaving.is_empty()
                    || self.may_err(now)
            }
            // A job fails if one that it needs does, or on purpose.
            FailureKind::JobFailed => self.has_subjobs || self.may_err(now),
            FailureKind::ShuttingDown => self.leaving.contains(&entry),
            // A request with this failure counts as timed out, not as refused.
            FailureKind::DeadlineExceeded
            // Simulated agents never delegate in circles. If one can't begin a job, another one gets
            // it.
            | FailureKind::TooDeep
            | FailureKind::Unavailable
            | FailureKind::Other => false,
        }
    }

    /// Whether agents may have ended jobs with errors on purpose.
    fn may_err(&self, now: Timestamp) -> bool {
        self.some_err || self.faults.has_erred(now)
    }

    /// Whether a fault explains that the client's connection to the entry agent failed.
    ///
    /// That is a fault between the two, during the request or before it. A fault may break an idle
    /// connection, and then the next request that uses the connection is lost, however late it
    /// comes. The client then drops all connections that are as old, so the same fault can't
    /// explain the loss of a request that was sent after that.
    fn is_broken(&mut self, now: Timestamp, open: OpenRequest, how: ConnectionFailure) -> bool {
        let OpenRequest { sent, entry, .. } = open;
        let host = entry.host();
        // Where a round trip takes as long as a connect may take, connects fail without a fault.
        let there = self.faults.slowest(HostId::CLIENT, host);
        let slow = there + self.faults.slowest(host, HostId::CLIENT) + self.resolution;
        if how == ConnectionFailure::Connect && slow >= self.connect_timeout {
            return true;
        }
        // The agent was there when the request was sent, and has left since.
        if self.leaving.contains(&entry) {
            return true;
        }
        let Some(broken) = self.faults.last_broken(HostId::CLIENT, host, now) else {
            return false;
        };
        if broken >= sent {
            return true;
        }
        match self.discovered.get(&entry) {
            // An earlier request was lost to this fault. Only requests that had been sent before
            // that one ended may have used another of the broken connections.
            Some((fault, ended)) if *fault == broken => *ended >= sent,
            _ => {
                self.discovered.insert(entry, (broken, now));
                true
            }
        }
    }

    /// Checks what an agent reports. Every attempt is sent to one peer, which begins it at most
    /// once. Several attempts of one request may be open at a time, but each after the first must
    /// have been announced by a note.
    pub(super) fn noted(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        note: &Note,
        found: &mut FoundViolations,
    ) {
        match *note {
            Note::Retrying { request, .. } => *self.announced.entry(request).or_default() += 1,
            Note::Routed { request, attempt, .. } => {
                if attempt > 0 && attempt > self.announced(request) {
                    let what = format_args!("sent attempt {attempt} of request {request}");
                    found.add(self.violation(RETRY_SAID, now, agent, request, what));
                }
                if !self.sent(request, attempt) {
                    let what = format_args!("sent attempt {attempt} of request {request} again");
                    found.add(self.violation(SENT_ONCE, now, agent, request, what));
                }
            }
            Note::JobStarted { request, attempt } => {
                if !self.was_sent(request, attempt) {
                    let what = format_args!("began attempt {attempt} of request {request}");
                    found.add(self.violation(SENT_FIRST, now, agent, request, what));
                }
                if !self.started(request, attempt) {
                    let what = format_args!("began attempt {attempt} of request {request} again");
                    found.add(self.violation(WORKS_ONCE, now, agent, request, what));
                }
            }
            Note::JobEnded { request, outcome: Ending::Done, .. }
                if !self.history.note(request, RequestStep::Done)
                    && !self.may_be_done_twice(request) =>
            {
                let what = format_args!("did request {request}, which had been done before");
                found.add(self.violation(DONE_ONCE, now, agent, request, what));
            }
            _ => {}
        }
    }

    /// Whether the request says that its job may be done twice.
    fn may_be_done_twice(&self, request: u64) -> bool {
        // The number of a subjob says nothing about its kind. Some of them may be done twice if any
        // kind may.
        if is_subjob(request) {
            return self.kinds.iter().any(|(_, idempotent)| *idempotent);
        }
        match self.kinds[..] {
            [(_, idempotent)] => idempotent,
            _ => self.idempotent.contains(&request),
        }
    }

    /// How many attempts after the first were announced for a request.
    fn announced(&self, request: u64) -> u32 {
        self.announced.get(&request).copied().unwrap_or_default()
    }

    /// A violation by an agent, with what it did to a request.
    fn violation(
        &self,
        oracle: &'static str,
        now: Timestamp,
        agent: AgentId,
        request: u64,
        what: fmt::Arguments<'_>,
    ) -> Violation {
        let agent = &self.faults.hosts()[agent.host()];
        Violation::new(oracle, now, format!("{agent} {what}")).request(request).hosts([agent])
    }

    /// Notes that an attempt was sent. Returns false if it was sent before.
    fn sent(&mut self, request: u64, attempt: u32) -> bool {
        match attempt {
            0 => self.history.note(request, RequestStep::Sent),
            _ => self.sent_again.insert((request, attempt)),
        }
    }

    fn was_sent(&self, request: u64, attempt: u32) -> bool {
        match attempt {
            0 => self.history.has(request, RequestStep::Sent),
            _ => self.sent_again.contains(&(request, attempt)),
        }
    }

    /// Notes that a peer began an attempt. Returns false if it was begun before.
    fn started(&mut self, request: u64, attempt: u32) -> bool {
        match attempt {
            0 => self.history.note(request, RequestStep::Started),
            _ => self.started_again.insert((request, attempt)),
        }
    }

    pub(super) fn finish(&self, now: Timestamp, found: &mut FoundViolations) {
        if self.open.is_empty() {
            return;
        }
        for request in 0..self.numbers {
            let Some(OpenRequest { intended, .. }) = self.open.get(&request) else { continue };
            let detail = format!("request {request}, due at {intended}, never ended");
            found.add(Violation::new(ENDS_ONCE, now, detail).request(request));
        }
    }
}
