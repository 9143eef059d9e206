//! The results of all runs of a scenario, simulated or live.

use crate::judge::{
    MeasuredFigures, PolicyResult, PolicyVerdict, Ranking, is_upper_bound, regrets,
};
use crate::record::RunRecord;
use crate::scenario::{EngineKind, Scenario};

#[cfg(test)]
pub(crate) mod example;

/// What ran an experiment. It decides what the latencies are measured in: simulated time or the
/// time of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RanBy {
    /// An engine, in simulated time.
    Engine(EngineKind),
    /// Processes on real sockets, in the time of the wall clock.
    Live,
}

impl RanBy {
    /// The name for it in result files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine(engine) => engine.name(),
            Self::Live => "live",
        }
    }
}

/// The results of an experiment: the scenario with its policies and seeds, and the record of each
/// run. [`Simulation::run`](crate::Simulation::run) and
/// [`Simulation::check`](crate::Simulation::check) return it, and all result files are written from
/// it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub scenario: Scenario,
    /// The text of the scenario's file, with the lines of the files that it names; `None` if there
    /// is none.
    pub scenario_text: Option<String>,
    /// What ran it.
    pub ran_by: RanBy,
    /// One record per policy and seed; the seeds of a policy stand together.
    pub runs: Vec<RunRecord>,
}

impl Report {
    /// The runs of each policy, added up over its seeds.
    pub fn policies(&self) -> Vec<PolicyResult<'_>> {
        PolicyResult::merge(&self.runs)
    }

    /// Judges each policy by the scenario's `[expect]` and by the oracles.
    pub fn verdicts(&self) -> Vec<PolicyVerdict> {
        let expect = &self.scenario.expect;
        self.policies().iter().map(|result| result.judge(expect)).collect()
    }

    /// The regret of each policy against the best upper bound that was run; see [`regrets`].
    pub fn regrets(&self, policies: &[PolicyResult<'_>]) -> Vec<Option<f64>> {
        let measured: Vec<MeasuredFigures> = policies.iter().map(PolicyResult::measured).collect();
        let labels = policies.iter().map(|result| result.policy);
        regrets(&self.scenario.policies, labels.zip(&measured))
    }

    /// Which policy is best, by the scenario's objective.
    pub fn ranking(&self, policies: &[PolicyResult<'_>]) -> Ranking {
        let is_bound = |label| is_upper_bound(&self.scenario.policies, label);
        let entrants = policies.iter().map(|result| result.entrant(is_bound(result.policy)));
        Ranking::of(&self.scenario.objective, &entrants.collect::<Vec<_>>())
    }

    /// The seeds that were run, in the order of the runs.
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
