//! No agent routes to a peer whose lease ended long ago, and no dead incarnation comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};

use super::FoundViolations;
use super::bounds::NoticeBounds;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, AgentMap, HostId};
use crate::record::Violation;

pub(super) const NOT_STALE: &str =
    "nobody is routed to a peer whose lease ended longer ago than the bound";
pub(super) const STAYS_DEAD: &str = "a dead incarnation never comes back";

/// Follows the leases by the registry's notes, and checks routing decisions and new leases against
/// them. A registry that restarts has lost its leases and its memory of ended ones. From then on
/// the leases of its former life count as over, and it may grant a lease to any incarnation.
#[derive(Debug)]
pub(super) struct LeaseOracle {
    faults: Arc<FaultSchedule>,
    bounds: NoticeBounds,
    /// As [`patience`](super::bounds::patience) says.
    patience: Arc<AgentMap<Duration>>,
    /// The incarnation of each agent that holds a lease.
    live: BTreeMap<Name, u64>,
    /// When leases ended in this life of the registry, by name and incarnation.
    ended: BTreeMap<Name, BTreeMap<u64, Timestamp>>,
    /// The names and incarnations that held leases in former lives of the registry.
    lost: BTreeSet<(Name, u64)>,
    /// When this life of the registry began.
    restarted: Timestamp,
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
        faults: Arc<FaultSchedule>,
        bounds: NoticeBounds,
        patience: Arc<AgentMap<Duration>>,
    ) -> Self {
        Self {
            faults,
            bounds,
            patience,
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
            lost: BTreeSet::new(),
            restarted: Timestamp::ZERO,
        }
    }

    /// The agents that hold a lease.
    pub(super) fn live(&self) -> impl Iterator<Item = &Name> {
        self.live.keys()
    }

    pub(super) fn registry_restarted(&mut self, now: Timestamp) {
        self.lost.extend(std::mem::take(&mut self.live));
        for (name, ended) in std::mem::take(&mut self.ended) {
            self.lost.extend(ended.into_keys().map(|incarnation| (name.clone(), incarnation)));
        }
        self.restarted = now;
    }

    pub(super) fn noted(&mut self, now: Timestamp, note: &LeaseNote, found: &mut FoundViolations) {
        let incarnation = note.incarnation.unwrap_or_default();
        match &note.kind {
            LeaseNoteKind::Granted => {
                let dead = self.ended.get(&note.name).and_then(|ended| ended.last_key_value());
                if let Some((&newest, at)) = dead
                    && incarnation <= newest
                {
                    let detail = format!(
                        "{} got a lease for incarnation {incarnation}; {newest} ended at {at}",
                        note.name
                    );
                    found.add(Violation::new(STAYS_DEAD, now, detail).hosts([&note.name]));
                }
                // An agent that was granted a lease before the restart, but never got the answer,
                // asks again with the same incarnation.
                self.lost.remove(&(note.name.clone(), incarnation));
                self.live.insert(note.name.clone(), incarnation);
            }
            LeaseNoteKind::Expired { at } => self.end(note, incarnation, *at),
            LeaseNoteKind::Deregistered | LeaseNoteKind::Replaced => {
                self.end(note, incarnation, now);
            }
            LeaseNoteKind::Refused(_)
            | LeaseNoteKind::Moved { .. }
            | LeaseNoteKind::Restored
            | LeaseNoteKind::Drained(_) => {}
        }
    }

    fn end(&mut self, note: &LeaseNote, incarnation: u64, at: Timestamp) {
        self.live.remove(&note.name);
        self.ended.entry(note.name.clone()).or_default().insert(incarnation, at);
    }

    /// Checks a routing decision. Agents learn of ended leases from lists. So an agent that can't
    /// reach the registry may go on with the peers that it knows, and gets the time to fetch a list
    /// once it can. Nothing is demanded of an agent whose link may be too slow for calls at any
    /// time.
    pub(super) fn routed(
        &self,
        now: Timestamp,
        routed: RoutingDecision<'_>,
        found: &mut FoundViolations,
    ) {
        let RoutingDecision { agent, request, peer, incarnation } = routed;
        let Some(ended) = self.end_of(peer, incarnation) else { return };
        let host = agent.host();
        let ways = [(host, HostId::REGISTRY), (HostId::REGISTRY, host)];
        let slowest = ways.map(|(from, to)| self.faults.base_latency(from, to));
        if slowest.iter().max() >= Some(&self.patience[agent]) {
            return;
        }
        let disturbed = self.faults.last_disturbed(host, HostId::REGISTRY, now);
        let informed = disturbed.map(|at| at + self.bounds.fetch).unwrap_or_default();
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

    /// When the lease of this life of an agent ended. `None` if it is live, or if the registry
    /// never granted it one.
    fn end_of(&self, peer: &Name, incarnation: u64) -> Option<Timestamp> {
        if let Some(ended) = self.ended.get(peer).and_then(|ended| ended.get(&incarnation)) {
            return Some(*ended);
        }
        // Views keep missing peers for one TTL from the first list of a restarted registry on, so
        // the time to forget them begins when an agent has fetched that list.
        let is_lost = !self.lost.is_empty() && self.lost.contains(&(peer.clone(), incarnation));
        is_lost.then(|| self.restarted + self.bounds.fetch)
    }
}
