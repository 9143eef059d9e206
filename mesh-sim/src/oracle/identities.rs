//! No two registries list two lives of one agent at one revision of the store that they share.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{Keeping, LeaseNote, LeaseNoteKind};

use super::FoundViolations;
use crate::faults::FaultSchedule;
use crate::host::HostId;
use crate::record::Violation;

pub(super) const NOT_SPLIT: &str =
    "no two registries list two lives of an agent at one revision of their store";

/// Follows which lives of the agents each registry lists at the revisions of the store at which it has
/// noted something.
///
/// Nothing is checked where a store comes back with older data: then a revision comes twice.
#[derive(Debug)]
pub(super) struct IdentityOracle {
    is_checked: bool,
    registries: BTreeMap<HostId, ListHistory>,
}

/// What a registry has listed.
#[derive(Debug, Default)]
struct ListHistory {
    /// The revisions at which it has noted something.
    visited: BTreeSet<u64>,
    /// For each name the incarnation that it listed from a revision on; `None`: none.
    listed: BTreeMap<Name, BTreeMap<u64, Option<u64>>>,
}

impl IdentityOracle {
    pub(super) fn new(keeping: Keeping, faults: &FaultSchedule) -> Self {
        let is_checked = keeping == Keeping::Shared
            && faults.hosts().registries().len() > 1
            && !faults.rolls_stores_back();
        Self { is_checked, registries: BTreeMap::new() }
    }

    pub(super) fn noted(&mut self, registry: HostId, note: &LeaseNote) {
        let Some(revision) = note.revision.filter(|_| self.is_checked) else { return };
        let history = self.registries.entry(registry).or_default();
        history.visited.insert(revision);
        let listed = match note.kind {
            LeaseNoteKind::Granted | LeaseNoteKind::Restored => note.incarnation,
            LeaseNoteKind::Replaced
            | LeaseNoteKind::Deregistered
            | LeaseNoteKind::Expired { .. } => None,
            LeaseNoteKind::Refused(_) | LeaseNoteKind::Moved { .. } | LeaseNoteKind::Drained(_) => {
                return;
            }
        };
        // Of several notes at one revision, only what they lead to has been seen.
        history.listed.entry(note.name.clone()).or_default().insert(revision, listed);
    }

    /// A registry lists nothing any more.
    pub(super) fn crashed(&mut self, registry: HostId) {
        if let Some(history) = self.registries.get_mut(&registry)
            && let Some(&last) = history.visited.last()
        {
            for lives in history.listed.values_mut() {
                lives.insert(last, None);
            }
        }
    }

    pub(super) fn finish(&self, now: Timestamp, found: &mut FoundViolations) {
        let histories: Vec<&ListHistory> = self.registries.values().collect();
        for (position, one) in histories.iter().enumerate() {
            for other in &histories[position + 1..] {
                one.compare(other, now, found);
            }
        }
    }
}

impl ListHistory {
    /// The incarnation of a name that was listed at a revision.
    fn at(&self, name: &Name, revision: u64) -> Option<u64> {
        let lives = self.listed.get(name)?;
        lives.range(..=revision).next_back().and_then(|(_, incarnation)| *incarnation)
    }

    /// Reports the first revision of each name at which two registries have listed two lives.
    fn compare(&self, other: &Self, now: Timestamp, found: &mut FoundViolations) {
        for name in self.listed.keys() {
            let split = self.visited.intersection(&other.visited).find_map(|&revision| {
                let lives = (self.at(name, revision)?, other.at(name, revision)?);
                (lives.0 != lives.1).then_some((revision, lives))
            });
            let Some((revision, (one, another))) = split else { continue };
            let detail = format!(
                "at revision {revision} of the store one registry listed incarnation {one} of \
                 {name}, and another one {another}"
            );
            found.add(Violation::new(NOT_SPLIT, now, detail).hosts([name]));
        }
    }
}
