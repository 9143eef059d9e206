//! The recorder of a run, shared by the client and by what samples the processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_core::protocol::{Name, Reply};
use mesh_node::Clock;
use mesh_sim::host::AgentMap;
use mesh_sim::journal::RequestOutcome;
use mesh_sim::record::Recorder;
use mesh_sim::scenario::{Scenario, WorkloadSpec};
use mesh_sim::workload::{Arrival, NextTry, RequestObserver, RequestTries};

/// A handle on the recorder of one run. Copies share the recorder; once it is [taken](Self::take),
/// whatever they are told is ignored.
#[derive(Clone)]
pub(super) struct SharedRecorder {
    clock: Clock,
    names: Arc<AgentMap<Name>>,
    workload: Arc<WorkloadSpec>,
    recorder: Arc<Mutex<Option<Recorder>>>,
}

impl SharedRecorder {
    /// Shares the recorder of a run whose times are those of `clock`.
    pub(super) fn new(scenario: &Scenario, clock: Clock, recorder: Recorder) -> Self {
        let names = scenario.agents.iter().map(|agent| agent.name.clone()).collect();
        let workload = Arc::new(scenario.workload.clone());
        let recorder = Arc::new(Mutex::new(Some(recorder)));
        Self { clock, names: Arc::new(names), workload, recorder }
    }

    /// Lets `act` use the recorder, unless it has been taken.
    pub(super) fn record(&self, act: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = &mut *self.lock() {
            act(recorder);
        }
    }

    /// Takes the recorder back when the run is over.
    pub(super) fn take(&self) -> Option<Recorder> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recorder>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestObserver for SharedRecorder {
    fn due(&self, arrival: &Arrival) {
        self.record(|recorder| recorder.due(arrival.at));
    }

    fn sent_again(&self, arrival: &Arrival, _: &RequestTries, next: NextTry, _: RequestOutcome) {
        self.record(|recorder| recorder.sent_again(arrival.at, next.how));
    }

    fn ended(&self, arrival: &Arrival, outcome: RequestOutcome, reply: Option<&Reply>) {
        let subjobs = reply.map(|reply| self.workload.subjobs_in(reply)).unwrap_or_default();
        self.record(|recorder| {
            // The clock is read under the lock, so that ends are recorded in the order of their
            // times.
            let now = self.clock.now();
            for (kind, latency) in subjobs {
                recorder.subjob(arrival.at, kind, latency);
            }
            recorder.ended(arrival.at, arrival.kind, now, outcome);
            if let Some(Reply::Delegate(reply)) = reply
                && let Some(agent) = self.names.find(|name| *name == reply.peer_result.agent)
            {
                recorder.worked(now, agent);
            }
        });
    }
}
