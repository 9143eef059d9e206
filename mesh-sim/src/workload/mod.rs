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

pub(crate) use client::IDLE_CONNECTIONS;
pub use client::{Pacing, RequestObserver, WorkloadClient};
pub use closed_loop::ClosedLoop;
pub use entry_agents::EntryAgents;
pub use open_loop::OpenLoop;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Task;
use mesh_core::seed::{Rng, Seed};

use crate::dist::Distribution;
use crate::host::AgentId;
use crate::scenario::{Arrivals, EntryChoice, Scenario, WorkloadSpec};

/// The text of every job.
pub const JOB_TEXT: &str = "simulated job";

/// A request that is due, as the workload draws it, before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The number of the request: unique in the run, and the same under every policy.
    pub index: u64,
    /// When the request is due. Its latency counts from here, even if it is sent later.
    pub at: Timestamp,
    /// The agent to which it is sent.
    pub entry: AgentId,
    /// The CPU time that the job takes on a core of speed 1.
    pub demand: Duration,
}

impl Arrival {
    /// The parameters of the `delegate` request, which is to be answered within `timeout`.
    pub fn task(&self, spec: &WorkloadSpec, text: Arc<str>, timeout: Duration) -> Task {
        Task {
            text,
            timeout: Some(timeout),
            demand: Some(self.demand),
            idempotent: spec.idempotent,
            depth: 0,
            request: self.index,
            attempt: 0,
            foreign: None,
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

/// Draws the entry agent and the demand of each request.
#[derive(Clone, Debug)]
struct JobDraws {
    entry: EntryChoice,
    entries: EntryAgents,
    demand: Distribution,
    entry_rng: Rng,
    service_rng: Rng,
}

impl JobDraws {
    fn new(spec: &WorkloadSpec, entries: &EntryAgents, seed: &Seed) -> Self {
        Self {
            entry: spec.entry.clone(),
            entries: entries.clone(),
            demand: spec.demand.clone(),
            entry_rng: seed.child("entry").rng(),
            service_rng: seed.child("service").rng(),
        }
    }

    /// The request number `index`, due at `at`. `turn` chooses the entry agent if they take turns.
    fn next(&mut self, index: u64, at: Timestamp, turn: u64) -> Arrival {
        let entry = match self.entry {
            EntryChoice::Random => self.entries.pick(at, |count| self.entry_rng.index(count)),
            EntryChoice::RoundRobin => {
                self.entries.pick(at, |count| (turn % count as u64) as usize)
            }
            EntryChoice::Fixed(agent) => agent,
        };
        Arrival { index, at, entry, demand: self.demand.sample(&mut self.service_rng) }
    }
}

#[cfg(test)]
mod tests;
