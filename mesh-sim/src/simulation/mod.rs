//! The simulator for your own tests: read or build a scenario, add a policy, run it, judge it.

mod builder;
mod error;

use std::path::Path;

use mesh_core::routing::PolicyFactory;

pub use self::builder::ScenarioBuilder;
pub use self::error::{FailedCheck, SimulationError};
use crate::engine::{EngineError, RunDetail, to_the_end};
use crate::experiment::{RanBy, Report};
use crate::judge::Verdict;
use crate::runner::RunPlan;
use crate::scenario::{Diagnostics, EngineKind, PolicySpec, ScenarioFile};

/// An experiment that can be run: a checked scenario with the caller's changes.
///
/// Every method takes and returns the simulation, so that a test reads as one expression. Nothing
/// runs before [`Simulation::run`] or [`Simulation::check`]. Both may be called again: the same
/// simulation gives the same results, byte for byte.
///
/// ```
/// use mesh_sim::Simulation;
///
/// let simulation = Simulation::build("two-agents").agents("agent", 2, 1).finish()?;
/// let report = simulation.seeds([7]).run()?;
/// assert_eq!(report.policies()[0].requests.failed(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    loaded: ScenarioFile,
    engine: EngineKind,
}

impl Simulation {
    /// An experiment that is read from a scenario file.
    ///
    /// # Errors
    /// Every problem of the file, with its line.
    pub fn scenario(file: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        ScenarioFile::read(file.as_ref()).map(Self::of)
    }

    /// An experiment from the text of a scenario file. Other files that it names are looked for in
    /// the current directory.
    ///
    /// # Errors
    /// Every problem of the text, with its line.
    pub fn from_toml(text: &str) -> Result<Self, Diagnostics> {
        ScenarioFile::parse(text, "scenario.toml").map(Self::of)
    }

    /// Builds an experiment without a file; its scenario is called `name`.
    pub fn build(name: &str) -> ScenarioBuilder {
        ScenarioBuilder::new(name)
    }

    fn of(loaded: ScenarioFile) -> Self {
        Self { engine: loaded.scenario.engine, loaded }
    }

    /// Adds a policy to those that are compared, or replaces the one that has this label.
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

    /// Sets the seeds, in place of the scenario's: each policy runs once with each of them. An
    /// empty list changes nothing.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        let seeds: Vec<u64> = seeds.into_iter().collect();
        if !seeds.is_empty() {
            // A seed that is named twice must not count twice.
            self.loaded.scenario.seeds = seeds;
            self.loaded.scenario.seeds.sort_unstable();
            self.loaded.scenario.seeds.dedup();
        }
        self
    }

    /// Sets the engine, in place of the scenario's.
    pub const fn engine(mut self, engine: EngineKind) -> Self {
        self.engine = engine;
        self
    }

    /// Runs every policy with every seed, on all cores of the machine, and returns the results.
    ///
    /// # Errors
    /// If the engine can't honour a field of the scenario, or if a run breaks down.
    pub fn run(&self) -> Result<Report, SimulationError> {
        self.loaded.check_engine(self.engine)?;
        let scenario = &self.loaded.scenario;
        let plan = RunPlan { scenario, engine: self.engine, detail: RunDetail::Phases };
        let runs = plan.execute(to_the_end)?;
        let scenario_text = Some(self.loaded.whole_text().to_owned());
        let ran_by = RanBy::Engine(self.engine);
        Ok(Report { scenario: scenario.clone(), scenario_text, ran_by, runs })
    }

    /// The same as [`Simulation::run`], but fails unless every policy keeps the thresholds of
    /// `[expect]` and every run keeps the oracles.
    ///
    /// # Errors
    /// Those of [`Simulation::run`], and [`SimulationError::Failed`], which says what was missed or
    /// violated and which seed shows it.
    pub fn check(&self) -> Result<Report, SimulationError> {
        let report = self.run()?;
        let mut verdicts = report.verdicts();
        verdicts.retain(|policy| policy.verdict() != Verdict::Pass);
        if verdicts.is_empty() {
            return Ok(report);
        }
        // The error has the report, so that a test can show what went wrong.
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
