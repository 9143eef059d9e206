//! Nobody is routed to a peer whose lease ended long ago, and no dead incarnation comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};

use super::Found;
use super::bounds::Bounds;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, AgentMap, HostId};
use crate::record::Violation;

pub(super) const NOT_STALE: &str =
    "nobody is routed to a peer whose lease ended longer ago than the bound";
pub(super) const STAYS_DEAD: &str = "a dead incarnation never comes back";

/// Follows the registry's notes. A registry that restarts has lost its leases, and its tombstones
/// with them: what it then grants is new, and what it had granted counts as over.
#[derive(Debug)]
pub(super) struct Leases {
    faults: Arc<FaultSchedule>,
    bounds: Bounds,
    /// As [`patience`](super::bounds::patience) says.
    patience: Arc<AgentMap<Duration>>,
    live: BTreeMap<Name, u64>,
    /// Ended leases of this life of the registry, by name: incarnation and end.
    ended: BTreeMap<Name, BTreeMap<u64, Timestamp>>,
    /// Leases of the registry's former lives.
    lost: BTreeSet<(Name, u64)>,
    /// When its present life began.
    restarted: Timestamp,
}

/// A routing decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routed<'a> {
    /// Who decided.
    pub(super) agent: AgentId,
    pub(super) request: u64,
    /// For whom, and which of its lives.
    pub(super) peer: &'a Name,
    pub(super) incarnation: u64,
}

impl Leases {
    pub(super) fn new(
        faults: Arc<FaultSchedule>,
        bounds: Bounds,
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

    /// Who holds a lease.
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

    pub(super) fn noted(&mut self, now: Timestamp, note: &LeaseNote, found: &mut Found) {
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
                // An agent that never heard of its lease goes on asking for the same life.
                self.lost.remove(&(note.name.clone(), incarnation));
                self.live.insert(note.name.clone(), incarnation);
            }
            LeaseNoteKind::Expired { at } => self.end(note, incarnation, *at),
            LeaseNoteKind::Deregistered | LeaseNoteKind::Replaced => {
                self.end(note, incarnation, now);
            }
            LeaseNoteKind::Refused(_) | LeaseNoteKind::Moved { .. } => {}
        }
    }

    fn end(&mut self, note: &LeaseNote, incarnation: u64, at: Timestamp) {
        self.live.remove(&note.name);
        self.ended.entry(note.name.clone()).or_default().insert(incarnation, at);
    }

    /// Views are brought up to date by lists, so an agent that can't reach the registry goes on
    /// with what it knows, and gets the time to fetch a list once it can. One whose link may be too
    /// slow for a call at any time is bound to nothing.
    pub(super) fn routed(&self, now: Timestamp, routed: Routed<'_>, found: &mut Found) {
        let Routed { agent, request, peer, incarnation } = routed;
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

    /// When this life of an agent was over; `None` if it isn't, or was never heard of.
    fn end_of(&self, peer: &Name, incarnation: u64) -> Option<Timestamp> {
        if let Some(ended) = self.ended.get(peer).and_then(|ended| ended.get(&incarnation)) {
            return Some(*ended);
        }
        // Views keep the missing from the first list of a new registry on, for one TTL.
        let is_lost = !self.lost.is_empty() && self.lost.contains(&(peer.clone(), incarnation));
        is_lost.then(|| self.restarted + self.bounds.fetch)
    }
}
