//! Oracles: what must hold in every schedule, checked while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, CallId, Failure, Note, RequestHandle, RetryReason, Ticket};
use mesh_core::protocol::{Reply, Task};

/// One agent: the number of its node, and its incarnation.
pub(crate) type Life = (usize, u64);

/// The caller of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Client,
    Peer(Life, CallId),
}

/// A request that was handed to an agent.
#[derive(Clone, Debug)]
pub(crate) struct HeldRequest {
    /// The agent.
    pub(crate) of: Life,
    pub(crate) caller: Caller,
    pub(crate) deadline: Timestamp,
    pub(crate) handle: Option<RequestHandle>,
    /// Whether it is neither answered nor cancelled.
    pub(crate) open: bool,
    /// Whether it asks for a free slot: then it may wait although nothing is under way.
    pub(crate) waits: bool,
}

/// A request of a client, and what has become of its job.
#[derive(Clone, Copy, Debug)]
struct ClientRequest {
    idempotent: bool,
    deadline: Timestamp,
    /// How often the job was sent to a peer.
    sent: u32,
    /// How often the job was done.
    done: u32,
    /// Whether the delegating agent knows that the last attempt was certainly not begun.
    refused: bool,
}

/// What the oracles have seen so far.
#[derive(Default)]
pub(crate) struct Oracles {
    pub(crate) tickets: BTreeMap<Ticket, HeldRequest>,
    /// Those of them that are open.
    pub(crate) open: BTreeSet<Ticket>,
    /// By the number of the request.
    requests: BTreeMap<u64, ClientRequest>,
    /// Jobs that were started: the number of the request, and of the attempt.
    started: BTreeSet<(u64, u32)>,
    /// The request that each open call for `work` belongs to.
    calls: BTreeMap<(Life, CallId), u64>,
    /// Delegations accepted and retries that took a part of the budget, by agent.
    retries: BTreeMap<Life, (u32, u32)>,
    /// How often each interesting thing happened.
    pub(crate) seen: BTreeMap<&'static str, u32>,
}

impl Oracles {
    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// A client sends a new request.
    pub(crate) fn requested(&mut self, task: &Task, deadline: Timestamp) {
        let Task { request, idempotent, .. } = *task;
        let known = ClientRequest { idempotent, deadline, sent: 0, done: 0, refused: true };
        assert!(self.requests.insert(request, known).is_none());
    }

    pub(crate) fn answered(&mut self, now: Timestamp, of: Life, ticket: Ticket) -> Caller {
        let asked = self.tickets.get_mut(&ticket).expect("an answer to nobody");
        assert_eq!(asked.of, of, "answered by somebody else");
        assert!(asked.open, "{ticket} answered twice or after its cancel");
        assert!(now <= asked.deadline, "{ticket} answered after its deadline");
        asked.open = false;
        self.open.remove(&ticket);
        asked.caller
    }

    /// An agent sends a job to a peer.
    pub(crate) fn sent(&mut self, now: Timestamp, of: Life, call: CallId, task: &Task, max: u32) {
        let known = self.requests.get_mut(&task.request).expect("a job of nobody");
        let timeout = task.timeout.expect("a deadline");
        assert!(timeout > Duration::ZERO);
        assert!(now + timeout <= known.deadline, "the deadline grew");
        assert_eq!(task.depth, 1);
        assert_eq!(task.attempt, known.sent, "attempts are numbered as they are sent");
        assert!(known.idempotent || known.refused, "{} may have been done", task.request);
        let begun = self.started.range((task.request, 0)..=(task.request, u32::MAX)).next();
        assert!(known.idempotent || begun.is_none(), "{} was begun", task.request);
        known.sent += 1;
        assert!(known.sent <= max, "too many attempts");
        known.refused = false;
        self.calls.insert((of, call), task.request);
    }

