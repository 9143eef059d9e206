//! The leases of one registry, as its notes tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};

use super::FoundViolations;
use crate::host::HostId;
use crate::record::Violation;

pub(super) const STAYS_DEAD: &str = "a dead incarnation never comes back";

pub(super) const SURVIVES: &str = "a lease that was granted outlasts its registry in the store";

/// How long a registry may take, at most, to list what its store has.
const TIME_TO_LOAD: Duration = Duration::from_secs(10);

/// Follows the leases of one registry. A registry that restarts without a store has lost its leases
/// and its memory of ended ones. From then on the leases of its former life count as over, and it
/// may grant a lease to any incarnation. If its store loses nothing, it must list its leases again
/// before it does anything else.
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
    /// Whether the registry has a store that keeps all that it was told.
    is_durable: bool,
    /// For how long after a crash the store keeps the leases.
    kept_for: Duration,
    is_kept: bool,
    /// When it crashed; since then it owes.
    crashed: Timestamp,
    /// The leases of its former life that it has not listed again.
    owed: BTreeMap<Name, u64>,
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
    /// `kept_for` says for how long the store keeps the leases of a registry that is down; `None` if
    /// there is no store, or one that loses leases.
    pub(super) fn new(host: HostId, kept_for: Option<Duration>) -> Self {
        Self {
            host,
            is_durable: kept_for.is_some(),
            kept_for: kept_for.unwrap_or_default(),
            is_kept: true,
            crashed: Timestamp::ZERO,
            owed: BTreeMap::new(),
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

    /// The registry crashes. `is_kept` says whether its store, if it loses nothing, keeps all leases
    /// from now on for as long as it should.
    pub(super) fn crashes(&mut self, now: Timestamp, is_kept: bool) {
        self.is_kept = is_kept;
        // If it has crashed before it could list them, it owes what it owed before, too.
        if self.owed.is_empty() {
            self.crashed = now;
        }
        if self.is_durable {
            self.owed.extend(self.live.clone());
        }
    }

    /// The lease of a name may have ended without this registry.
    pub(super) fn excuse(&mut self, name: &Name) {
        self.owed.remove(name);
    }

    /// Another registry, which has the same store, has noted something.
    pub(super) fn noted_elsewhere(&mut self, note: &LeaseNote) {
        let is_over = match note.kind {
            LeaseNoteKind::Deregistered | LeaseNoteKind::Replaced => true,
            LeaseNoteKind::Granted => self.owed.get(&note.name).copied() < note.incarnation,
            _ => false,
        };
        if is_over {
            self.excuse(&note.name);
        }
    }

    pub(super) fn restarts(&mut self, now: Timestamp) {
        self.lost.extend(std::mem::take(&mut self.live));
        self.restarted = now;
        if self.is_durable && self.is_kept && now.since(self.crashed) < self.kept_for {
            return;
        }
        self.owed.clear();
        for (name, ended) in std::mem::take(&mut self.ended) {
            self.lost.extend(ended.into_keys().map(|incarnation| (name.clone(), incarnation)));
        }
    }

    /// The leases of former lives that have not come back can't come any more.
    fn judge(&mut self, now: Timestamp, found: &mut FoundViolations) {
        if let Some((name, incarnation)) = std::mem::take(&mut self.owed).pop_first() {
            let (crashed, restarted) = (self.crashed, self.restarted);
            let detail = format!(
                "incarnation {incarnation} of {name} had a lease at the crash at {crashed}, and \
                 none after the restart at {restarted}"
            );
            found.add(Violation::new(SURVIVES, now, detail).hosts([&name]));
        }
    }

    /// Makes the checks that are due at the end of a run. `since` is how long nothing has been wrong
    /// with the stores.
    pub(super) fn finish(&mut self, now: Timestamp, since: Duration, found: &mut FoundViolations) {
        if since.min(now.since(self.restarted)) >= TIME_TO_LOAD {
            self.judge(now, found);
        }
    }

    pub(super) fn noted(&mut self, now: Timestamp, note: &LeaseNote, found: &mut FoundViolations) {
        let incarnation = note.incarnation.unwrap_or_default();
        if !matches!(note.kind, LeaseNoteKind::Restored) && !self.owed.is_empty() {
            self.judge(now, found);
        }
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
                if self.owed.get(&note.name).is_some_and(|owed| *owed <= incarnation) {
                    self.owed.remove(&note.name);
                }
                // The store had not learned of its end, or another registry hears the agent.
                if let Some(ended) = self.ended.get_mut(&note.name) {
                    ended.remove(&incarnation);
                }
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
