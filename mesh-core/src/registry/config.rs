//! The settings of a registry.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::heartbeat::{HEARTBEATS_PER_TTL, SHORTEST_PERIOD, SHORTEST_TTL};
use crate::conflict::Conflict;
use crate::duration::{AsText, format_duration};

/// The settings of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RegistryConfig {
    /// How long leases last.
    #[serde(flatten)]
    pub leases: LeaseConfig,
    /// How many leases the registry may hold at once; it refuses further agents.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000_000)))]
    pub max_leases: usize,
    /// How many ended lives of agents the registry remembers, so that late heartbeats don't revive
    /// them.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000_000)))]
    pub max_tombstones: usize,
    /// From how large a share of silent agents on the registry ends no lease, in percent; 100:
    /// whatever happens, leases end. An agent counts as silent when it has missed a heartbeat. If
    /// a lease runs out while more than this share of all agents are silent, the registry rather
    /// believes that they can't reach it: it keeps their leases, for ten TTLs at most.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100)))]
    pub protect_percent: u32,
    /// How many leases there must be for `protect_percent` to count: in a small mesh one dead agent
    /// is a large share.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000_000)))]
    pub protect_size: usize,
}

impl Default for RegistryConfig {
    /// 16,384 leases and as many tombstones, without protection.
    fn default() -> Self {
        Self {
            leases: LeaseConfig::default(),
            max_leases: 1 << 14,
            max_tombstones: 1 << 14,
            protect_percent: 100,
            protect_size: 10,
        }
    }
}

impl RegistryConfig {
    /// The settings that contradict others, or what agents can do.
    pub fn conflicts(&self) -> Vec<Conflict> {
        if self.leases.ttl >= SHORTEST_TTL {
            return Vec::new();
        }
        let (least, period) = (format_duration(SHORTEST_TTL), format_duration(SHORTEST_PERIOD));
        vec![Conflict {
            setting: "ttl",
            problem: "agents can't keep leases so short",
            expected: format!(
                "{least} or more: they heartbeat {HEARTBEATS_PER_TTL} times per TTL, at most every \
                 {period}"
            ),
        }]
    }
}

/// How long leases last: part of the table `[registry]` of a scenario and of the settings of
/// `mesh`, beside [`MembershipConfig`](crate::agent::config::MembershipConfig).
///
/// A lease that is over is never listed or renewed. Its end is noted when the registry sweeps it
/// out: at the next multiple of `sweep` at the latest, or at once if `sweep` is zero, which only
/// code can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LeaseConfig {
    /// A lease ends if it is not renewed for this long. It lasts longer if the registry could not
    /// hear its agents.
    #[serde(with = "AsText")]
    pub ttl: Duration,
    /// How long after its end the registry removes a lease, at most.
    #[serde(with = "AsText")]
    pub sweep: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30), sweep: Duration::from_secs(1) }
    }
}
