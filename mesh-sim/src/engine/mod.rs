//! Engines: what runs a scenario.

mod address;
mod event;
mod observers;
pub mod turmoil;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use self::observers::Guest;
use crate::journal::{FactObserver, JournalEntry};
use crate::record::RunRecord;
use crate::scenario::{Diagnostics, EngineKind, Loaded, PolicySpec, Scenario};

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
#[non_exhaustive]
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
        self.execute_with(engine, None, progress)
    }

    /// Carries it out as [`Self::execute`] does while `observer` learns of everything that happens,
    /// in the order of simulated time. Gives the observer back, even from a run that breaks down.
    pub fn observe<O: FactObserver + Send + 'static>(
        &self,
        engine: EngineKind,
        observer: O,
        progress: &dyn Fn(Duration),
    ) -> (Result<RunRecord, EngineError>, O) {
        let lent = Arc::new(Mutex::new(Some(observer)));
        let result = self.execute_with(engine, Some(Box::new(Lent(lent.clone()))), progress);
        let observer = lent.lock().unwrap_or_else(PoisonError::into_inner).take();
        (result, observer.expect("only this function takes it"))
    }

    fn execute_with(
        &self,
        engine: EngineKind,
        guest: Option<Guest>,
        progress: &dyn Fn(Duration),
    ) -> Result<RunRecord, EngineError> {
        match engine {
            EngineKind::Event => Ok(event::execute(self, guest, progress)),
            EngineKind::Turmoil => turmoil::execute(self, guest, progress),
        }
    }
}

impl Loaded {
    /// Whether `engine` can honour every field.
    ///
    /// # Errors
    /// Names each field that it can't.
    pub fn check_engine(&self, engine: EngineKind) -> Result<(), Diagnostics> {
        let problems = match engine {
            EngineKind::Turmoil => turmoil::limits::problems(&self.scenario, self.limited_fields()),
            // It can honour all that a scenario file may say.
            EngineKind::Event => Vec::new(),
        };
        if problems.is_empty() { Ok(()) } else { Err(self.diagnostics(problems)) }
    }
}

/// An observer that is lent to a run. The tasks of a run that broke down may hold on to it for
/// longer than its owner waits for it.
struct Lent<O>(Arc<Mutex<Option<O>>>);

impl<O: FactObserver> FactObserver for Lent<O> {
    fn observe(&mut self, entry: &JournalEntry) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).observe(entry);
    }
}
