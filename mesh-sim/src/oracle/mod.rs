//! Oracles: properties that hold in every run, whatever the scenario. A violation is a bug.

mod bounds;
mod convergence;
mod history;
mod leases;
mod requests;
mod views;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry;

use self::bounds::{Bounds, patience};
use self::convergence::Convergence;
use self::leases::{Leases, Routed};
use self::requests::Requests;
use self::views::Views;
use crate::faults::FaultSchedule;
use crate::host::AgentId;
use crate::presence::Presence;
use crate::record::{Outcome, Violation};
use crate::scenario::Scenario;

/// Violations kept of one run; one bug tends to break an oracle many times.
const MAX_VIOLATIONS: usize = 20;

/// All oracles of one run.
#[derive(Debug)]
pub struct Oracles {
    requests: Requests,
    leases: Leases,
    convergence: Convergence,
    views: Views,
    found: Found,
}

/// Violations found so far.
#[derive(Debug, Default)]
struct Found {
    violations: Vec<Violation>,
    total: u64,
}

impl Found {
    fn add(&mut self, oracle: &'static str, at: Timestamp, detail: String) {
        self.total += 1;
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { oracle, at_ns: at.as_nanos(), detail });
        }
    }
}

impl Oracles {
    /// The oracles of a scenario. `resolution` is how late the engine's timers may be.
    pub fn new(scenario: &Scenario, faults: Arc<FaultSchedule>, resolution: Duration) -> Self {
        let bounds = Bounds::new(scenario);
        let patience = patience(scenario, resolution);
        Self {
            requests: Requests::new(scenario, faults.clone(), resolution),
            leases: Leases::new(faults.clone(), bounds, patience.clone()),
            views: Views::new(scenario, faults.clone(), bounds, patience.clone()),
            convergence: Convergence::new(scenario, faults, bounds, patience, resolution),
            found: Found::default(),
        }
    }

    /// How long a run must last for every oracle to have its say.
    pub fn end(&self) -> Timestamp {
        self.requests.end().max(self.convergence.end())
    }

    /// A client's request is due at the agent `entry`.
    pub fn due(&mut self, request: u64, intended: Timestamp, entry: AgentId) {
        self.requests.due(request, intended, entry, &mut self.found);
    }

    /// A client's request ended.
    pub fn ended(&mut self, now: Timestamp, request: u64, outcome: &Outcome) {
        self.requests.ended(now, request, outcome, &mut self.found);
    }

    /// An agent noted something.
    pub fn agent(&mut self, now: Timestamp, agent: AgentId, name: &Name, note: &Note) {
        self.requests.agent(now, name, note, &mut self.found);
        if let &Note::Routed { request, ref peer, incarnation, .. } = note {
            let routed = Routed { agent, name, request, peer, incarnation };
            self.leases.routed(now, routed, &mut self.found);
        }
    }

    /// The registry noted something.
    pub fn registry(&mut self, now: Timestamp, note: &registry::Note) {
        self.leases.registry(now, note, &mut self.found);
    }

    /// An agent's load was sampled.
    pub fn load(&mut self, now: Timestamp, agent: AgentId, load: &LoadReport, open: usize) {
        self.convergence.load(now, agent, load, open);
    }

    /// An agent's view changed, or was sampled.
    pub fn view(&mut self, now: Timestamp, agent: AgentId, peers: &Peers) {
        self.convergence.view(agent, peers);
        self.views.view(now, agent, peers, &mut self.found);
    }

    /// An agent has joined, is leaving, or is gone.
    pub fn presence_changed(&mut self, agent: AgentId, presence: Presence) {
        if presence == Presence::Leaving {
            self.requests.leaves(agent);
            self.views.leaves(agent);
        }
        self.convergence.presence_changed(agent, presence);
    }

    /// The registry starts again, with nothing.
    pub fn registry_restarted(&mut self, now: Timestamp) {
        self.leases.restarted(now);
    }

    /// The run is over: the last checks.
    pub fn finish(mut self, now: Timestamp) -> Vec<Violation> {
        self.requests.finish(now, &mut self.found);
        self.convergence.finish(now, &self.leases, &mut self.found);
        let kept = self.found.violations.len() as u64;
        if let (true, Some(last)) = (self.found.total > kept, self.found.violations.last_mut()) {
            let more = self.found.total - kept;
            last.detail.push_str(&format!(" (and {more} more violations)"));
        }
        self.found.violations
    }
}

#[cfg(test)]
mod tests;
