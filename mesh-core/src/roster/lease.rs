//! A lease as lists carry it.

use std::num::NonZeroU64;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::hash::TableKey;
use crate::load::LoadReport;
use crate::prefetch::prefetch_arc;
use crate::protocol::Name;

/// One life of a peer: a process that holds a name at an address.
///
/// The identity is the same in every list, in every agent and on every machine, for as long as the
/// process keeps its lease: lists that come and go, retries and renewed leases don't change it. A
/// process that starts anew has another one, even under the same name.
///
/// It is the beginning of a SHA-256 of name, address and incarnation: nothing needs to be agreed
/// upon, and no agent needs a table of its own. 64 bits are enough: among 10,000 peers the odds that
/// any two share an identity are 1 in 370 billion (n^2 / 2^65). Those two would share what an agent
/// remembers of them, such as round trips and failures; a job would still go to the one chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(NonZeroU64);

impl PeerId {
    /// The identity of the process that calls itself so.
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
        // 0 and the greatest number stand for no peer: in an `Option` and in tables.
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN).min(GREATEST))
    }

    /// The identity as a number that is spread evenly over 64 bits.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

/// The greatest number of a peer.
const GREATEST: NonZeroU64 = NonZeroU64::new(u64::MAX - 1).unwrap();

impl TableKey for PeerId {
    const FREE: Self = Self(NonZeroU64::MAX);

    fn spread(self) -> usize {
        // The hash that it is needs no more mixing.
        self.0.get() as usize
    }
}

/// One live lease, as the registry lists it.
///
/// The registry makes one at each heartbeat, and all agents of a process share it. Name, address and
/// incarnation are not to be changed: they are the [`PeerId`].
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLease {
    id: PeerId,
    /// The agent's name.
    pub name: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// Which life of the name; 0 for agents that don't say.
    pub incarnation: u64,
    /// The load it reported with its last heartbeat.
    pub load: Option<LoadReport>,
}

impl ListedLease {
    /// A lease of the agent of that name at that address, `host:port`.
    pub fn new(
        name: impl Into<Name>,
        url: impl Into<Arc<str>>,
        incarnation: u64,
        load: Option<LoadReport>,
    ) -> Self {
        let (name, url) = (name.into(), url.into());
        Self { id: PeerId::new(&name, &url, incarnation), name, url, incarnation, load }
    }

    /// The same lease after another heartbeat.
    pub(crate) fn with_load(&self, load: Option<LoadReport>) -> Self {
        Self { load, ..self.clone() }
    }

    /// Whose lease it is.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Asks the processor for what it points to.
    pub(crate) fn prefetch(&self) {
        prefetch_arc(&self.name);
        prefetch_arc(&self.url);
    }

    /// Whether both are of one life at one address, whatever their loads.
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
