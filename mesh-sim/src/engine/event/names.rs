//! From a host's name to its number.

use mesh_core::hash::FastMap;
use mesh_core::protocol::Name;

/// The hosts' numbers by name.
#[derive(Debug)]
pub(super) struct Numbers(FastMap<Name, usize>);

impl Numbers {
    pub(super) fn new(hosts: &[Name]) -> Self {
        Self(hosts.iter().cloned().enumerate().map(|(number, name)| (name, number)).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}
