//! Random parameters for the faults and links that an exploration draws.

use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::seed::Rng;

use super::FaultKind;
use crate::host_names::{CLIENT, REGISTRY, registry_names};

/// A function that draws a fault.
pub(crate) type DrawFault = fn(&mut Draw<'_>) -> FaultKind;

/// Draws random parameters from one random stream.
///
/// An explored scenario is a function of its number alone. So every method takes the same amount of
/// numbers from the stream in the same order, whether or not the result is used.
#[derive(Debug)]
pub(crate) struct Draw<'a> {
    rng: Rng,
    agents: &'a [Name],
    registries: usize,
    has_store: bool,
}

impl<'a> Draw<'a> {
    /// The greatest latency that a single link may have or that a fault may add, in milliseconds.
    pub(crate) const MAX_LINK_MS: f64 = 400.0;

    /// Draws from `rng`, for a mesh of these agents and one registry.
    pub(crate) fn new(rng: Rng, agents: &'a [Name]) -> Self {
        Self { rng, agents, registries: 1, has_store: false }
    }

    /// The same for a mesh of so many registries, which have a store or not.
    pub(crate) fn with_registries(self, registries: usize, has_store: bool) -> Self {
        Self { registries, has_store, ..self }
    }

    /// Whether the registries have a store.
    pub(crate) const fn has_store(&self) -> bool {
        self.has_store
    }

    /// Some of the registries, at least one. Of a single one, no number is drawn.
    pub(crate) fn some_registries(&mut self) -> Vec<Name> {
        let mut names: Vec<Name> = registry_names(self.registries).collect();
        if names.len() > 1 {
            names = self.shuffled(names.into_iter());
            names.truncate(1 + self.below(self.registries));
            names.sort();
        }
        names
    }

    /// A registry. Of a single one, no number is drawn.
    pub(crate) fn a_registry(&mut self) -> Name {
        let position = if self.registries > 1 { self.below(self.registries) } else { 0 };
        registry_names(self.registries).nth(position).unwrap_or_default()
    }

    /// A whole number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.index(end)
    }

    /// True or false, with equal chances.
    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A share from 0.01 to 0.99, in hundredths.
    pub(crate) fn share(&mut self) -> f64 {
        (1 + self.below(99)) as f64 / 100.0
    }

    /// A number between `low` and `high` whose logarithm is uniform: every order of magnitude is
    /// equally likely.
    pub(crate) fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        low * libm::exp(self.rng.unit() * libm::log(high / low))
    }

    /// A log-uniform duration in whole milliseconds; `low` and `high` are milliseconds too.
    pub(crate) fn millis(&mut self, low: f64, high: f64) -> Duration {
        Duration::from_millis(self.log_uniform(low, high) as u64)
    }

    /// Two groups of hosts, neither of them empty; some hosts may be in neither.
    pub(crate) fn two_sides(&mut self) -> [Vec<Name>; 2] {
        let fixed = [REGISTRY, CLIENT].map(Name::from);
        let further = registry_names(self.registries).skip(1);
        let hosts = fixed.into_iter().chain(self.agents.iter().cloned()).chain(further);
        let mut left = self.shuffled(hosts);
        if self.coin() {
            let kept = 2 + self.below(left.len() - 1);
            left.truncate(kept);
        }
        let cut = 1 + self.below(left.len() - 1);
        let mut right = left.split_off(cut);
        left.sort();
        right.sort();
        [left, right]
    }

    /// Some of the agents, at least one, in the order of their names.
    pub(crate) fn some_agents(&mut self) -> Vec<Name> {
        let mut names = self.shuffled(self.agents.iter().cloned());
        let kept = 1 + self.below(names.len());
        names.truncate(kept);
        names.sort();
        names
    }

    /// The names in random order (Fisher-Yates shuffle).
    fn shuffled(&mut self, names: impl Iterator<Item = Name>) -> Vec<Name> {
        let mut names: Vec<Name> = names.collect();
        for last in (1..names.len()).rev() {
            names.swap(last, self.below(last + 1));
        }
        names
    }
}
