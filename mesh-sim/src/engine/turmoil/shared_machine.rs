//! The machine under a simulated agent, shared by the tasks of that agent's host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Failure, JobId};
use mesh_core::protocol::Task;
use mesh_core::sessions::WarmSessions;
use mesh_node::host::JobResult;
use mesh_node::work::SubjobCaller;
use mesh_node::{Clock, Host};
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};

use super::net::TurmoilNet;
use crate::engine::true_state::TrueState;
use crate::engine::{OUTPUT, effort, first_sample};
use crate::faults::MachineState;
use crate::host::AgentId;
use crate::machine::{ErringJobs, Machine};
use crate::scenario::{Costs, Scenario};

/// The model of a machine, behind a lock. It outlives the processes that run on it one after the
/// other. Clones are handles on the same machine.
#[derive(Clone)]
pub(super) struct SharedMachine(Arc<MachineParts>);

struct MachineParts {
    /// The machine's CPU % is the busy share over this window.
    window: Duration,
    /// When a process on it samples its load first, from its start.
    first_sample: Duration,
    costs: Costs,
    /// The output of every job.
    output: Arc<RawValue>,
    state: Mutex<JobsOnMachine>,
    /// Who is told what is left on the machine of which agent.
    truth: Option<(TrueState, AgentId)>,
    /// Notified when a job starts or stops, or the speed changes: the next end may be earlier.
    changed: Notify,
}

/// The machine with those who wait for its jobs.
struct JobsOnMachine {
    machine: Machine<JobId>,
    /// `None` if no job of the agent ever ends with an error.
    erring: Option<ErringJobs<JobId>>,
    sessions: WarmSessions,
    /// Told when the job has computed and waited, with the failure that it ends with; dropped when
    /// the job is killed.
    waiting: BTreeMap<JobId, oneshot::Sender<Option<Failure>>>,
}

impl JobsOnMachine {
    /// A job has computed and waited, or is stopped. Returns the failure that it ends with.
    fn end(&mut self, job: JobId) -> Option<Failure> {
        self.erring.as_mut()?.end(job)
    }
}

impl SharedMachine {
    /// The machine of an agent. It is off until a process [starts](Self::boot) on it.
    pub(super) fn new(
        scenario: &Scenario,
        agent: AgentId,
        erring: Option<ErringJobs<JobId>>,
        truth: Option<TrueState>,
    ) -> Self {
        let spec = &scenario.agent(agent).machine;
        let mut machine = Machine::new(spec);
        machine.switch_off(Timestamp::ZERO);
        let output = RawValue::from_string(OUTPUT.to_owned()).unwrap_or_default();
        let state = JobsOnMachine {
            machine,
            erring,
            sessions: WarmSessions::default(),
            waiting: BTreeMap::new(),
        };
        Self(Arc::new(MachineParts {
            window: spec.cpu_window,
            first_sample: first_sample(scenario, agent),
            costs: scenario.costs.clone(),
            output: output.into(),
            state: Mutex::new(state),
            truth: truth.map(|truth| (truth, agent)),
            changed: Notify::new(),
        }))
    }

    /// Boots the machine for an agent that starts on it. `subjobs` is the agent's own.
    pub(super) fn boot(&self, subjobs: SubjobCaller<TurmoilNet>) -> MachineHost {
        let clock = subjobs.clock();
        self.lock().machine.boot(clock.now());
        MachineHost { host: self.clone(), clock, subjobs }
    }

    pub(super) fn set_state(&self, now: Timestamp, state: MachineState) {
        let JobsOnMachine { machine, erring, .. } = &mut *self.lock();
        machine.set_speed_factor(now, state.speed_factor);
        machine.set_background_override(now, state.background);
        if let Some(erring) = erring {
            erring.set_fault(state.errors);
        }
        self.tell_truth(now, machine);
        self.0.changed.notify_one();
    }

