//! A lease as lists carry it.

use std::sync::Arc;

use crate::load::LoadReport;
use crate::prefetch::prefetch_arc;
use crate::protocol::Name;

/// One live lease.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLease {
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
    /// Asks the processor for what it points to.
    pub(crate) fn prefetch(&self) {
        prefetch_arc(&self.name);
        prefetch_arc(&self.url);
    }

    /// Whether both are of one life at one address, whatever their loads.
    pub(crate) fn is_same_life(&self, other: &Self) -> bool {
        (&self.name, self.incarnation, &self.url) == (&other.name, other.incarnation, &other.url)
    }
}
