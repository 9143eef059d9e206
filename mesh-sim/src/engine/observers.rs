//! What observes every run, whichever engine drives it: the oracles, the recorder, the event log
//! and an observer that the caller of the run may bring.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;

use super::simulated_scaler::SimulatedScaler;
use super::true_state::TrueState;
use super::{Run, RunDetail, RunWatchers};
use crate::faults::FaultSchedule;
use crate::journal::{EventLog, FactObserver, Journal, JournalEntry};
use crate::oracle::Oracles;
use crate::record::{Recorder, RecorderConfig, RunRecord, TraceKeeper};

/// An observer that the caller of a run brings.
pub(super) type GuestObserver = Box<dyn FactObserver + Send>;

/// The journal of a run, with the observers that every run has.
pub(super) type RunJournal = Journal<PromptObservers, OrderedObservers>;

/// The observers that learn of each fact when it is recorded. They don't depend on the order of
/// facts within one step of the engine, and the engine must know before the end of the run how long
/// they want it to last.
pub(super) struct PromptObservers {
    oracles: Oracles,
    recorder: Recorder,
    truth: Option<TrueState>,
    scaler: Option<SimulatedScaler>,
    /// When the time line of the record ends. The run may go on, because oracles need more time.
    recorded_until: Timestamp,
}

/// The observers that learn of facts in the order of simulated time.
pub(super) struct OrderedObservers {
    log: EventLog,
    spans: Option<TraceKeeper>,
    guest: Option<GuestObserver>,
}

impl FactObserver for PromptObservers {
    fn observe(&mut self, entry: &JournalEntry) {
        self.oracles.observe(entry);
        self.recorder.observe(entry);
        self.truth.observe(entry);
        self.scaler.observe(entry);
    }
}

impl FactObserver for OrderedObservers {
    fn observe(&mut self, entry: &JournalEntry) {
        self.log.observe(entry);
        self.spans.observe(entry);
        self.guest.observe(entry);
    }
}

impl RunJournal {
    /// Opens the journal at the beginning of a run. `resolution` is how late the engine's timers
    /// may be.
    pub(super) fn open(
        run: &Run<'_>,
        faults: &Arc<FaultSchedule>,
        resolution: Duration,
        RunWatchers { guest, truth, scaler }: RunWatchers,
    ) -> Self {
        let scenario = run.scenario;
        let mut config = RecorderConfig::new(scenario, &run.policy.label, run.seed);
        config.has_phases &= run.detail != RunDetail::Figures;
        config.has_sends = run.detail != RunDetail::Figures;
        let prompt = PromptObservers {
            oracles: Oracles::new(scenario, faults.clone(), resolution),
            recorder: Recorder::new(config),
            truth,
            scaler,
            recorded_until: Timestamp::from(scenario.duration + scenario.drain),
        };
        let warm_up = Timestamp::from(scenario.warm_up);
        let hosts = faults.hosts();
        let ordered = OrderedObservers {
            log: EventLog::new(hosts.clone(), run.detail.has_trace()),
            spans: run.traces().map(|traces| TraceKeeper::new(traces, hosts.clone(), warm_up)),
            guest,
        };
        Self::new(faults.hosts().len(), prompt, ordered)
    }

    /// When the run must end: when its time line is complete and every oracle can judge.
    pub(super) fn end(&self) -> Timestamp {
        let prompt = self.prompt();
        prompt.recorded_until.max(prompt.oracles.end())
    }

    /// Ends the run and returns its record.
    pub(super) fn finish(self, now: Timestamp) -> RunRecord {
        let (prompt, OrderedObservers { mut log, spans, .. }) = self.close();
        let PromptObservers { oracles, recorder, scaler, .. } = prompt;
        let trace = log.take_trace();
        let record = recorder.finish(log.hash(), log.events(), oracles.finish(now));
        let scaling = scaler.map(|scaler| scaler.usage(now));
        RunRecord { trace, traces: spans.map(TraceKeeper::finish), scaling, ..record }
    }
}
