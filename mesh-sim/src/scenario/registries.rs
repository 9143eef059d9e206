//! The registries of a scenario.

use std::num::NonZeroUsize;

use super::raw;

/// The registries of a mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistriesSpec {
    /// How many there are. Each agent holds a lease at each of them.
    pub count: NonZeroUsize,
}

impl Default for RegistriesSpec {
    /// One registry.
    fn default() -> Self {
        Self { count: NonZeroUsize::MIN }
    }
}

impl RegistriesSpec {
    pub(super) fn new(raw: &raw::Registries) -> Self {
        // The schema demands one at least.
        Self { count: NonZeroUsize::new(raw.count as usize).unwrap_or(NonZeroUsize::MIN) }
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        self.count.get() > 1
    }
}
