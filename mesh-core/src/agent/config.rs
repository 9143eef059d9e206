//! An agent's settings.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::Name;
use crate::resilience::{HealthConfig, RetryConfig};
use crate::routing::{DEFAULT_POLICY, PolicyFactory};

/// Who an [`super::Agent`] is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name in the registry.
    pub name: Name,
    /// Its address for peers, `host:port`.
    pub url: Arc<str>,
    /// Number of this life of the name; a later life has a greater one.
    pub incarnation: u64,
}

/// How an [`super::Agent`] behaves. Agents that behave alike may share one.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// What it admits.
    pub admission: AdmissionConfig,
    /// How it delegates.
    pub delegation: DelegationConfig,
    /// How it keeps its lease and its view of the peers.
    pub membership: MembershipConfig,
    /// Builds what chooses among peers: a built-in policy, or one of your own.
    pub policy: Arc<dyn PolicyFactory>,
}

// Derived, it would move the policy out of its place (rust-lang/rust#78808).
impl PartialEq for AgentConfig {
    fn eq(&self, other: &Self) -> bool {
        let Self { admission, delegation, membership, policy } = self;
        *admission == other.admission
            && *delegation == other.delegation
            && *membership == other.membership
            && **policy == *other.policy
    }
}

/// An agent that is told nothing: it chooses by [`DEFAULT_POLICY`].
impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            admission: AdmissionConfig::default(),
            delegation: DelegationConfig::default(),
            membership: MembershipConfig::default(),
            policy: Arc::new(DEFAULT_POLICY.defaults()),
        }
    }
}

/// Limits on the jobs of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Jobs that may run at once; `None`: no limit.
    pub concurrency: Option<u32>,
    /// Jobs that may wait for a slot.
    pub queue: u32,
    /// A job whose caller names no timeout is given up after this long.
    pub default_timeout: Duration,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self { concurrency: Some(4), queue: 64, default_timeout: Duration::from_secs(30) }
    }
}

/// Limits on delegations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelegationConfig {
    /// How long a round of probes may take.
    pub probe_timeout: Duration,
    /// How long one attempt may take; `None`: until the deadline.
    pub attempt_timeout: Option<Duration>,
    /// Rounds per delegation. A round is a choice among peers: as a rule it ends with an attempt,
    /// but one whose probes all fail counts as well, and so does an attempt beside another.
    pub max_attempts: u32,
    /// Retries.
    pub retry: RetryConfig,
    /// Peers that fail.
    pub health: HealthConfig,
    /// Delegations that may stand behind one request.
    pub max_depth: u32,
    /// Whether the agent may choose itself.
    pub to_self: bool,
    /// Delegations that may be under way at once.
    pub max_open: u32,
}

impl Default for DelegationConfig {
    fn default() -> Self {
        Self {
            probe_timeout: Duration::from_millis(200),
            attempt_timeout: None,
            max_attempts: 3,
            retry: RetryConfig::default(),
            health: HealthConfig::default(),
            max_depth: 4,
            to_self: false,
            max_open: 10_000,
        }
    }
}

/// How an agent uses the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MembershipConfig {
    /// Time between heartbeats, before jitter, unless the registry's TTL asks for more of them: see
    /// [`heartbeat_period`].
    pub heartbeat: Duration,
    /// Time between fetches of the list of peers; the first few, and those after a restart of the
    /// registry, come sooner.
    pub refresh: Duration,
    /// How long to wait for the registry's answer.
    pub timeout: Duration,
    /// Share of each period, 0 to 0.5, that it may be shorter or longer; to the millionth.
    pub jitter: f64,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            refresh: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            jitter: 0.1,
        }
    }
}

/// A lease is renewed so often, if the setting does not say more often: two heartbeats may be lost.
pub const HEARTBEATS_PER_TTL: u32 = 3;
/// However short the TTL, heartbeats don't come more often than this because of it.
pub const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// Time between heartbeats, before jitter, where `heartbeat` is set and leases last for `ttl`.
pub fn heartbeat_period(heartbeat: Duration, ttl: Duration) -> Duration {
    heartbeat.min((ttl / HEARTBEATS_PER_TTL).max(SHORTEST_PERIOD))
}
