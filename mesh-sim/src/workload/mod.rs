//! The workload: when requests are due, through which agents they enter the mesh, and how much work
//! they are.
//!
//! Times, entry agents and demands are drawn from separate random streams of the seed. So every
//! policy sees the same requests, and a change of the settings of one of the three leaves the other
//! two as they are.

mod client;
mod closed_loop;
mod entry_agents;
mod open_loop;
mod rate;
mod request_traces;
mod sessions;
mod tries;

pub(crate) use client::IDLE_CONNECTIONS;
pub use client::{Pacing, RequestObserver, WorkloadClient};
pub use closed_loop::ClosedLoop;
pub use entry_agents::EntryAgents;
pub use open_loop::OpenLoop;
pub use request_traces::RequestTraces;
pub use tries::{ClientTries, NextTry, RequestTries};

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::{JobDetails, Subjob, Task};
use mesh_core::seed::{Rng, Seed};
use mesh_core::sessions::SessionTurn;

use self::entry_agents::EntryDraws;
use self::sessions::SessionDraws;

use crate::host::AgentId;
use crate::scenario::{Arrivals, JobKind, Scenario, WorkloadSpec};

/// A request that is due, as the workload draws it, before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// The number of the request: unique in the run, and the same under every policy.
    pub index: u64,
    /// When the request is due. Its latency counts from here, even if it is sent later.
    pub at: Timestamp,
    /// The agent to which it is sent.
    pub entry: AgentId,
    /// The kind of its job: a position in [`WorkloadSpec::jobs`].
    pub kind: u16,
    /// The CPU time that the job takes on a core of speed 1.
    pub demand: Duration,
    /// What else the job demands and does.
    pub details: Option<Arc<JobDetails>>,
}

impl Arrival {
    /// How long its job waits for something that takes no CPU time.
    pub(crate) fn wait(&self) -> Duration {
        self.details.as_ref().map_or(Duration::ZERO, |details| details.wait)
    }

    /// The parameters of the `delegate` request, which is to be answered within `timeout`. `job` is
    /// its kind, whose name is the text of the job.
    pub fn task(&self, job: &JobKind, timeout: Duration) -> Task {
        Task {
            timeout: Some(timeout),
            demand: Some(self.demand),
            details: self.details.clone(),
            idempotent: job.idempotent,
            request: self.index,
            ..Task::new(job.name.clone())
        }
    }
}

/// The requests of a run.
///
/// It is drawn from a scenario's `[workload]` and a seed alone, so every policy gets the same
/// requests. The engines and live benches take requests out of it one by one.
#[derive(Clone, Debug)]
pub enum Workload {
    /// Open loop: requests are due at times that do not depend on what happens in the run.
    Open(Box<OpenLoop>),
    /// Closed loop: a client sends its next request when it has the answer to the last one.
    Closed(ClosedLoop),
}

impl Workload {
    /// The requests of a run of a scenario with this seed.
    pub fn of(scenario: &Scenario, seed: u64) -> Self {
        let seed = Seed::root(seed).child("workload");
        Self::new(&scenario.workload, &EntryAgents::of(&scenario.agents), scenario.duration, &seed)
    }

    /// The requests that are due in `0..duration` and enter through `entries`.
    pub fn new(
        spec: &WorkloadSpec,
        entries: &EntryAgents,
        duration: Duration,
        seed: &Seed,
    ) -> Self {
        let end = Timestamp::from(duration);
        let open = |gaps, open| {
            let jobs = JobDraws::new(spec, entries, seed);
            Self::Open(Box::new(OpenLoop::new(gaps, open, jobs, seed, end)))
        };
        match &spec.arrivals {
            Arrivals::Poisson(rates) => {
                open(open_loop::Gaps::Exponential(Box::new(seed.child("arrivals").rng())), rates)
            }
            Arrivals::Constant(rates) => open(open_loop::Gaps::Equal, rates),
            Arrivals::Closed { clients, think } => {
                let client = |number| {
                    let seed = seed.child(&format!("client-{number}"));
                    let jobs = JobDraws::new(spec, entries, &seed);
                    closed_loop::ClosedClient::new(seed.child("think").rng(), jobs)
                };
                Self::Closed(ClosedLoop::new(think, (0..*clients).map(client).collect(), end))
            }
        }
    }
}

