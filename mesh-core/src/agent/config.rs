//! An agent's settings.
//!
//! This is the only place that states a setting's name, default, bounds and meaning. Scenario
//! files, the options of `mesh` and its settings file follow from these types: serde reads and
//! writes them, and with the feature `schema` their JSON Schema gives the rest. So the comments on
//! the fields are what users read in `mesh agent --help` and in an editor. Durations are texts with
//! a unit, more than 0 and at most [`LONGEST`](crate::duration::LONGEST).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::conflict::Conflict;
use crate::duration::{AsOptionalText, AsText, format_duration};
use crate::profile::Profile;
use crate::protocol::Name;
use crate::resilience::{HealthConfig, ModifierConfig, RetryConfig};
use crate::routing::{DEFAULT_POLICY, PolicyFactory};
use crate::trace::TraceConfig;

/// How many registries an agent may know at most. Each gets all its heartbeats.
pub const MAX_REGISTRIES: usize = 8;

/// Who an [`super::Agent`] is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name in the registry.
    pub name: Name,
    /// Its address for peers, `host:port`.
    pub url: Arc<str>,
    /// Number of this life of the name. Each start of the process must choose a greater one.
    pub incarnation: u64,
}

/// How an [`super::Agent`] behaves. It never changes while the agent runs, and agents that behave
/// alike may share one in an [`Arc`].
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Which requests it takes.
    pub admission: AdmissionConfig,
    /// What it says of itself: its skills, its weight and its site. It refuses jobs that demand
    /// another skill.
    pub profile: Profile,
    /// How it delegates.
    pub delegation: DelegationConfig,
    /// How it keeps its lease and its view of the peers.
    pub membership: MembershipConfig,
    /// How many registries list it. It holds a lease at each, and sees the peers that any of them
    /// lists. The driver knows their addresses; see [`Effect::Registry`](super::Effect::Registry).
    pub registries: NonZeroUsize,
    /// Builds the agent's routing policy: a built-in one, or one of your own.
    pub policy: Arc<dyn PolicyFactory>,
    /// Which traces it records spans of. `None`: of none, and traces are only passed on.
    pub tracing: Option<TraceConfig>,
}

impl AgentConfig {
    /// To how many more peers a job is sent at most while others have it.
    pub(super) fn hedge_copies(&self) -> u32 {
        self.delegation.modifiers.hedging.hedge_copies
    }
}

// Written out, because `derive` doesn't compile for a field of type `Arc<dyn PolicyFactory>`
// (rust-lang/rust#78808).
impl PartialEq for AgentConfig {
    fn eq(&self, other: &Self) -> bool {
        let Self { admission, profile, delegation, membership, registries, policy, tracing } = self;
        *admission == other.admission
            && *profile == other.profile
            && *delegation == other.delegation
            && *membership == other.membership
            && *registries == other.registries
            && **policy == *other.policy
            && *tracing == other.tracing
    }
}

/// All settings at their defaults, one registry, and the policy [`DEFAULT_POLICY`].
impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            admission: AdmissionConfig::default(),
            profile: Profile::default(),
            delegation: DelegationConfig::default(),
            membership: MembershipConfig::default(),
            registries: NonZeroUsize::MIN,
            policy: Arc::new(DEFAULT_POLICY.defaults()),
            tracing: None,
        }
    }
}

/// Which requests an agent takes, and how long it keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AdmissionConfig {
    /// How many jobs may run at once, or "unlimited".
    pub concurrency: Concurrency,
    /// How many jobs may wait for a free slot; further jobs are refused as busy.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000)))]
    pub queue: u32,
    /// How long a request may take if it names no timeout of its own.
    #[serde(rename = "timeout", with = "AsText")]
    pub default_timeout: Duration,
    /// How often a job may be delegated, from agent to agent; a further `delegate` request for it
    /// is refused as too deep.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000)))]
    pub max_depth: u32,
    /// Whether an agent that refuses a job as busy says after how long it may have room.
    pub busy_hint: bool,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::Limit(4),
            queue: 64,
            default_timeout: Duration::from_secs(30),
            max_depth: 4,
            busy_hint: false,
        }
    }
}

/// How many jobs may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(transform = with_numbers_first)
)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// All jobs run at once and share the machine's cores.
    Unlimited,
    /// At most this many.
    #[serde(untagged)]
    Limit(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))] u32),
}

/// Puts the number before the word in the schema. Serde needs the untagged variant last, but people
/// should read the usual form first.
#[cfg(feature = "schema")]
fn with_numbers_first(schema: &mut schemars::Schema) {
    if let Some(serde_json::Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.reverse();
    }
}

