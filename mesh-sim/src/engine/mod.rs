//! Engines: what runs a scenario in simulated time.
//!
//! There are two, chosen by [`EngineKind`]. Engine event moves values between the state machines of
//! mesh-core; engine turmoil runs the code of mesh-node over a simulated TCP network. Both record
//! what happens as facts in a journal, and both apply the same fault schedule, machine model and
//! workload.

mod address;
mod event;
mod observers;
mod simulated_scaler;
mod simulated_store;
mod true_state;
pub mod turmoil;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_core::agent::AgentConfig;
use mesh_core::protocol::Task;
use mesh_core::sessions::WarmSessions;
use mesh_core::trace::TraceConfig;
use thiserror::Error;

use self::observers::GuestObserver;
use self::simulated_scaler::SimulatedScaler;
use self::true_state::TrueState;
use crate::host::{AgentId, IndexedId as _};
use crate::journal::{FactObserver, JournalEntry};
use crate::record::RunRecord;
use crate::scenario::{
    AgentSpec, Costs, Diagnostics, EngineKind, PolicySpec, Scenario, ScenarioFile,
};
use crate::workload::RequestTraces;

/// The output of every simulated job.
const OUTPUT: &str = "\"Processed: simulated job\"";

/// One run of a scenario: one policy with one seed.
///
/// It is a plain description. [`execute`](Self::execute) carries it out; the record that comes back
/// is a function of the run and the engine alone.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The experiment. If the policy has a variant of it, the run is of the variant.
    pub scenario: &'a Scenario,
    /// The policy of every agent.
    pub policy: &'a PolicySpec,
    /// The root of all random streams of the run.
    pub seed: u64,
    /// What the record of the run has beside its figures.
    pub detail: RunDetail,
}

/// What the record of a run has beside its figures and its time line. More takes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunDetail {
    /// Nothing: the search for failures, and benchmarks, read no more.
    Figures,
    /// Where the time of answered requests went, and who delegated to whom.
    Phases,
    /// That, and the event log, one line per event.
    Trace,
    /// The phases, and the spans of some requests.
    Spans,
    /// All of that.
    Everything,
}

impl RunDetail {
    /// The phases, and what else was asked for.
    pub const fn with(has_trace: bool, has_spans: bool) -> Self {
        match (has_trace, has_spans) {
            (false, false) => Self::Phases,
            (true, false) => Self::Trace,
            (false, true) => Self::Spans,
            (true, true) => Self::Everything,
        }
    }

    /// Whether the event log is kept.
    pub const fn has_trace(self) -> bool {
        matches!(self, Self::Trace | Self::Everything)
    }

    /// Whether agents record spans.
    pub const fn has_spans(self) -> bool {
        matches!(self, Self::Spans | Self::Everything)
    }
}

/// Why a run could not be carried out. The cause is a bug of ours or of a library, never the
/// scenario.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The simulation library reported an error.
    #[error("simulate {policy} with seed {seed}: {reason}")]
    Simulation {
        /// The policy's label.
        policy: String,
        /// The seed.
        seed: u64,
        /// The library's message.
        reason: String,
    },
    /// A simulated task panicked.
    #[error("simulate {policy} with seed {seed}: a task panicked at {at:?}: {message}")]
    Panic {
        /// The policy's label.
        policy: String,
        /// The seed.
        seed: u64,
        /// The simulated time since the run began.
        at: Duration,
        /// The panic's message.
        message: String,
    },
    /// Whoever was told of the progress broke it off.
    #[error("simulate {policy} with seed {seed} to its end: it was abandoned")]
    Abandoned {
        /// The policy's label.
        policy: String,
        /// The seed.
        seed: u64,
    },
}

impl EngineError {
    /// The error of a run that was abandoned.
    fn abandoned(run: &Run<'_>) -> Self {
        Self::Abandoned { policy: run.policy.label.clone(), seed: run.seed }
    }
}