    /// How busy the machine was until `end`: CPU % of each second since the last call, by the
    /// number of the second. Idle seconds are left out.
    pub(super) fn seconds(&self, end: Timestamp) -> Vec<(u64, f64)> {
        let machine = &mut self.lock().machine;
        machine.handle_timeout(end);
        let passed: Vec<_> = std::iter::from_fn(|| machine.poll_second()).collect();
        passed.into_iter().chain(machine.present_second()).collect()
    }

    /// Kills every job, because the process on the machine ends.
    pub(super) fn switch_off(&self, now: Timestamp) {
        let mut state = self.lock();
        state.machine.switch_off(now);
        state.waiting.clear();
        if let Some(erring) = &mut state.erring {
            erring.clear();
        }
        state.sessions = WarmSessions::default();
    }

    /// To be called whenever jobs or rates of the machine have changed.
    fn tell_truth(&self, now: Timestamp, machine: &Machine<JobId>) {
        if let Some((truth, agent)) = &self.0.truth {
            truth.machine_changed(now, *agent, machine.backlog());
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobsOnMachine> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`SharedMachine`] with the clock of the process on it: the [`Host`] that does the agent's
/// jobs.
#[derive(Clone)]
pub(super) struct MachineHost {
    host: SharedMachine,
    clock: Clock,
    subjobs: SubjobCaller<TurmoilNet>,
}

impl MachineHost {
    /// Ends each job when the machine model has finished it. Runs as long as the process.
    pub(super) async fn work(&self) {
        loop {
            let next = {
                let state = &mut *self.host.lock();
                state.machine.handle_timeout(self.clock.now());
                while let Some(job) = state.machine.poll_finished() {
                    let failure = state.end(job);
                    if let Some(waiting) = state.waiting.remove(&job) {
                        // Nobody waits if the job was killed in this very tick.
                        let _ = waiting.send(failure);
                    }
                }
                self.host.tell_truth(self.clock.now(), &state.machine);
                state.machine.poll_timeout().unwrap_or(Timestamp::MAX)
            };
            tokio::select! {
                biased;
                () = self.host.0.changed.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    fn start(&self, job: JobId, task: &Task) -> JobGuard {
        let (sender, ended) = oneshot::channel();
        let state = &mut *self.host.lock();
        if state.machine.is_off() {
            // The process ends: its tasks are being dropped, and one of them makes room for this job.
            return JobGuard { host: self.clone(), job, ended };
        }
        let (now, costs) = (self.clock.now(), &self.host.0.costs);
        let mut effort = || effort(task, &mut state.sessions, costs);
        let (demand, wait) = match &mut state.erring {
            Some(erring) => erring.begin(now, job, task, effort),
            None => effort(),
        };
        state.machine.start(now, job, demand, wait);
        self.host.tell_truth(now, &state.machine);
        state.waiting.insert(job, sender);
        self.host.0.changed.notify_one();
        JobGuard { host: self.clone(), job, ended }
    }
}

impl Host for MachineHost {
    fn run(&self, job: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        let deadline = task.timeout.map_or(Timestamp::MAX, |left| self.clock.now() + left);
        let mut running = self.start(job, &task);
        async move {
            match (&mut running.ended).await {
                Ok(Some(failure)) => Err(failure),
                Ok(None) => {
                    let own = running.host.host.0.output.clone();
                    running.host.subjobs.finish(&task, own, deadline).await
                }
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

    fn first_sample(&self) -> Duration {
        self.host.0.first_sample
    }
}

/// A job that runs on the machine. If this is dropped before the job's end, the job is killed.
struct JobGuard {
    host: MachineHost,
    job: JobId,
    ended: oneshot::Receiver<Option<Failure>>,
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let state = &mut *self.host.host.lock();
        if state.waiting.remove(&self.job).is_some() {
            state.end(self.job);
            let now = self.host.clock.now();
            state.machine.cancel(now, self.job);
            self.host.host.tell_truth(now, &state.machine);
            self.host.host.0.changed.notify_one();
        }
    }
}