impl Concurrency {
    /// The most jobs that may run at once; `None`: no limit.
    pub const fn limit(self) -> Option<u32> {
        match self {
            Self::Limit(limit) => Some(limit),
            Self::Unlimited => None,
        }
    }

    /// Whether one more job may run besides the `running` ones.
    pub const fn allows_more_than(self, running: u32) -> bool {
        match self {
            Self::Limit(limit) => running < limit,
            Self::Unlimited => true,
        }
    }
}

/// How agents delegate: the table `[delegation]` of a scenario and of the settings of `mesh`.
///
/// The driver enforces `connect_timeout`, because the state machine opens no connections; the agent
/// itself enforces all other limits.
///
/// `max_attempts` bounds rounds. A round chooses one peer and sends it the job, so as a rule a
/// round is an attempt. A round whose probes all fail counts too, although no job is sent in it,
/// and so does an attempt that runs beside another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Delegation", description = "How agents delegate.")
)]
#[serde(default)]
pub struct DelegationConfig {
    /// How long the agent waits for the answer to a probe.
    #[serde(with = "AsText")]
    pub probe_timeout: Duration,
    /// How long it may take to open a connection to a peer; a call that exceeds this was never
    /// sent.
    #[serde(with = "AsText")]
    pub connect_timeout: Duration,
    /// How long one attempt may take; more than `connect_timeout`. If left out: until the deadline
    /// of the request.
    #[serde(with = "AsOptionalText", skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// How many rounds a delegation may have, the first included. In a round, the agent chooses a
    /// peer and sends it the job; a round whose probes all fail counts, too.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub max_attempts: u32,
    /// The budget for further attempts.
    #[serde(flatten)]
    pub retry: RetryConfig,
    /// Which peers are passed over, and for how long.
    #[serde(flatten)]
    pub health: HealthConfig,
    /// What else combines with every policy, and is off unless it is switched on.
    #[serde(flatten)]
    pub modifiers: ModifierConfig,
    /// Whether an agent may delegate to itself.
    pub to_self: bool,
    /// How many delegations an agent may have under way at once; it refuses further ones as busy.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub max_open: u32,
}

impl Default for DelegationConfig {
    fn default() -> Self {
        Self {
            probe_timeout: Duration::from_millis(200),
            connect_timeout: Duration::from_secs(1),
            attempt_timeout: None,
            max_attempts: 3,
            retry: RetryConfig::default(),
            health: HealthConfig::default(),
            modifiers: ModifierConfig::default(),
            to_self: false,
            max_open: 10_000,
        }
    }
}

impl DelegationConfig {
    /// The settings that contradict others of this group.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let connect = self.connect_timeout;
        if self.attempt_timeout.is_some_and(|attempt| !attempt.is_zero() && attempt <= connect) {
            // An attempt that times out while it still connects would count as sent, and then a job
            // that is not idempotent could not be tried elsewhere.
            let connect = format_duration(connect);
            conflicts.push(Conflict {
                setting: "attempt_timeout",
                problem: "attempts may end before they are sent",
                expected: format!("more than `connect_timeout`, which is {connect}"),
            });
        }
        let HealthConfig { min_penalty, max_penalty, .. } = self.health;
        if max_penalty < min_penalty {
            let min = format_duration(min_penalty);
            conflicts.push(Conflict {
                setting: "max_penalty",
                problem: "the longest penalty is shorter than the first",
                expected: format!("`min_penalty`, which is {min}, or more"),
            });
        }
        conflicts.extend(self.modifiers.conflicts());
        conflicts
    }
}

/// How an agent uses the registry: part of the table `[registry]` of a scenario and of the settings
/// of `mesh`.
///
/// An agent fetches the first few lists, and those after a restart of the registry, sooner than
/// `refresh` says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MembershipConfig {
    /// How often agents renew their lease, with jitter; less than `ttl`. If it is more than a third
    /// of `ttl`, they renew it three times per TTL, but at most 100 times a second.
    #[serde(with = "AsText")]
    pub heartbeat: Duration,
    /// How often agents fetch the list of peers, with jitter.
    #[serde(with = "AsText")]
    pub refresh: Duration,
    /// Heartbeats and fetches come earlier or later by up to this share of their period, so that
    /// agents that start together do not stay in step. 0: they stay in step.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 0.5)))]
    pub jitter: f64,
    /// How long an agent waits for an answer of the registry.
    #[serde(with = "AsText")]
    pub timeout: Duration,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            refresh: Duration::from_secs(5),
            jitter: 0.1,
            timeout: Duration::from_secs(1),
        }
    }
}