/// Draws the entry agent and the job of each request.
#[derive(Clone, Debug)]
struct JobDraws {
    entry: EntryDraws,
    jobs: Arc<[JobKind]>,
    /// The sums of the shares of the kinds, up to each of them.
    shares: Arc<[f64]>,
    entry_rng: Rng,
    kind_rng: Rng,
    service_rng: Rng,
    wait_rng: Rng,
    calls_rng: Rng,
    sessions: Option<SessionDraws>,
}

impl JobDraws {
    fn new(spec: &WorkloadSpec, entries: &EntryAgents, seed: &Seed) -> Self {
        let mut sum = 0.0;
        let shares = spec.jobs.iter().map(|job| {
            sum += job.share;
            sum
        });
        Self {
            entry: EntryDraws::new(&spec.entry, entries),
            shares: shares.collect(),
            jobs: spec.jobs.as_slice().into(),
            entry_rng: seed.child("entry").rng(),
            kind_rng: seed.child("kind").rng(),
            service_rng: seed.child("service").rng(),
            wait_rng: seed.child("wait").rng(),
            calls_rng: seed.child("calls").rng(),
            sessions: spec.sessions.as_ref().map(|sessions| SessionDraws::new(sessions, seed)),
        }
    }

    /// The request number `index`, due at `at`. `turn` chooses the entry agent if they take turns.
    fn next(&mut self, index: u64, at: Timestamp, turn: u64) -> Arrival {
        let entry = self.entry.first(at, turn, &mut self.entry_rng);
        let kind = self.kind();
        let jobs = Arc::clone(&self.jobs);
        let job = &jobs[kind];
        let demand = job.demand.sample(&mut self.service_rng);
        let wait = job.wait.as_ref().map(|wait| wait.sample(&mut self.wait_rng));
        let session = self.sessions.as_mut().and_then(|sessions| sessions.next(index, at));
        let details = self.details(&jobs, job, wait, session);
        Arrival { index, at, entry, kind: kind as u16, demand, details }
    }

    /// Draws a job of this kind that is a part of another one, and the jobs that it calls itself.
    fn subjob(&mut self, jobs: &[JobKind], kind: u16) -> Subjob {
        let job = &jobs[usize::from(kind)];
        let demand = job.demand.sample(&mut self.calls_rng);
        let wait = job.wait.as_ref().map(|wait| wait.sample(&mut self.calls_rng));
        let details = self.details(jobs, job, wait, None);
        Subjob {
            // Reports and providers find its kind by it.
            text: job.name.clone(),
            demand: Some(demand),
            details,
            idempotent: job.idempotent,
        }
    }

    /// The details of a job of this kind with this wait and turn of a session; `None` if any agent
    /// can do it, and it does nothing but compute.
    fn details(
        &mut self,
        jobs: &[JobKind],
        job: &JobKind,
        wait: Option<Duration>,
        session: Option<SessionTurn>,
    ) -> Option<Arc<JobDetails>> {
        let JobKind { join, in_turn, .. } = *job;
        let is_plain = job.skill.is_none() && job.calls.is_empty();
        (!is_plain || wait.is_some() || session.is_some()).then(|| {
            let skill = job.skill.clone();
            let calls = job.calls.iter().map(|kind| self.subjob(jobs, *kind)).collect();
            let wait = wait.unwrap_or_default();
            JobDetails { skill, wait, session, calls, join, in_turn, ..JobDetails::default() }
                .into()
        })
    }

    /// Draws a kind of jobs.
    fn kind(&mut self) -> usize {
        let [.., whole] = *self.shares else { return 0 };
        if self.shares.len() == 1 {
            return 0;
        }
        let point = self.kind_rng.unit() * whole;
        self.shares.partition_point(|sum| *sum <= point).min(self.shares.len() - 1)
    }
}

#[cfg(test)]
mod tests;
