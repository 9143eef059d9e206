//! What protects delegations under every policy: the memory of peers that failed, the retry budget,
//! and the modifiers, which are off unless the settings switch them on.
//!
//! Each file has one `Decorator`, but for locality, which the agent's view of its peers applies. The
//! agent asks the decorators before each choice which peers are to be passed over, asks them before
//! each delegation and each retry whether it may be made, and tells them when each call begins and
//! ends. No policy knows of them: it chooses among the peers that they leave.

mod busy_peers;
mod combined;
mod ejection;
mod hedging;
mod locality;
mod modifiers;
mod passive_health;
mod retry_budget;
mod slow_start;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

use self::busy_peers::BusyPeers;
pub use self::ejection::EjectionConfig;
pub use self::hedging::HedgingConfig;
pub use self::locality::LocalityConfig;
pub(crate) use self::locality::PeersLoad;
pub use self::modifiers::ModifierConfig;
use self::modifiers::Modifiers;
pub use self::passive_health::HealthConfig;
use self::passive_health::PassiveHealth;
pub use self::retry_budget::{RetryBudget, RetryConfig};
pub use self::slow_start::SlowStartConfig;
pub use self::throttle::ThrottleConfig;
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::seed::Seed;
use crate::time::Timestamp;

/// The decorators of one agent, in the order in which they are asked. To add one, put it here as
/// the partner of a pair, or among the [`Modifiers`] if it is off by default.
pub(crate) type Decorators = (PassiveHealth, (RetryBudget, (BusyPeers, Option<Box<Modifiers>>)));

/// The settings of all decorators of an agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecoratorConfig<'a> {
    pub(crate) retry: RetryConfig,
    pub(crate) health: &'a HealthConfig,
    pub(crate) modifiers: &'a ModifierConfig,
}

/// The decorators of an agent that starts at `now` and draws its random choices from `seed`.
pub(crate) fn decorators(now: Timestamp, config: DecoratorConfig<'_>, seed: &Seed) -> Decorators {
    let DecoratorConfig { retry, health, modifiers } = config;
    let modifiers = modifiers::modifiers(now, modifiers, seed);
    (
        PassiveHealth::new(health),
        (RetryBudget::new(now, retry), (BusyPeers::new(health), modifiers)),
    )
}

/// A rule that protects delegations under every policy. An agent owns its decorators, each with its
/// own state. By default every method does nothing and allows everything; a decorator implements
/// those that it needs.
pub(crate) trait Decorator {
    /// A delegation is about to begin: whether it may. If not, after how long its caller may ask
    /// again.
    fn may_begin(&mut self, _now: Timestamp) -> Result<(), Duration> {
        Ok(())
    }

    /// A delegation begins.
    fn on_request(&mut self, _now: Timestamp) {}

    /// A delegation has ended: whether its job was answered.
    fn on_delegated(&mut self, _now: Timestamp, _is_success: bool) {}

    /// A choice is about to be made: the last time to change something before [`Self::passed_over`]
    /// and [`Self::held_back`] are asked.
    fn before_choice(&mut self, _now: Timestamp, _choosing: &mut Choosing<'_>) {}

    /// Before a choice: calls `pass_over` for each peer that is not to be chosen as long as there
    /// are others.
    fn passed_over<'a>(
        &'a self,
        _now: Timestamp,
        _pass_over: &mut impl FnMut(&'a Arc<ListedLease>),
    ) {
    }

    /// Before a choice: calls `hold_back` for each peer that would do its jobs, but should not get
    /// this one. It is chosen before those that are passed over.
    fn held_back<'a>(&'a self, _now: Timestamp, _hold_back: &mut impl FnMut(&'a Arc<ListedLease>)) {
    }

    /// Before a retry: whether it may be made. A decorator that allows it counts it as made. The
    /// decorators are asked in turn until one refuses.
    fn may_retry(&mut self, _now: Timestamp, _cost: RetryCost) -> bool {
        true
    }

    /// A job was sent to a peer: after how long without an answer it is to be sent to one more.
    fn copy_after(&mut self, _now: Timestamp) -> Option<Duration> {
        None
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

    /// Whether it is told of peers that join.
    fn wants_members(&self) -> bool {
        false
    }

    /// A peer is new in the list, and not because it is the agent's first list.
    fn on_joined(&mut self, _now: Timestamp, _lease: &Arc<ListedLease>) {}
}

/// A choice that is about to be made.
pub(crate) struct Choosing<'a> {
    /// How many peers the agent knows.
    pub(crate) peers: usize,
    /// To be told of each peer that is treated in another way from now on.
    pub(crate) changed: &'a mut dyn FnMut(&Arc<ListedLease>, HealthChange),
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
    /// How long the peer took for the job.
    pub(crate) time: JobTime,
}

/// How long a peer took for a job, as far as the end of the call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobTime {
    /// Nothing is known: the job was not begun, or the call was a probe.
    Unknown,
    /// It was answered after this time.
    Took(Duration),
    /// Nobody waited any longer after this time: it would have taken more.
    AtLeast(Duration),
}

/// What the end of a call says about the peer's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// The peer does its jobs.
    Well,
    /// Nothing: the peer is full, the request itself was wrong, or nobody waited for the answer.
    None,
    /// The peer is full, and says after how long it may have room.
    Full(Duration),
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
    /// Its jobs failed more often than those of the other peers.
    Outlier,
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
            Self::Outlier => "outlier",
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