    /// The delegating agent learns how its call ended.
    pub(crate) fn call_ended(&mut self, of: Life, call: CallId, result: &Result<Reply, CallError>) {
        let Some(request) = self.calls.remove(&(of, call)) else { return };
        let known = self.requests.get_mut(&request).expect("a job of nobody");
        known.refused = match result {
            Err(CallError::NotSent) => true,
            Err(CallError::Answered(failure)) => {
                matches!(failure, Failure::Busy | Failure::ShuttingDown | Failure::Unavailable(_))
            }
            _ => false,
        };
    }

    pub(crate) fn started(&mut self, task: &Task) {
        let Task { request, attempt, .. } = *task;
        assert!(self.started.insert((request, attempt)), "{request}/{attempt} started twice");
    }

    /// A started job could not be begun after all.
    pub(crate) fn not_begun(&mut self, task: &Task) {
        self.started.remove(&(task.request, task.attempt));
    }

    pub(crate) fn done(&mut self, task: &Task) {
        let known = self.requests.get_mut(&task.request).expect("a job of nobody");
        known.done += 1;
        assert!(known.idempotent || known.done == 1, "{} done twice", task.request);
        if known.done > 1 {
            self.saw("done twice, idempotent");
        }
    }

    pub(crate) fn noted(&mut self, of: Life, note: &Note) {
        let (delegations, retries) = self.retries.entry(of).or_default();
        match note {
            Note::Delegating { .. } => *delegations += 1,
            Note::Retrying { reason, .. } => {
                // Retries of jobs that were certainly not begun, for the peer's own reasons, are
                // free.
                let is_free = match reason {
                    RetryReason::NotSent | RetryReason::ShuttingDown | RetryReason::Unavailable => {
                        true
                    }
                    RetryReason::Busy | RetryReason::NoAnswer | RetryReason::Beside => false,
                };
                *retries += u32::from(!is_free);
                self.saw("retry");
                self.saw(reason.name());
            }
            Note::Delegated { outcome, .. } | Note::JobEnded { outcome, .. } => {
                self.saw(outcome.name());
            }
            Note::Held { .. } => self.saw("held"),
            Note::LeaseLost { .. } => self.saw("lease lost"),
            Note::PassedOver { .. } => self.saw("passed over"),
            Note::Recovered { .. } => self.saw("recovered"),
            _ => {}
        }
    }

    /// Asserts that retries don't exceed the budget: a share of the delegations, and the floor.
    pub(crate) fn check_budget(&self, of: Life, age: Duration, ratio: f64, floor: f64) {
        let (delegations, retries) = self.retries.get(&of).copied().unwrap_or_default();
        let granted = ratio * f64::from(delegations) + floor * (age.as_secs_f64() + 1.0);
        assert!(f64::from(retries) <= granted + 1e-6, "{retries} retries, {granted} granted");
    }

    /// Asserts that no live agent holds a request beyond its deadline.
    pub(crate) fn check_deadlines(&self, now: Timestamp) {
        let late = self.open_requests().find(|(_, asked)| asked.deadline < now);
        assert!(late.is_none(), "not answered by the deadline: {late:?}");
    }

    /// An agent has crashed, and the requests that it held are lost. Gives back their callers.
    pub(crate) fn crashed(&mut self, of: Life) -> Vec<Caller> {
        let mut callers = Vec::new();
        for ticket in std::mem::take(&mut self.open) {
            let asked = self.tickets.get_mut(&ticket).expect("a ticket");
            if asked.of == of {
                asked.open = false;
                callers.push(asked.caller);
            } else {
                self.open.insert(ticket);
            }
        }
        callers
    }

    /// All requests that are neither answered nor cancelled.
    pub(crate) fn open_requests(&self) -> impl Iterator<Item = (Ticket, &HeldRequest)> {
        self.open.iter().map(|ticket| (*ticket, &self.tickets[ticket]))
    }

    /// The unanswered requests of this caller.
    pub(crate) fn open(&self, caller: Caller) -> Vec<Ticket> {
        let fits = |(_, asked): &(Ticket, &HeldRequest)| asked.caller == caller;
        self.open_requests().filter(fits).map(|(ticket, _)| ticket).collect()
    }
}
