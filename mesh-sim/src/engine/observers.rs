//! What watches every run, whichever engine drives it: the oracles, the recorder, the event log and
//! an observer that the caller brings.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;

use super::Run;
use crate::faults::FaultSchedule;
use crate::journal::{EventLog, FactObserver, Journal, JournalEntry};
use crate::oracle::Oracles;
use crate::record::{Recorder, RecorderConfig, RunRecord};

/// An observer that the caller of a run brings.
pub(super) type Guest = Box<dyn FactObserver + Send>;

/// The journal of a run.
pub(super) type RunJournal = Journal<Judges, Readers>;

/// The observers that learn of facts at once: what they hold against them does not depend on the
/// order within a step of the engine, and what they say of the end must be known before it comes.
pub(super) struct Judges {
    oracles: Oracles,
    recorder: Recorder,
    /// The time line ends here; the run may go on for the oracles' sake.
    recorded_until: Timestamp,
}

/// The observers that learn of facts in the order of their times.
pub(super) struct Readers {
    log: EventLog,
    guest: Option<Guest>,
}

impl FactObserver for Judges {
    fn observe(&mut self, entry: &JournalEntry) {
        self.oracles.observe(entry);
        self.recorder.observe(entry);
    }
}

impl FactObserver for Readers {
    fn observe(&mut self, entry: &JournalEntry) {
        self.log.observe(entry);
        self.guest.observe(entry);
    }
}

impl RunJournal {
    /// The journal at the beginning of a run. `resolution` is how late the engine's timers may be.
    pub(super) fn open(
        run: &Run<'_>,
        faults: &Arc<FaultSchedule>,
        resolution: Duration,
        guest: Option<Guest>,
    ) -> Self {
        let scenario = run.scenario;
        let judges = Judges {
            oracles: Oracles::new(scenario, faults.clone(), resolution),
            recorder: Recorder::new(RecorderConfig::new(scenario, &run.policy.label, run.seed)),
            recorded_until: Timestamp::from(scenario.duration + scenario.drain),
        };
        let readers = Readers { log: EventLog::new(faults.hosts().clone(), run.trace), guest };
        Self::new(faults.hosts().len(), judges, readers)
    }

    /// How long the run must last.
    pub(super) fn end(&self) -> Timestamp {
        let judges = self.prompt();
        judges.recorded_until.max(judges.oracles.end())
    }

    /// The run is over: what it left behind.
    pub(super) fn finish(self, now: Timestamp) -> RunRecord {
        let (Judges { oracles, recorder, .. }, Readers { mut log, .. }) = self.close();
        let trace = log.take_trace();
        let record = recorder.finish(log.hash(), log.events(), oracles.finish(now));
        RunRecord { trace, ..record }
    }
}
