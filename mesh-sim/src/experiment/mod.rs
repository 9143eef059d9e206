//! What is known after all runs of a scenario, simulated or live.

use crate::judge::{PolicyResult, PolicyVerdict};
use crate::record::RunRecord;
use crate::scenario::{EngineKind, Scenario};

#[cfg(test)]
pub(crate) mod example;

/// What ran an experiment, which decides whose time its latencies are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RanBy {
    /// An engine, in simulated time.
    Engine(EngineKind),
    /// Processes on real sockets, in the time of the wall clock.
    Live,
}

impl RanBy {
    /// Its name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine(engine) => engine.name(),
            Self::Live => "live",
        }
    }
}

/// What a whole experiment left behind: the scenario with its policies and seeds, and the record of
/// each run. [`Simulation::check`](crate::Simulation::check) returns it, and the writers of result
/// files take it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub scenario: Scenario,
    /// What ran it.
    pub ran_by: RanBy,
    /// One per policy and seed, the seeds of a policy together.
    pub runs: Vec<RunRecord>,
}

impl Report {
    /// The runs of each policy, added up over its seeds.
    pub fn policies(&self) -> Vec<PolicyResult<'_>> {
        PolicyResult::merge(&self.runs)
    }

    /// How each policy did against the scenario's `[expect]` and the oracles.
    pub fn verdicts(&self) -> Vec<PolicyVerdict> {
        let expect = &self.scenario.expect;
        self.policies().iter().map(|result| result.judge(expect)).collect()
    }

    /// The seeds that were run, in that order.
    pub fn seeds(&self) -> Vec<u64> {
        let mut seeds = Vec::new();
        for run in &self.runs {
            if !seeds.contains(&run.seed) {
                seeds.push(run.seed);
            }
        }
        seeds
    }
}
