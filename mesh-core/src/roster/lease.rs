//! A lease as lists carry it, and the identity of a peer.

use std::num::NonZeroU64;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::hash::TableKey;
use crate::load::LoadReport;
use crate::prefetch::prefetch_arc;
use crate::profile::Profile;
use crate::protocol::Name;

/// The identity of a peer: of one process that holds a name at an address, under one incarnation.
///
/// The identity is the same in every list, in every agent and on every machine, for as long as the
/// process keeps its lease: new lists, retries and heartbeats don't change it. A process that
/// starts anew has another identity, even under the same name.
///
/// It is the first 8 bytes of a SHA-256 of name, address and incarnation. So agents need not agree
/// on it or keep a table of it. 64 bits are enough: among 10,000 peers the odds that any two share
/// an identity are 1 in 370 billion (n^2 / 2^65). An agent would mix up what it remembers of those
/// two, such as round trips and failures; a job would still go to the one that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(NonZeroU64);

impl PeerId {
    /// The identity of the process with this name, address (`host:port`) and incarnation.
    pub fn new(name: &str, url: &str, incarnation: u64) -> Self {
        let mut hash = Sha256::new();
        // A length before each part keeps ("ab", "c") and ("a", "bc") apart.
        for part in [name, url] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(incarnation.to_le_bytes());
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
        let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        // 0 means `None` in an `Option`, and the greatest number marks a free place in a hash
        // table.
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN).min(GREATEST))
    }

    /// The identity as a number that is spread evenly over 64 bits.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

/// The greatest number that an identity may have.
const GREATEST: NonZeroU64 = NonZeroU64::new(u64::MAX - 1).unwrap();

impl TableKey for PeerId {
    const FREE: Self = Self(NonZeroU64::MAX);

    fn spread(self) -> usize {
        // It is a hash already.
        self.0.get() as usize
    }
}

/// One live lease, as the registry lists it.
///
/// The registry makes a new one at each heartbeat, and all agents of a process share it. Don't
/// change its name, address or incarnation: its [`PeerId`] was computed from them.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLease {
    id: PeerId,
    /// The agent's name.
    pub name: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// The incarnation that holds the lease; 0 for agents that don't name one.
    pub incarnation: u64,
    /// The load it reported with its last heartbeat.
    pub load: Option<LoadReport>,
    /// What else the agent says of itself.
    pub profile: Profile,
    /// Whether the agent is about to go, so that it should not be chosen for new jobs.
    pub draining: bool,
}

impl ListedLease {
    /// The lease of an agent with this name, address (`host:port`), incarnation and load, and
    /// which says nothing else of itself.
    pub fn new(
        name: impl Into<Name>,
        url: impl Into<Arc<str>>,
        incarnation: u64,
        load: Option<LoadReport>,
    ) -> Self {
        let (name, url) = (name.into(), url.into());
        let (id, profile) = (PeerId::new(&name, &url, incarnation), Profile::default());
        Self { id, name, url, incarnation, load, profile, draining: false }
    }

    /// The same lease of an agent with this profile.
    pub fn with_profile(self, profile: impl Into<Profile>) -> Self {
        Self { profile: profile.into(), ..self }
    }

    /// The same lease of an agent that is about to go, or is not.
    pub fn with_draining(self, draining: bool) -> Self {
        Self { draining, ..self }
    }

    /// The same lease after another heartbeat, which reported this load.
    pub(crate) fn with_load(&self, load: Option<LoadReport>) -> Self {
        Self { load, ..self.clone() }
    }

    /// The identity of the process that holds the lease.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Asks the processor for the name and the address, which it points to.
    pub(crate) fn prefetch(&self) {
        prefetch_arc(&self.name);
        prefetch_arc(&self.url);
    }

    /// Whether both are leases of the same process, whatever their loads.
    pub(crate) fn is_same_life(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_of_a_life_at_an_address_for_ever() {
        let id = PeerId::new("agent-1", "h:1", 1);
        assert_eq!(id.number(), 7_142_190_786_313_250_298);
        let load = LoadReport { in_flight: 3, ..LoadReport::default() };
        let lease = ListedLease::new("agent-1", "h:1", 1, None);
        assert_eq!((lease.id(), lease.with_load(Some(load)).id()), (id, id));
        for other in [
            PeerId::new("agent-2", "h:1", 1),
            PeerId::new("agent-1", "h:2", 1),
            PeerId::new("agent-1", "h:1", 2),
            PeerId::new("agent-1h", ":1", 1),
        ] {
            assert_ne!(other, id);
        }
    }
}
