//! When requests are due, where they enter the mesh and what they cost.
//!
//! Times, entry agents and demands come from separate streams of the seed. So every policy sees the
//! same requests, and a change of one of the three leaves the other two as they were.

mod client;
mod closed;
mod entries;
mod open;

pub(crate) use client::IDLE_CONNECTIONS;
pub use client::{Pacing, RequestObserver, WorkloadClient};
pub use closed::ClosedLoop;
pub use entries::Entries;
pub use open::OpenLoop;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Task;
use mesh_core::seed::{Rng, Seed};

use crate::dist::Distribution;
use crate::host::AgentId;
use crate::scenario::{Arrivals, Entry, Scenario, WorkloadSpec};

/// The text of every job.
pub const JOB: &str = "simulated job";

/// A request before anything has happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Unique in the run, and the same under every policy.
    pub index: u64,
    /// The intended start, which latency counts from.
    pub at: Timestamp,
    /// The agent that it is sent to.
    pub entry: AgentId,
    /// CPU time that the job takes on a core of speed 1.
    pub demand: Duration,
}

impl Arrival {
    /// What is asked of the mesh, in `timeout`.
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

/// The source of a run's requests.
#[derive(Clone, Debug)]
pub enum Workload {
    /// Requests are due at times that nothing in the run moves.
    Open(Box<OpenLoop>),
    /// Clients send again after their last answer.
    Closed(ClosedLoop),
}

impl Workload {
    /// The requests of a scenario's run with this seed.
    pub fn of(scenario: &Scenario, seed: u64) -> Self {
        let seed = Seed::root(seed).child("workload");
        Self::new(&scenario.workload, &Entries::of(&scenario.agents), scenario.duration, &seed)
    }

    /// The requests due in `0..duration` that enter through `entries`.
    pub fn new(spec: &WorkloadSpec, entries: &Entries, duration: Duration, seed: &Seed) -> Self {
        let end = Timestamp::from(duration);
        let open = |gaps, rates| {
            Self::Open(Box::new(OpenLoop::new(gaps, rates, Jobs::new(spec, entries, seed), end)))
        };
        match &spec.arrivals {
            Arrivals::Poisson(rates) => {
                open(open::Gaps::Exponential(Box::new(seed.child("arrivals").rng())), rates)
            }
            Arrivals::Constant(rates) => open(open::Gaps::Equal, rates),
            Arrivals::Closed { clients, think } => {
                let client = |number| {
                    let seed = seed.child(&format!("client-{number}"));
                    let jobs = Jobs::new(spec, entries, &seed);
                    closed::Client::new(seed.child("think").rng(), jobs)
                };
                Self::Closed(ClosedLoop::new(think, (0..*clients).map(client).collect(), end))
            }
        }
    }
}

/// Draws entry agents and demands.
#[derive(Clone, Debug)]
struct Jobs {
    entry: Entry,
    entries: Entries,
    demand: Distribution,
    entry_rng: Rng,
    service_rng: Rng,
}

impl Jobs {
    fn new(spec: &WorkloadSpec, entries: &Entries, seed: &Seed) -> Self {
        Self {
            entry: spec.entry.clone(),
            entries: entries.clone(),
            demand: spec.demand.clone(),
            entry_rng: seed.child("entry").rng(),
            service_rng: seed.child("service").rng(),
        }
    }

    /// The next job; `turn` counts round-robin entries.
    fn next(&mut self, index: u64, at: Timestamp, turn: u64) -> Arrival {
        let entry = match self.entry {
            Entry::Random => self.entries.pick(at, |count| self.entry_rng.index(count)),
            Entry::RoundRobin => self.entries.pick(at, |count| (turn % count as u64) as usize),
            Entry::Fixed(agent) => agent,
        };
        Arrival { index, at, entry, demand: self.demand.sample(&mut self.service_rng) }
    }
}

#[cfg(test)]
mod tests;
