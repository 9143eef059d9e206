//! The simulator in somebody's own tests: load or build a scenario, add a policy, run, judge.

mod builder;
mod error;

use std::path::Path;

use mesh_core::routing::PolicyFactory;

pub use self::builder::ScenarioBuilder;
pub use self::error::{FailedCheck, SimulationError};
use crate::engine::EngineError;
use crate::experiment::{RanBy, Report};
use crate::judge::Verdict;
use crate::runner::RunPlan;
use crate::scenario::{Diagnostics, EngineKind, PolicySpec, ScenarioFile};

/// An experiment that is about to be run: a checked scenario, and what the caller changed in it.
///
/// Every method takes and returns the simulation, so that a test reads as one expression. Nothing
/// runs before [`Simulation::run`] or [`Simulation::check`], and these may be called again: the
/// same simulation gives the same results, byte for byte.
#[derive(Clone, Debug)]
pub struct Simulation {
    loaded: ScenarioFile,
    engine: EngineKind,
}

impl Simulation {
    /// An experiment from a scenario file.
    ///
    /// # Errors
    /// Every problem that the file has.
    pub fn scenario(file: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        ScenarioFile::read(file.as_ref()).map(Self::of)
    }

    /// An experiment from the text of a scenario file. Files that it names are looked for in the
    /// current directory.
    ///
    /// # Errors
    /// Every problem that the text has.
    pub fn from_toml(text: &str) -> Result<Self, Diagnostics> {
        ScenarioFile::parse(text, "scenario.toml").map(Self::of)
    }

    /// An experiment without a file; its name is `name`.
    pub fn build(name: &str) -> ScenarioBuilder {
        ScenarioBuilder::new(name)
    }

    fn of(loaded: ScenarioFile) -> Self {
        Self { engine: loaded.scenario.engine, loaded }
    }

    /// Adds a policy to those that are compared. It takes the place of one that has this label.
    pub fn policy(mut self, label: &str, factory: impl PolicyFactory + 'static) -> Self {
        let new = PolicySpec::new(label, factory);
        let policies = &mut self.loaded.scenario.policies;
        match policies.iter_mut().find(|policy| policy.label == label) {
            Some(old) => *old = new,
            None => policies.push(new),
        }
        self
    }

    /// Keeps only the policies with these labels.
    ///
    /// # Errors
    /// [`SimulationError::Selection`] names a label that no policy has.
    pub fn only<'a>(
        mut self,
        labels: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SimulationError> {
        let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
        let scenario = self.loaded.scenario.select(&[], &labels);
        self.loaded.scenario = scenario.map_err(SimulationError::Selection)?;
        Ok(self)
    }

    /// Runs each policy once with each of these seeds instead of the scenario's. No seed at all
    /// leaves the scenario's.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        let seeds: Vec<u64> = seeds.into_iter().collect();
        if !seeds.is_empty() {
            self.loaded.scenario.seeds = seeds;
            self.loaded.scenario.seeds.sort_unstable();
            self.loaded.scenario.seeds.dedup();
        }
        self
    }

    /// Runs on this engine instead of the scenario's.
    pub const fn engine(mut self, engine: EngineKind) -> Self {
        self.engine = engine;
        self
    }

    /// Runs every policy with every seed, on all cores.
    ///
    /// # Errors
    /// If the engine can't honour a field of the scenario, or a run breaks down.
    pub fn run(&self) -> Result<Report, SimulationError> {
        self.loaded.check_engine(self.engine)?;
        let scenario = &self.loaded.scenario;
        let plan = RunPlan { scenario, engine: self.engine, trace: false };
        let runs = plan.execute(|_| {})?;
        Ok(Report { scenario: scenario.clone(), ran_by: RanBy::Engine(self.engine), runs })
    }

    /// As [`Simulation::run`], and fails unless every policy kept the thresholds of `[expect]` and
    /// every run the oracles.
    ///
    /// # Errors
    /// As [`Simulation::run`]; besides, [`SimulationError::Failed`] says what was missed or
    /// violated, and with which seed to see it again.
    pub fn check(&self) -> Result<Report, SimulationError> {
        let report = self.run()?;
        let mut verdicts = report.verdicts();
        verdicts.retain(|policy| policy.verdict() != Verdict::Pass);
        if verdicts.is_empty() {
            return Ok(report);
        }
        Err(FailedCheck { verdicts, report: Box::new(report) }.into())
    }
}

impl From<EngineError> for SimulationError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

#[cfg(test)]
mod tests;
