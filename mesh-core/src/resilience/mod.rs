//! What protects delegations whatever their policy is.
//!
//! Each file has one `Decorator`. The agent asks the decorators before each choice who is not to
//! be chosen, before each retry whether it may be made, and tells them of each call's beginning and
//! end. No policy knows of them: it chooses among the peers that they leave.

mod passive_health;
mod retry_budget;

use std::sync::Arc;
use std::time::Duration;

pub use self::passive_health::HealthConfig;
use self::passive_health::PassiveHealth;
pub use self::retry_budget::{RetryBudget, RetryConfig};
use crate::roster::{ListedLease, PeerId};
use crate::time::Timestamp;

/// The decorators of one agent, in the order in which they are asked. Another one is added here, as
/// one more pair.
pub(crate) type Decorators = (PassiveHealth, RetryBudget);

/// The decorators of an agent that starts at `now`.
pub(crate) fn decorators(now: Timestamp, retry: RetryConfig, health: &HealthConfig) -> Decorators {
    (PassiveHealth::new(health), RetryBudget::new(now, retry))
}

/// Something that protects delegations whatever their policy is. Each method does nothing unless a
/// decorator says otherwise.
pub(crate) trait Decorator {
    /// A delegation was accepted.
    fn on_request(&mut self, _now: Timestamp) {}

    /// Before a choice: hands each peer to `pass_over` that is not to be chosen as long as there are
    /// others.
    fn passed_over<'a>(
        &'a self,
        _now: Timestamp,
        _pass_over: &mut impl FnMut(&'a Arc<ListedLease>),
    ) {
    }

    /// Before a retry: whether it may be made. One that says yes counts it as made. The decorators
    /// are asked in turn until one says no.
    fn may_retry(&mut self, _now: Timestamp, _cost: RetryCost) -> bool {
        true
    }

    /// A job or a probe is sent to a peer, which will have answered by `until`.
    fn on_sent(&mut self, _now: Timestamp, _peer: PeerId, _until: Timestamp) {}

    /// A call is over: it was answered, it failed, or nobody wants its answer any more.
    fn on_end(&mut self, _now: Timestamp, _end: &CallEnd<'_>) -> Option<HealthChange> {
        None
    }

    /// Peers have left the list; `left` is in order.
    fn on_left(&mut self, _left: &[PeerId]) {}

    /// Whether there is nothing that [`Self::on_left`] could forget.
    fn remembers_nobody(&self) -> bool {
        true
    }
}

impl<A: Decorator, B: Decorator> Decorator for (A, B) {
    fn on_request(&mut self, now: Timestamp) {
        self.0.on_request(now);
        self.1.on_request(now);
    }

    fn passed_over<'a>(&'a self, now: Timestamp, pass_over: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.0.passed_over(now, pass_over);
        self.1.passed_over(now, pass_over);
    }

    fn may_retry(&mut self, now: Timestamp, cost: RetryCost) -> bool {
        self.0.may_retry(now, cost) && self.1.may_retry(now, cost)
    }

    fn on_sent(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        self.0.on_sent(now, peer, until);
        self.1.on_sent(now, peer, until);
    }

    fn on_end(&mut self, now: Timestamp, end: &CallEnd<'_>) -> Option<HealthChange> {
        let (first, second) = (self.0.on_end(now, end), self.1.on_end(now, end));
        first.or(second)
    }

    fn on_left(&mut self, left: &[PeerId]) {
        self.0.on_left(left);
        self.1.on_left(left);
    }

    fn remembers_nobody(&self) -> bool {
        self.0.remembers_nobody() && self.1.remembers_nobody()
    }
}

/// What a retry costs the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryCost {
    /// Nothing: the job was certainly not begun, for a reason that is the peer's alone. So the retry
    /// does no work twice, and the peer is passed over for the next jobs.
    Nothing,
    /// One retry: the mesh is short of room, or the job may be done twice.
    One,
}

/// The end of a call to a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallEnd<'a> {
    /// The peer.
    pub(crate) lease: &'a Arc<ListedLease>,
    /// What the end says of the peer's health.
    pub(crate) symptom: Symptom,
    /// How many peers the agent knows.
    pub(crate) peers: usize,
}

/// What the end of a call says of the peer's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// It does its jobs.
    Well,
    /// Nothing: it is full, the request was at fault, or nobody waited for the answer.
    None,
    /// A failure that may be the job's own: several in a row count.
    Failed(PassOverReason),
    /// It can do no job: one counts.
    Down(PassOverReason),
}

/// How a peer failed that is passed over for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassOverReason {
    /// No connection to it could be opened.
    NotSent,
    /// It left a probe or jobs without an answer.
    NoAnswer,
    /// It says that it is stopping.
    ShuttingDown,
    /// It says that what does its jobs can't begin any.
    Unavailable,
    /// Its jobs ran and failed.
    JobFailed,
    /// It doesn't know what has become of its jobs.
    OutcomeUnknown,
    /// It answered jobs with errors that are not the mesh's, or with something that answers no job.
    OtherError,
}

impl PassOverReason {
    /// A short name for metrics and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NoAnswer => "no_answer",
            Self::ShuttingDown => "shutting_down",
            Self::Unavailable => "unavailable",
            Self::JobFailed => "job_failed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::OtherError => "other_error",
        }
    }
}

/// A change in how a peer is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthChange {
    /// It is passed over.
    PassedOver {
        /// For so long.
        penalty: Duration,
        /// How it failed.
        reason: PassOverReason,
    },
    /// It was passed over, and has done a job.
    Recovered,
}
