//! No agent routes to a peer whose lease ended long ago, and no dead incarnation comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{Keeping, LeaseNote};

use super::FoundViolations;
use super::bounds::NoticeBounds;
use super::registry_leases::{KnownLease, RegistryLeases};
use crate::faults::FaultSchedule;
use crate::host::{AgentId, AgentMap, HostId};
use crate::record::Violation;

pub(super) const NOT_STALE: &str =
    "nobody is routed to a peer whose lease ended longer ago than the bound";

/// Follows the leases by the registries' notes, and checks routing decisions and new leases against
/// them.
#[derive(Debug)]
pub(super) struct LeaseOracle {
    faults: Arc<FaultSchedule>,
    bounds: NoticeBounds,
    /// As [`patience`](super::bounds::patience) says.
    patience: Arc<AgentMap<Duration>>,
    keeping: Keeping,
    /// In their order.
    registries: Vec<RegistryLeases>,
    /// Agents that have been told to shut down.
    leaving: BTreeSet<Name>,
}

/// An agent's decision to send an attempt to a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutingDecision<'a> {
    /// The agent that decided.
    pub(super) agent: AgentId,
    pub(super) request: u64,
    /// The peer that the agent chose.
    pub(super) peer: &'a Name,
    /// The life of the peer that the agent knew of.
    pub(super) incarnation: u64,
}

impl LeaseOracle {
    pub(super) fn new(
        keeping: Keeping,
        faults: Arc<FaultSchedule>,
        bounds: NoticeBounds,
        patience: Arc<AgentMap<Duration>>,
    ) -> Self {
        let loses = keeping == Keeping::Nowhere || faults.rolls_stores_back();
        // A shared store forgets the leases of agents that no registry hears, two TTLs later at
        // the earliest.
        let kept_for = match keeping {
            Keeping::Shared => bounds.shared_stores_keep,
            _ => Duration::MAX,
        };
        let registry = |host| RegistryLeases::new(host, (!loses).then_some(kept_for));
        let registries = faults.hosts().registries().map(registry).collect();
        Self { faults, bounds, patience, keeping, registries, leaving: BTreeSet::new() }
    }

    /// The registries with their leases.
    pub(super) fn registries(&self) -> &[RegistryLeases] {
        &self.registries
    }

    pub(super) fn registry_crashed(&mut self, now: Timestamp, host: HostId) {
        // Nobody can ask a shared store to keep leases while something is wrong with it.
        let was_asked = self.keeping != Keeping::Shared
            || self
                .faults
                .last_fault_of_stores(now)
                .is_none_or(|at| now.since(at) >= self.bounds.shared_stores_keep);
        if let Some(registry) = self.registries.iter_mut().find(|registry| registry.host == host) {
            registry.crashes(now, was_asked);
            self.leaving.iter().for_each(|name| registry.excuse(name));
        }
    }

    pub(super) fn registry_restarted(&mut self, now: Timestamp, host: HostId) {
        let mut registries = self.registries.iter_mut();
        if let Some(registry) = registries.find(|registry| registry.host == host) {
            registry.restarts(now);
        }
    }

    /// An agent is told to shut down, and ends its leases.
    pub(super) fn leaves(&mut self, agent: AgentId) {
        let name = &self.faults.hosts()[agent.host()];
        self.registries.iter_mut().for_each(|registry| registry.excuse(name));
        self.leaving.insert(name.clone());
    }

    /// Makes the checks that are due at the end of a run.
    pub(super) fn finish(&mut self, now: Timestamp, found: &mut FoundViolations) {
        let since = now.since(self.faults.last_fault_of_stores(now).unwrap_or_default());
        for registry in &mut self.registries {
            if !self.faults.is_down(registry.host, now) {
                registry.finish(now, since, found);
            }
        }
    }

    pub(super) fn noted(
        &mut self,
        now: Timestamp,
        host: HostId,
        note: &LeaseNote,
        found: &mut FoundViolations,
    ) {
        for registry in &mut self.registries {
            if registry.host == host {
                registry.noted(now, note, found);
            } else if self.keeping == Keeping::Shared {
                registry.noted_elsewhere(note);
            }
        }
    }

    /// Checks a routing decision. Agents learn of ended leases from lists. So an agent that can't
    /// reach a registry may go on with the peers that it knows, and gets the time to fetch a list
    /// once it can. Nothing is demanded of an agent whose link may be too slow for calls at any
    /// time.
    pub(super) fn routed(
        &self,
        now: Timestamp,
        routed: RoutingDecision<'_>,
        found: &mut FoundViolations,
    ) {
        let RoutingDecision { agent, request, peer, incarnation } = routed;
        let Some(ended) = self.end_of(now, peer, incarnation) else { return };
        let host = agent.host();
        let Some(informed) = self.informed(now, agent) else { return };
        if now.since(ended.max(informed)) <= self.bounds.forget {
            return;
        }
        let name = &self.faults.hosts()[host];
        let detail = format!(
            "{name} routed request {request} to {peer}, whose lease ended {:?} ago; the bound is \
             {:?}",
            now.since(ended),
            self.bounds.forget
        );
        let stale = Violation::new(NOT_STALE, now, detail);
        found.add(stale.request(request).hosts([name, peer]));
    }

    /// Since when an agent knows what the list of some registry says; `None` if all of them may be
    /// too far away.
    fn informed(&self, now: Timestamp, agent: AgentId) -> Option<Timestamp> {
        let host = agent.host();
        let by = |registry: &RegistryLeases| {
            let ways = [(host, registry.host), (registry.host, host)];
            let slowest = ways.map(|(from, to)| self.faults.base_latency(from, to));
            let disturbed = self.faults.last_disturbed(host, registry.host, now);
            let informed = disturbed.map(|at| at + self.bounds.fetch).unwrap_or_default();
            (slowest.iter().max() < Some(&self.patience[agent])).then_some(informed)
        };
        self.registries.iter().filter_map(by).min()
    }

    /// When the lease of this life of an agent ended, at the last registry that had it. `None` if it
    /// is live somewhere, or if no registry ever granted it one. A registry that has been down for
    /// long does not count if another one is up: nobody has its list any more.
    fn end_of(&self, now: Timestamp, peer: &Name, incarnation: u64) -> Option<Timestamp> {
        let before = now - self.bounds.forget;
        let is_out = |registry: &RegistryLeases| {
            [before, now].iter().all(|at| self.faults.is_down(registry.host, *at))
        };
        let all_out = || self.registries.iter().all(is_out);
        let mut last = None;
        for registry in &self.registries {
            let ended = match registry.state_of(peer, incarnation) {
                KnownLease::Unknown => continue,
                KnownLease::Live if !is_out(registry) || all_out() => return None,
                KnownLease::Live => before,
                KnownLease::Ended(at) => at,
                // Views keep missing peers for one TTL from the first list of a restarted registry
                // on, so the time to forget them begins when an agent has fetched that list.
                KnownLease::Lost(restarted) => restarted + self.bounds.fetch,
            };
            last = last.max(Some(ended));
        }
        last
    }
}
