//! The machine model under a simulated agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Failure, JobId};
use mesh_core::protocol::Task;
use mesh_node::host::JobResult;
use mesh_node::{Clock, Host};
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};

use crate::engine::OUTPUT;
use crate::faults::MachineState;
use crate::machine::Machine;
use crate::scenario::MachineSpec;

/// A machine that outlives the crashes of the agent on it. Copies are the same machine.
#[derive(Clone)]
pub(super) struct SimHost(Arc<Inner>);

struct Inner {
    window: Duration,
    output: Arc<RawValue>,
    state: Mutex<State>,
    /// A job started or a rate changed.
    changed: Notify,
}

struct State {
    machine: Machine<JobId>,
    waiting: BTreeMap<JobId, oneshot::Sender<()>>,
}

impl SimHost {
    pub(super) fn new(spec: &MachineSpec) -> Self {
        let output = RawValue::from_string(OUTPUT.to_owned()).unwrap_or_default();
        let state = State { machine: Machine::new(spec), waiting: BTreeMap::new() };
        Self(Arc::new(Inner {
            window: spec.cpu_window,
            output: output.into(),
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// Boots the machine for the host that runs on it, with that host's clock.
    pub(super) fn with_clock(&self, clock: Clock) -> ClockedHost {
        self.lock().machine.boot(clock.now());
        ClockedHost { host: self.clone(), clock }
    }

    pub(super) fn set_state(&self, now: Timestamp, state: MachineState) {
        let machine = &mut self.lock().machine;
        machine.set_speed_factor(now, state.speed_factor);
        machine.set_background_override(now, state.background);
        self.0.changed.notify_one();
    }

    /// How busy it was until `end`, second by second.
    pub(super) fn seconds(&self, end: Timestamp) -> Vec<(u64, f64)> {
        let machine = &mut self.lock().machine;
        machine.handle_timeout(end);
        let passed: Vec<_> = std::iter::from_fn(|| machine.poll_second()).collect();
        passed.into_iter().chain(machine.present_second()).collect()
    }

    /// Kills every job.
    pub(super) fn crash(&self, now: Timestamp) {
        let mut state = self.lock();
        state.machine.crash(now);
        state.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`SimHost`] with the clock of the simulated host that uses it.
#[derive(Clone)]
pub(super) struct ClockedHost {
    host: SimHost,
    clock: Clock,
}

impl ClockedHost {
    /// Ends jobs when they are due.
    pub(super) async fn work(&self) {
        loop {
            let next = {
                let state = &mut *self.host.lock();
                state.machine.handle_timeout(self.clock.now());
                while let Some(job) = state.machine.poll_finished() {
                    if let Some(waiting) = state.waiting.remove(&job) {
                        // Nobody waits if the job was killed in this very tick.
                        let _ = waiting.send(());
                    }
                }
                state.machine.poll_timeout().unwrap_or(Timestamp::MAX)
            };
            tokio::select! {
                biased;
                () = self.host.0.changed.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    fn start(&self, job: JobId, demand: Duration) -> Running {
        let (sender, ended) = oneshot::channel();
        let state = &mut *self.host.lock();
        state.machine.start(self.clock.now(), job, demand);
        state.waiting.insert(job, sender);
        self.host.0.changed.notify_one();
        Running { host: self.clone(), job, ended }
    }
}

impl Host for ClockedHost {
    fn run(&self, job: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        let mut running = self.start(job, task.demand.unwrap_or_default());
        async move {
            match (&mut running.ended).await {
                Ok(()) => Ok(running.host.host.0.output.clone()),
                Err(_) => Err(Failure::JobFailed("the machine crashed".to_owned())),
            }
        }
    }

    fn sample(&self) -> (f64, f64) {
        let state = &mut *self.host.lock();
        let cpu_percent = state.machine.sample_cpu(self.clock.now());
        let jobs = state.machine.running() as u32;
        (cpu_percent, state.machine.memory_percent(jobs))
    }

    fn window(&self) -> Duration {
        self.host.0.window
    }
}

/// A job on the machine; dropping it before its end kills it.
struct Running {
    host: ClockedHost,
    job: JobId,
    ended: oneshot::Receiver<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let state = &mut *self.host.host.lock();
        if state.waiting.remove(&self.job).is_some() {
            state.machine.cancel(self.host.clock.now(), self.job);
            self.host.host.0.changed.notify_one();
        }
    }
}
