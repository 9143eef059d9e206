//! Nobody is routed to a peer whose lease ended long ago, and no dead incarnation comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{Note, NoteKind};

use super::Found;
use crate::engine::faults::{FaultSchedule, REGISTRY_HOST};
use crate::scenario::Scenario;

const NOT_STALE: &str = "nobody is routed to a peer whose lease ended longer ago than the bound";
const STAYS_DEAD: &str = "a dead incarnation never comes back";

#[derive(Debug)]
pub(super) struct Leases {
    faults: Arc<FaultSchedule>,
    bound: Duration,
    live: BTreeMap<Name, u64>,
    /// Ended leases of this life of the registry, by name: incarnation and end.
    ended: BTreeMap<Name, BTreeMap<u64, Timestamp>>,
}

impl Leases {
    pub(super) fn new(scenario: &Scenario, faults: Arc<FaultSchedule>) -> Self {
        let registry = &scenario.registry;
        Self {
            faults,
            bound: registry.ttl + registry.sweep + registry.refresh,
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Who holds a lease.
    pub(super) fn live(&self) -> impl Iterator<Item = &Name> {
        self.live.keys()
    }

    /// The registry lost what it knew; so must its oracle, which knows ends from it alone.
    pub(super) fn restarted(&mut self) {
        self.live.clear();
        self.ended.clear();
    }

    pub(super) fn registry(&mut self, now: Timestamp, note: &Note, found: &mut Found) {
        let incarnation = note.incarnation.unwrap_or_default();
        match &note.kind {
            NoteKind::Granted => {
                let dead = self.ended.get(&note.name).and_then(|ended| ended.last_key_value());
                if let Some((&newest, at)) = dead
                    && incarnation <= newest
                {
                    let detail = format!(
                        "{} got a lease for incarnation {incarnation}; {newest} ended at {at}",
                        note.name
                    );
                    found.add(STAYS_DEAD, now, detail);
                }
                self.live.insert(note.name.clone(), incarnation);
            }
            NoteKind::Expired { at } => self.end(note, incarnation, *at),
            NoteKind::Deregistered | NoteKind::Replaced => self.end(note, incarnation, now),
            NoteKind::Refused(_) => {}
        }
    }

    fn end(&mut self, note: &Note, incarnation: u64, at: Timestamp) {
        self.live.remove(&note.name);
        self.ended.entry(note.name.clone()).or_default().insert(incarnation, at);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn routed(
        &self,
        now: Timestamp,
        host: usize,
        agent: &Name,
        request: u64,
        peer: &Name,
        incarnation: u64,
        found: &mut Found,
    ) {
        let ended = self.ended.get(peer).and_then(|ended| ended.get(&incarnation)).copied();
        let Some(ended) = ended.filter(|ended| now.since(*ended) > self.bound) else { return };
        // An agent that can't reach the registry goes on with what it knows.
        if self.faults.disturbed(host, REGISTRY_HOST, ended, now) {
            return;
        }
        let ago = now.since(ended);
        let detail = format!(
            "{agent} routed request {request} to {peer}, whose lease ended {ago:?} ago; the bound \
             is {:?}",
            self.bound
        );
        found.add(NOT_STALE, now, detail);
    }
}
