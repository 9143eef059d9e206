//! The registries of a scenario.

use std::num::NonZeroUsize;

use mesh_core::registry::Keeping;

use super::raw;
use crate::dist::Distribution;

/// The registries of a mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistriesSpec {
    /// How many there are. Each agent holds a lease at each of them.
    pub count: NonZeroUsize,
    /// Where leases outlast the registries, if anywhere.
    pub store: Option<StoreSpec>,
}

/// The store of the registries, or that of each.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreSpec {
    /// Whether all registries share one store.
    pub shared: bool,
    /// From a registry's question to the store's answer, in seconds.
    pub answer: Distribution,
}

/// How long an answer of a store takes unless the file says otherwise, in seconds: about one write
/// to a disk.
const DEFAULT_ANSWER: f64 = 0.002;

impl Default for RegistriesSpec {
    /// One registry.
    fn default() -> Self {
        Self { count: NonZeroUsize::MIN, store: None }
    }
}

impl RegistriesSpec {
    /// `answer` is the time of the store's answers, if the file says it.
    pub(super) fn new(raw: &raw::Registries, answer: Option<Distribution>) -> Self {
        let answer = answer.unwrap_or(Distribution::Constant { value: DEFAULT_ANSWER });
        let store = raw.store.as_ref().map(|store| StoreSpec { shared: store.shared, answer });
        // The schema demands one at least.
        let count = NonZeroUsize::new(raw.count as usize).unwrap_or(NonZeroUsize::MIN);
        Self { count, store }
    }

    /// Who writes to the store of a registry.
    pub fn keeping(&self) -> Keeping {
        match &self.store {
            None => Keeping::Nowhere,
            Some(store) if store.shared => Keeping::Shared,
            Some(_) => Keeping::Alone,
        }
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        self.count.get() > 1
    }
}
