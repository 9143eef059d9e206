//! The leases of one registry, as its notes tell them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};

use super::FoundViolations;
use crate::host::HostId;
use crate::record::Violation;

pub(super) const STAYS_DEAD: &str = "a dead incarnation never comes back";

/// Follows the leases of one registry. A registry that restarts has lost its leases and its memory
/// of ended ones. From then on the leases of its former life count as over, and it may grant a
/// lease to any incarnation.
#[derive(Debug)]
pub(super) struct RegistryLeases {
    pub(super) host: HostId,
    /// The incarnation of each agent that holds a lease.
    live: BTreeMap<Name, u64>,
    /// When leases ended in this life of the registry, by name and incarnation.
    ended: BTreeMap<Name, BTreeMap<u64, Timestamp>>,
    /// The names and incarnations that held leases in former lives of the registry.
    lost: BTreeSet<(Name, u64)>,
    /// When this life of the registry began.
    restarted: Timestamp,
}

/// What a registry knows of one life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownLease {
    /// It never had a lease there.
    Unknown,
    /// It has a lease.
    Live,
    /// Its lease ended then.
    Ended(Timestamp),
    /// It had a lease before the registry restarted, at this time.
    Lost(Timestamp),
}

impl RegistryLeases {
    pub(super) fn new(host: HostId) -> Self {
        Self {
            host,
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

    pub(super) fn restarts(&mut self, now: Timestamp) {
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
                // asks again with the same incarnation; so does one that has leases at other
                // registries.
                self.lost.remove(&(note.name.clone(), incarnation));
                self.live.insert(note.name.clone(), incarnation);
            }
            LeaseNoteKind::Expired { at } => self.end(note, incarnation, *at),
            LeaseNoteKind::Deregistered | LeaseNoteKind::Replaced => {
                self.end(note, incarnation, now);
            }
            // Another registry has granted it, or this one in a former life.
            LeaseNoteKind::Restored => {
                self.lost.remove(&(note.name.clone(), incarnation));
                self.live.insert(note.name.clone(), incarnation);
            }
            LeaseNoteKind::Refused(_) | LeaseNoteKind::Moved { .. } | LeaseNoteKind::Drained(_) => {
            }
        }
    }

    fn end(&mut self, note: &LeaseNote, incarnation: u64, at: Timestamp) {
        self.live.remove(&note.name);
        self.ended.entry(note.name.clone()).or_default().insert(incarnation, at);
    }

    /// What the registry knows of this life of an agent.
    pub(super) fn state_of(&self, name: &Name, incarnation: u64) -> KnownLease {
        if let Some(ended) = self.ended.get(name).and_then(|ended| ended.get(&incarnation)) {
            return KnownLease::Ended(*ended);
        }
        if !self.lost.is_empty() && self.lost.contains(&(name.clone(), incarnation)) {
            return KnownLease::Lost(self.restarted);
        }
        match self.live.get(name) == Some(&incarnation) {
            true => KnownLease::Live,
            false => KnownLease::Unknown,
        }
    }
}
