//! No view loses a live agent because the registry could not be heard, or could not hear.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Peers;
use mesh_core::protocol::Name;
use mesh_core::registry::Keeping;

use super::FoundViolations;
use super::bounds::NoticeBounds;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, AgentMap, HostId};
use crate::record::Violation;
use crate::scenario::Scenario;

pub(super) const NOT_FORGOTTEN: &str =
    "no live agent leaves a view because the registry could not hear";

/// Follows the agents' views, and checks why peers disappear from them.
///
/// A peer may disappear if it leaves the mesh, if it was down, or if the registry heard other
/// agents but not this one, because then it may be dead for all that anybody knows. If the registry
/// heard no agent at all, for however long, no peer may be missing afterwards. Nothing is demanded
/// after several such silences in a row, because an agent may not be heard in between; nor with
/// settings that give an agent too little time to come back. Where there are several registries, a
/// peer may disappear only if something has disturbed each of them: no fault of one may matter as
/// long as another one hears both agents.
#[derive(Debug)]
pub(super) struct ViewOracle {
    faults: Arc<FaultSchedule>,
    keeping: Keeping,
    /// Whether the settings give agents enough time to come back; otherwise nothing is checked.
    is_promised: bool,
    /// For how long after a fault peers may disappear because of it.
    aftermath: Duration,
    /// As [`patience`](super::bounds::patience) says.
    patience: Arc<AgentMap<Duration>>,
    /// When each agent last reported its view, and that view.
    last: AgentMap<(Timestamp, Peers)>,
    /// Agents that have been told to shut down.
    leaving: BTreeSet<AgentId>,
}

impl ViewOracle {
    pub(super) fn new(
        scenario: &Scenario,
        faults: Arc<FaultSchedule>,
        bounds: NoticeBounds,
        patience: Arc<AgentMap<Duration>>,
    ) -> Self {
        let refresh = scenario.agents.iter().map(|agent| agent.refresh).max().unwrap_or_default();
        Self {
            // An agent that fetches lists less often than once per TTL may miss a silence
            // altogether.
            is_promised: bounds.are_kept() && refresh < scenario.leases.ttl,
            aftermath: bounds.converge(),
            patience,
            last: AgentMap::filled(Default::default(), scenario.agents.len()),
            leaving: BTreeSet::new(),
            keeping: scenario.registries.keeping(),
            faults,
        }
    }

    pub(super) fn leaves(&mut self, agent: AgentId) {
        self.leaving.insert(agent);
    }

    pub(super) fn knows(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        peers: &Peers,
        found: &mut FoundViolations,
    ) {
        let seen = (now, peers.clone());
        let (since, before) = std::mem::replace(&mut self.last[agent], seen);
        // After a restart an agent begins with an empty view: the one before is of its former life.
        let is_new = self.faults.last_down(agent.host(), now).is_some_and(|down| down >= since);
        if !self.is_promised || before.len() <= peers.len() || is_new {
            return;
        }
        let gone = before.roster().differences(peers.roster()).filter(|(_, new)| new.is_none());
        let gone = gone.filter_map(|(old, _)| old.map(|old| &old.name));
        let own = &self.faults.hosts()[agent.host()];
        let Some(name) =
            gone.filter(|name| *name != own).find(|name| !self.may_go(now, agent, name))
        else {
            return;
        };
        let (left, of) = (peers.len(), before.len());
        let detail = format!("{own} has forgotten {name}, which lives; it knows {left} of {of}");
        found.add(Violation::new(NOT_FORGOTTEN, now, detail).hosts([own, name]));
    }

    /// Whether an agent may miss a peer for another reason than that the registry heard nobody.
    fn may_go(&self, now: Timestamp, agent: AgentId, name: &Name) -> bool {
        let host = self.faults.hosts().find(|host| host == name);
        let Some(peer) = host.and_then(HostId::agent) else { return true };
        if self.leaving.contains(&peer) {
            return true;
        }
        let since = now - self.aftermath;
        let mut registries = self.faults.hosts().registries();
        if registries.len() > 1 {
            return !registries.any(|registry| {
                self.shows(now, registry, [agent, peer]) && self.has_store(now, registry)
            });
        }
        if !self.has_store(now, HostId::REGISTRY) {
            return true;
        }
        let ways = [(peer.host(), HostId::REGISTRY), (HostId::REGISTRY, peer.host())];
        let slowest = ways.map(|(from, to)| self.faults.base_latency(from, to));
        let singled_out = self.faults.last_singled_out(peer, now);
        slowest.iter().max() >= Some(&self.patience[peer])
            || singled_out.is_some_and(|at| at >= since)
            || self.faults.silences(since, now) > 1
    }

    /// Whether nothing was wrong with a registry's store, if it has one. Without its store, a registry
    /// grants no lease to an agent that has lost its own.
    fn has_store(&self, now: Timestamp, registry: HostId) -> bool {
        let since = now - self.aftermath;
        let users = match self.keeping {
            Keeping::Shared => self.faults.hosts().registries().collect(),
            Keeping::Alone | Keeping::Nowhere => vec![registry],
        };
        self.faults.last_store_fault(&users, now).is_none_or(|at| at < since)
    }

    /// Whether nothing has kept a registry from hearing two agents and from telling the one of the
    /// other. Of several registries one is enough.
    fn shows(&self, now: Timestamp, registry: HostId, agents: [AgentId; 2]) -> bool {
        let since = now - self.aftermath;
        agents.into_iter().all(|agent| {
            let ways = [(agent.host(), registry), (registry, agent.host())];
            let slowest = ways.map(|(from, to)| self.faults.base_latency(from, to));
            let disturbed = self.faults.last_disturbed(agent.host(), registry, now);
            slowest.iter().max() < Some(&self.patience[agent])
                && disturbed.is_none_or(|at| at < since)
        })
    }
}
