//! What protects delegations under every policy: the memory of peers that failed, and the retry
//! budget.
//!
//! Each file has one `Decorator`. The agent asks the decorators before each choice which peers are
//! to be passed over, asks them before each retry whether it may be made, and tells them when each
//! call begins and ends. No policy knows of them: it chooses among the peers that they leave.

mod passive_health;
mod retry_budget;

use std::sync::Arc;
use std::time::Duration;

pub use self::passive_health::HealthConfig;
use self::passive_health::PassiveHealth;
pub use self::retry_budget::{RetryBudget, RetryConfig};
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::time::Timestamp;

/// The decorators of one agent, in the order in which they are asked. To add one, put it here as
/// the partner of a pair: `(PassiveHealth, (RetryBudget, Another))`.
pub(crate) type Decorators = (PassiveHealth, RetryBudget);

/// The decorators of an agent that starts at `now`.
pub(crate) fn decorators(now: Timestamp, retry: RetryConfig, health: &HealthConfig) -> Decorators {
    (PassiveHealth::new(health), RetryBudget::new(now, retry))
}

/// A rule that protects delegations under every policy. An agent owns its decorators, each with its
/// own state. By default every method does nothing and allows everything; a decorator implements
/// those that it needs.
pub(crate) trait Decorator {
    /// A delegation begins.
    fn on_request(&mut self, _now: Timestamp) {}

    /// Before a choice: calls `pass_over` for each peer that is not to be chosen as long as there
    /// are others.
    fn passed_over<'a>(
        &'a self,
        _now: Timestamp,
        _pass_over: &mut impl FnMut(&'a Arc<ListedLease>),
    ) {
    }

    /// Before a retry: whether it may be made. A decorator that allows it counts it as made. The
    /// decorators are asked in turn until one refuses.
    fn may_retry(&mut self, _now: Timestamp, _cost: RetryCost) -> bool {
        true
    }

    /// A job or a probe is sent to a peer. The call will end by `until`.
    fn on_sent(&mut self, _now: Timestamp, _peer: PeerId, _until: Timestamp) {}

    /// A call is over: it was answered, it failed, or nobody waits for its answer any more. Gives
    /// back whether that changes how the peer is treated.
    fn on_end(&mut self, _now: Timestamp, _end: &EndedCall<'_>) -> Option<HealthChange> {
        None
    }

    /// There is a new list: what is remembered of peers that are not in it is to be forgotten.
    fn on_list(&mut self, _is_listed: IsListed<'_>) {}
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

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        // Both must hear of the end; at most one of them is expected to change something.
        let (first, second) = (self.0.on_end(now, end), self.1.on_end(now, end));
        first.or(second)
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.0.on_list(is_listed);
        self.1.on_list(is_listed);
    }
}

/// What a retry costs: whether it adds load to the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryCost {
    /// The job was certainly not begun, for a reason that concerns this peer alone. So the retry
    /// does no work twice, and as the peer is passed over for the next jobs, such retries remain
    /// few.
    Nothing,
    /// One retry of the budget, because the mesh may be full, or because the job may be done twice.
    One,
}

/// The end of a call to a peer, as decorators are told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedCall<'a> {
    /// The peer's lease.
    pub(crate) lease: &'a Arc<ListedLease>,
    /// What the end says about the peer's health.
    pub(crate) symptom: Symptom,
    /// The skill that the job demands, if the call was for a job that demands one.
    pub(crate) skill: Option<&'a str>,
    /// How many peers might have had the job: all that the agent knows, or those with the skill.
    pub(crate) able: usize,
}

/// What the end of a call says about the peer's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// The peer does its jobs.
    Well,
    /// Nothing: the peer is full, the request itself was wrong, or nobody waited for the answer.
    None,
    /// A failure whose cause may be the job and not the peer, so only several in a row count.
    Failed(PassOverReason),
    /// The peer can't do any job, so one such failure is enough.
    Down(PassOverReason),
    /// As [`Self::Down`], and the peer asks its callers to stay away for this long.
    Away(PassOverReason, Duration),
}

/// Why a peer is passed over for a while: how it failed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassOverReason {
    /// No connection to it could be opened.
    NotSent,
    /// It did not answer a probe or several jobs.
    NoAnswer,
    /// It says that it is shutting down.
    ShuttingDown,
    /// It says that the service or command behind it can't begin any job.
    Unavailable,
    /// Its jobs ran and failed.
    JobFailed,
    /// It says that it doesn't know whether its jobs were done.
    OutcomeUnknown,
    /// It answered jobs with errors that are not the mesh's, or with answers of another method.
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

/// A change in how an agent treats a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthChange {
    /// The peer is passed over from now on.
    PassedOver {
        /// How long it is passed over.
        penalty: Duration,
        /// How it failed.
        reason: PassOverReason,
    },
    /// The peer was passed over before, and has done a job.
    Recovered,
}
