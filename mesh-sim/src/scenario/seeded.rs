//! The scenario of the runs with one seed, whose random faults are drawn.

use std::borrow::Cow;

use mesh_core::seed::Seed;

use super::Scenario;
use crate::faults::Fault;

/// A scenario in which the random faults of a seed stand as faults with times.
#[derive(Clone, Debug)]
pub struct SeededScenario<'a> {
    /// The scenario, without random faults.
    pub scenario: Cow<'a, Scenario>,
    /// For each fault of this scenario: the position of the fault that it is or was drawn from,
    /// among all faults of the original scenario, those with times first.
    pub origins: Vec<usize>,
}

impl Scenario {
    /// The scenario of the runs with this seed. It is the scenario itself unless it has random
    /// faults.
    pub fn for_seed(&self, seed: u64) -> SeededScenario<'_> {
        let seed = Seed::root(seed).child("faults");
        let fixed = self.faults.iter().cloned().enumerate();
        let mut all: Vec<(usize, Fault)> = fixed.collect();
        for (position, random) in self.random_faults.iter().enumerate() {
            let (seed, end) = (seed.child(&position.to_string()), self.duration + self.drain);
            let drawn = random.draw(&seed, self.duration, end).into_iter();
            all.extend(drawn.map(|fault| (self.faults.len() + position, fault)));
        }
        all.sort_by_key(|(_, fault)| fault.at);
        let (origins, faults) = all.into_iter().unzip();
        let scenario = match self.random_faults.is_empty() {
            true => Cow::Borrowed(self),
            false => Cow::Owned(Self { faults, random_faults: Vec::new(), ..self.clone() }),
        };
        SeededScenario { scenario, origins }
    }
}
