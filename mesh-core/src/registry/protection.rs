//! Protection: whether leases that run out are to be believed.

use std::time::Duration;

use super::config::RegistryConfig;
use super::hearing::longest_pause;
use super::lease::Lease;
use super::lease_table::LeaseTable;

/// For how many TTLs a lease is kept that has run out. Without an end, the agents of a site that is
/// gone for good would stay in the list.
const LONGEST_TTLS: u32 = 10;

/// Keeps leases that run out while too many agents are silent.
#[derive(Debug)]
pub(super) struct Protection {
    percent: usize,
    size: usize,
    ttl: Duration,
}

impl Protection {
    pub(super) fn new(config: &RegistryConfig) -> Self {
        let RegistryConfig { leases, protect_percent, protect_size, .. } = config;
        Self { percent: *protect_percent as usize, size: *protect_size, ttl: leases.ttl }
    }

    /// A lease has run out. Extends it by one TTL if it is to be kept; else gives back false.
    /// `others` are all other leases.
    pub(super) fn keep(&self, lease: &mut Lease, others: &LeaseTable) -> bool {
        let leases = others.len() + 1;
        if self.percent >= 100 || leases < self.size {
            return false;
        }
        let until = lease.protected_until;
        let until = until.unwrap_or(lease.expires_at + self.ttl.saturating_mul(LONGEST_TTLS));
        // So many silent agents are still believed to be dead.
        let believed = leases.saturating_mul(self.percent) / 100;
        let kept = others.protected() + 1;
        // An agent that was silent for longer than any working one has at most this much left.
        let left = self.ttl.saturating_sub(longest_pause(self.ttl));
        let enough = (believed + 1).saturating_sub(kept);
        let silent = kept + others.due_by(lease.expires_at + left, enough);
        if silent <= believed || lease.expires_at >= until {
            return false;
        }
        lease.protected_until = Some(until);
        lease.expires_at = (lease.expires_at + self.ttl).min(until);
        true
    }
}
