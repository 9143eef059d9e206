//! Engines: what runs a scenario.

mod address;
mod event;
pub mod turmoil;
mod watchers;
mod world;

use std::time::Duration;

use thiserror::Error;

use crate::record::RunRecord;
use crate::scenario::{EngineKind, PolicySpec, Scenario};

/// What every simulated job puts out.
const OUTPUT: &str = "\"Processed: simulated job\"";

/// One run: one policy, one seed.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The experiment.
    pub scenario: &'a Scenario,
    /// The policy of every agent.
    pub policy: &'a PolicySpec,
    /// The root of all randomness.
    pub seed: u64,
    /// Whether to keep a line for each event.
    pub trace: bool,
}

/// A run that could not be carried out: a bug of ours or of a library's, never of the scenario.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The simulation library gave up.
    #[error("simulate {policy} with seed {seed}: {reason}")]
    Simulation {
        /// The policy's label.
        policy: String,
        /// The seed.
        seed: u64,
        /// Its words.
        reason: String,
    },
    /// A simulated task panicked.
    #[error("simulate {policy} with seed {seed}: a task panicked at {at:?}: {message}")]
    Panic {
        /// The policy's label.
        policy: String,
        /// The seed.
        seed: u64,
        /// Simulated time.
        at: Duration,
        /// What it said.
        message: String,
    },
}

impl Run<'_> {
    /// Carries it out. `progress` is told now and then how much time has been simulated.
    ///
    /// # Errors
    /// If the simulation breaks down.
    pub fn execute(
        &self,
        engine: EngineKind,
        progress: &dyn Fn(Duration),
    ) -> Result<RunRecord, EngineError> {
        match engine {
            EngineKind::Event => Ok(event::execute(self, progress)),
            EngineKind::Turmoil => turmoil::execute(self, progress),
        }
    }
}
