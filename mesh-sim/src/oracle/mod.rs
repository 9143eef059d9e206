//! Oracles: properties that hold in every run, whatever the scenario. A violation is a bug of the
//! mesh or of the simulator.
//!
//! `requests` looks at how requests end and at the jobs done for them, `leases` at what the
//! registries grant and at where agents route, `identities` at what registries with one store list
//! at one revision of it, `views` at the peers that agents know, `scaling` at the set of an
//! autoscaler, and `convergence` at the mesh after the last fault.

mod bounds;
mod convergence;
mod identities;
mod leases;
mod registry_leases;
mod request_history;
mod requests;
mod scaling;
mod views;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Note;

use self::bounds::{NoticeBounds, patience};
use self::convergence::ConvergenceOracle;
use self::identities::IdentityOracle;
use self::leases::{LeaseOracle, RoutingDecision};
use self::requests::{NextSend, RequestOracle};
use self::scaling::ScalingOracle;
use self::views::ViewOracle;
use crate::faults::FaultSchedule;
use crate::journal::{Fact, FactObserver, JournalEntry};
use crate::presence::Presence;
use crate::record::Violation;
use crate::scenario::Scenario;

/// The most violations that are kept of one run: one bug often violates an oracle many times.
const MAX_VIOLATIONS: usize = 20;

/// All oracles of one run. They watch the run as an observer of its journal; [`Oracles::end`] says
/// how long the run must last, and [`Oracles::finish`] makes the checks that are due at its end.
#[derive(Debug)]
pub struct Oracles {
    requests: RequestOracle,
    leases: LeaseOracle,
    identities: IdentityOracle,
    convergence: ConvergenceOracle,
    views: ViewOracle,
    scaling: Option<ScalingOracle>,
    found: FoundViolations,
}

/// The violations of a run so far.
#[derive(Debug, Default)]
struct FoundViolations {
    /// The first [`MAX_VIOLATIONS`].
    violations: Vec<Violation>,
    /// How many there were, with those that are not kept.
    total: u64,
}

impl FoundViolations {
    fn add(&mut self, violation: Violation) {
        self.total += 1;
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(violation);
        }
    }
}

impl Oracles {
    /// The oracles for a scenario. `resolution` is the most by which the engine's timers may be
    /// late.
    pub fn new(scenario: &Scenario, faults: Arc<FaultSchedule>, resolution: Duration) -> Self {
        let bounds = NoticeBounds::new(scenario);
        let patience = patience(scenario, resolution);
        let keeping = scenario.registries.keeping();
        Self {
            requests: RequestOracle::new(scenario, faults.clone(), resolution),
            leases: LeaseOracle::new(keeping, faults.clone(), bounds, patience.clone()),
            identities: IdentityOracle::new(keeping, &faults),
            scaling: ScalingOracle::of(scenario),
            views: ViewOracle::new(scenario, faults.clone(), bounds, patience.clone()),
            convergence: ConvergenceOracle::new(scenario, faults, bounds, patience, resolution),
            found: FoundViolations::default(),
        }
    }

    /// Until when a run must last so that every oracle can be checked.
    pub fn end(&self) -> Timestamp {
        self.requests.end().max(self.convergence.end())
    }

    /// Makes the checks that are due at the end of the run, and returns all violations. If there
    /// were more than are kept, the last one says how many.
    pub fn finish(mut self, now: Timestamp) -> Vec<Violation> {
        self.requests.finish(now, &mut self.found);
        self.leases.finish(now, &mut self.found);
        self.identities.finish(now, &mut self.found);
        self.convergence.finish(now, &self.leases, &mut self.found);
        let kept = self.found.violations.len() as u64;
        if let (true, Some(last)) = (self.found.total > kept, self.found.violations.last_mut()) {
            let more = self.found.total - kept;
            last.detail.push_str(&format!(" (and {more} more violations)"));
        }
        self.found.violations
    }
}

impl FactObserver for Oracles {
    fn observe(&mut self, entry: &JournalEntry) {
        let (found, &JournalEntry { at, host, ref fact }) = (&mut self.found, entry);
        if let Some(scaling) = &mut self.scaling {
            scaling.observe(entry, found);
        }
        if let (Some(agent), true) = (host.agent(), is_about_to_go(fact)) {
            self.requests.leaves(agent);
            self.views.leaves(agent);
            self.leases.leaves(agent);
        }
        match (fact, host.agent()) {
            (&Fact::RequestDue { request, kind, entry, .. }, _) => {
                self.requests.due(request, kind, (at, entry), found);
            }
            (&Fact::RequestSentAgain { request, after, entry, attempt, pause, .. }, _) => {
                let next = NextSend { entry, attempt, sent: at + pause };
                self.requests.sent_again(at, request, after, next, found);
            }
            (&Fact::RequestEnded { request, outcome, .. }, _) => {
                self.requests.ended(at, request, outcome, found);
            }
            (Fact::AgentNoted(note), Some(agent)) => {
                self.requests.noted(at, agent, note, found);
                if let &Note::Routed { request, ref peer, incarnation, .. } = note {
                    let routed = RoutingDecision { agent, request, peer, incarnation };
                    self.leases.routed(at, routed, found);
                }
            }
            (Fact::LoadSampled { load, open }, Some(agent)) => {
                self.convergence.sampled(at, agent, load, *open);
            }
            (Fact::PeersKnown(peers), Some(agent)) => {
                self.convergence.knows(agent, peers);
                self.views.knows(at, agent, peers, found);
            }
            (&Fact::PresenceChanged(presence), Some(agent)) => {
                self.convergence.presence_changed(agent, presence);
            }
            (Fact::RegistryNoted(note), _) => {
                self.leases.noted(at, host, note, found);
                self.identities.noted(host, note);
            }
            (Fact::HostCrashed(_), _) if host.is_registry() => {
                self.leases.registry_crashed(at, host);
                self.identities.crashed(host);
            }
            (Fact::HostRestarted, _) if host.is_registry() => {
                self.leases.registry_restarted(at, host);
            }
            // These facts happen only at agents, and the host here is none.
            (
                Fact::AgentNoted(_)
                | Fact::LoadSampled { .. }
                | Fact::PeersKnown(_)
                | Fact::PresenceChanged(_),
                None,
            )
            | (
                Fact::HostCrashed(_)
                | Fact::HostRestarted
                | Fact::Scaled(_)
                | Fact::MachineBusy { .. }
                | Fact::SpanEnded(_)
                | Fact::SubjobReported { .. }
                | Fact::RegistryHeardTwice { .. }
                | Fact::RegistryWasDeaf(_),
                _,
            ) => {}
        }
    }
}

/// Whether an agent may give up its leases from now on.
const fn is_about_to_go(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::AgentNoted(Note::Draining { .. }) | Fact::PresenceChanged(Presence::Leaving)
    )
}

#[cfg(test)]
mod tests;