/// Takes a report of progress, and lets the run go on to its end.
pub fn to_the_end<T>(_progress: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl Run<'_> {
    /// The traces of its requests, if spans are recorded.
    fn traces(&self) -> Option<RequestTraces> {
        let has_spans = self.detail.has_spans();
        has_spans.then(|| RequestTraces::new(self.seed, &self.policy.label))
    }

    /// Carries the run out. `progress` is told now and then how much time has been simulated; if it
    /// breaks, the run is abandoned.
    ///
    /// # Errors
    /// If the simulation breaks down, for example because a simulated task panics, or if it is
    /// abandoned.
    pub fn execute(
        &self,
        engine: EngineKind,
        progress: &dyn Fn(Duration) -> ControlFlow<()>,
    ) -> Result<RunRecord, EngineError> {
        self.execute_with(engine, None, progress)
    }

    /// As [`Self::execute`], while `observer` learns of every fact in the order of simulated time.
    /// Returns the observer too, even if the run breaks down.
    pub fn observe<O: FactObserver + Send + 'static>(
        &self,
        engine: EngineKind,
        observer: O,
        progress: &dyn Fn(Duration) -> ControlFlow<()>,
    ) -> (Result<RunRecord, EngineError>, O) {
        let lent = Arc::new(Mutex::new(Some(observer)));
        let result =
            self.execute_with(engine, Some(Box::new(LentObserver(lent.clone()))), progress);
        let observer = lent.lock().unwrap_or_else(PoisonError::into_inner).take();
        (result, observer.expect("only this function takes it"))
    }

    fn execute_with(
        &self,
        engine: EngineKind,
        guest: Option<GuestObserver>,
        progress: &dyn Fn(Duration) -> ControlFlow<()>,
    ) -> Result<RunRecord, EngineError> {
        let scenario = self.policy.variant_scenario().unwrap_or(self.scenario);
        let seeded = scenario.for_seed(self.seed);
        let run = Run { scenario: &seeded.scenario, ..*self };
        let truth = TrueState::of(run.scenario, run.policy);
        let scaler = SimulatedScaler::of(run.scenario, run.seed);
        let watchers = RunWatchers { guest, truth, scaler };
        let record = match engine {
            EngineKind::Event => event::execute(&run, watchers, progress)?,
            EngineKind::Turmoil => turmoil::execute(&run, watchers, progress)?,
        };
        Ok(record.by_original_faults(self.scenario, &seeded))
    }
}

impl ScenarioFile {
    /// Whether `engine` can honour every field.
    ///
    /// # Errors
    /// Names each field that the engine can't honour.
    pub fn check_engine(&self, engine: EngineKind) -> Result<(), Diagnostics> {
        let problems = match engine {
            EngineKind::Turmoil => turmoil::limits::problems(&self.scenario, self.limited_fields()),
            // Engine event can honour everything that a scenario file may say.
            EngineKind::Event => Vec::new(),
        };
        if !problems.is_empty() {
            return Err(self.diagnostics(problems));
        }
        let mut variants =
            self.scenario.policies.iter().filter_map(|policy| policy.variant.as_ref());
        variants.try_for_each(|variant| variant.check_engine(engine))
    }
}

/// What only some runs have: an observer of the caller's, the true state for policies that cheat,
/// and an autoscaler.
#[derive(Default)]
struct RunWatchers {
    guest: Option<GuestObserver>,
    truth: Option<TrueState>,
    scaler: Option<SimulatedScaler>,
}

impl RunWatchers {
    /// The settings of an agent in the run.
    fn agent_config(run: &Run<'_>, truth: Option<&TrueState>, agent: &AgentSpec) -> AgentConfig {
        let config = run.scenario.agent_config(agent, run.policy);
        // Clients say which requests are recorded, and no stranger calls.
        let tracing = run
            .detail
            .has_spans()
            .then_some(TraceConfig { trace_sample: 0.0, trace_limit: 1_000_000 });
        let config = AgentConfig { tracing, ..config };
        match truth {
            Some(truth) => {
                let policy = truth.inform(Arc::clone(&config.policy));
                AgentConfig { policy, ..config }
            }
            None => config,
        }
    }
}

/// An observer that is lent to a run. Tasks of a run that broke down may keep their handle on it
/// after the run has returned, so the owner takes the observer back through the lock.
struct LentObserver<O>(Arc<Mutex<Option<O>>>);

impl<O: FactObserver> FactObserver for LentObserver<O> {
    fn observe(&mut self, entry: &JournalEntry) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).observe(entry);
    }
}

/// How long after its start an agent samples its load first: from half a window to one and a half,
/// in the order of the agents, as if they had been started one after the other. Processes of a real
/// mesh are; agents that measure at the same instants herd more than those. Whole milliseconds, if
/// the window has several, so that both engines sample at the same instants.
fn first_sample(scenario: &Scenario, agent: AgentId) -> Duration {
    let (window, agents) = (scenario.agent(agent).machine.cpu_window, scenario.agents.len());
    let first = window / 2 + window * agent.index() as u32 / agents as u32;
    let whole = Duration::from_millis(first.as_millis() as u64);
    if whole.is_zero() { first } else { whole }
}

/// How long a job computes, alone on a core of speed 1, and how long it waits then, on an agent that
/// has met these sessions.
fn effort(task: &Task, sessions: &mut WarmSessions, costs: &Costs) -> (Duration, Duration) {
    let demand = task.demand.unwrap_or_default();
    let wait = task.details.as_ref().map_or(Duration::ZERO, |details| details.wait);
    let session = task.details.as_ref().and_then(|details| details.session);
    let left = session.map_or(1.0, |turn| sessions.begin(turn));
    let own = if left == 1.0 { (demand, wait) } else { (demand.mul_f64(left), wait.mul_f64(left)) };
    (own.0.saturating_add(costs.job), own.1.saturating_add(costs.job_delay))
}
