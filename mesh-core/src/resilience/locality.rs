//! Locality: peers of the agent's own site first, and the others when those have too many jobs.
//!
//! Every job of an agent goes to a peer of its own site, under every policy, as long as
//!
//! ```text
//! jobs in flight per peer of the site <= jobs in flight per other peer + spill
//! ```
//!
//! Otherwise, or if no peer of the site is left (they have failed, are busy, or were tried), the
//! policy chooses among all peers. Envoy's balancers know both reasons to spill over:
//! `load_balancing/zone_aware` for missing peers, and `load_aware_locality` for load, which compares
//! with the mean of the other sites and a margin as this one does.
//!
//! The jobs in flight are those that the peers have reported to the registry, corrected by what the
//! agent itself has sent and got back since it knows the list. So an agent does not follow its own
//! jobs with the delay of the reports; those of others it does.
//!
//! It saves the way to another site and back where jobs are short against it. It harms where one
//! site gets more work than it can do and `spill` is large: its jobs then wait though others are
//! idle.

use serde::{Deserialize, Serialize};

/// Whether peers of the own site come first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct LocalityConfig {
    /// Whether peers of the agent's own site get its jobs as long as they have room. Has no effect
    /// on agents without a site.
    pub locality: bool,
    /// The peers of the site have room until each has on average so many more jobs in flight than
    /// each of the other peers.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub locality_spill: f64,
}

impl Default for LocalityConfig {
    /// Off; one job more.
    fn default() -> Self {
        Self { locality: false, locality_spill: 1.0 }
    }
}

/// Some peers, and the jobs that they have in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeersLoad {
    pub(crate) peers: usize,
    pub(crate) in_flight: u64,
}

impl PeersLoad {
    /// The peers that are not among `some` of these.
    fn without(self, some: Self) -> Self {
        let in_flight = self.in_flight.saturating_sub(some.in_flight);
        Self { peers: self.peers.saturating_sub(some.peers), in_flight }
    }
}

impl LocalityConfig {
    /// Whether the peers of the site have room, of all that might have a job.
    pub(crate) fn stays(&self, site: PeersLoad, all: PeersLoad) -> bool {
        let others = all.without(site);
        let mean = |load: PeersLoad| load.in_flight as f64 / load.peers as f64;
        site.peers > 0 && (others.peers == 0 || mean(site) <= mean(others) + self.locality_spill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_stay_until_each_peer_has_so_many_more() {
        let config = LocalityConfig { locality: true, locality_spill: 1.5 };
        let load = |peers, in_flight| PeersLoad { peers, in_flight };
        // 4 peers in all, of which 2 are at the site: those have 5 jobs, 2.5 each.
        for (others, stays) in [(0, false), (1, false), (2, true), (9, true)] {
            assert_eq!(config.stays(load(2, 5), load(4, 5 + others)), stays, "{others}");
        }
        assert!(!config.stays(load(0, 0), load(4, 0)), "nobody is there");
        assert!(config.stays(load(2, 100), load(2, 100)), "nobody else is there");
    }
}
