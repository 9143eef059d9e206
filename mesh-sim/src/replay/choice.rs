//! Which events and faults belong to a story.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::protocol::Name;
use mesh_core::registry::LeaseNoteKind;

use crate::faults::Fault;
use crate::host::{HostId, HostMap};
use crate::journal::{Fact, JournalEntry};

/// The most faults that a story names.
const MAX_FAULTS: usize = 12;

/// What a story is about.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) request: Option<u64>,
    /// The hosts that the failure names.
    pub(super) hosts: Vec<HostId>,
    /// The end of the story.
    pub(super) until: Timestamp,
    /// How far before a request other events and faults may have a part in what happened to it.
    pub(super) look_back: Duration,
    pub(super) names: &'a HostMap<Name>,
}

/// A choice among all events.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChosenEvents {
    /// The positions of the chosen events, in order.
    pub(super) events: Vec<usize>,
    pub(super) left_out: usize,
}

impl Subject<'_> {
    /// Chooses at most `limit` events. The events of the request come first, then the last of the
    /// others.
    pub(super) fn choose(&self, entries: &[JournalEntry], limit: usize) -> ChosenEvents {
        let past = || entries.iter().enumerate().filter(|(_, entry)| entry.at <= self.until);
        let is_own =
            |entry: &JournalEntry| self.request.is_some() && entry.fact.request() == self.request;
        let own: Vec<usize> =
            past().filter(|(_, entry)| is_own(entry)).map(|(index, _)| index).collect();
        let began = own.first().map(|first| entries[*first].at);
        let hosts = self.hosts_of(own.iter().map(|index| &entries[*index]));
        let others = past().filter(|(_, entry)| self.matters(entry, &hosts, began));
        let mut others: Vec<usize> = others.map(|(index, _)| index).collect();
        if own.is_empty() && others.is_empty() {
            // No event concerns the failure; those that happened last are better than none.
            others = past().map(|(index, _)| index).collect();
        }
        let total = own.len() + others.len();
        let mut events = latest(own, limit, true);
        events.extend(latest(others, limit - events.len(), false));
        events.sort_unstable();
        ChosenEvents { left_out: total - events.len(), events }
    }

    /// The hosts that have a part in these events of the request, and those of the failure.
    fn hosts_of<'e>(&self, own: impl Iterator<Item = &'e JournalEntry>) -> BTreeSet<HostId> {
        let mut hosts: BTreeSet<HostId> = self.hosts.iter().copied().collect();
        for entry in own {
            hosts.insert(entry.host);
            match &entry.fact {
                Fact::RequestDue { entry, .. } | Fact::RequestSentAgain { entry, .. } => {
                    hosts.insert(entry.host());
                }
                Fact::AgentNoted(Note::Routed { peer, .. }) => {
                    hosts.extend(self.names.find(|name| name == peer));
                }
                _ => {}
            }
        }
        hosts
    }

    /// Whether an event that is not about the request belongs to the story. `began` is when the
    /// request was due.
    fn matters(
        &self,
        entry: &JournalEntry,
        hosts: &BTreeSet<HostId>,
        began: Option<Timestamp>,
    ) -> bool {
        if entry.fact.request().is_some() {
            return false;
        }
        let is_near = hosts.iter().any(|host| entry.concerns(*host, self.names));
        // A failure without a request is about the hosts themselves: all that they report counts.
        let Some(began) = began else { return is_near };
        let is_recent = entry.at + self.look_back >= began;
        let is_story_peer =
            |peer: &Name| hosts.iter().any(|host| self.names[*host] == *peer) && is_near;
        match &entry.fact {
            Fact::HostCrashed(_) | Fact::HostRestarted | Fact::RegistryWasDeaf(_) => {
                is_recent && (is_near || entry.host.is_registry())
            }
            // Leases begin when the mesh does, and that explains nothing.
            Fact::RegistryNoted(note) => {
                is_recent && is_near && note.kind != LeaseNoteKind::Granted
            }
            Fact::PresenceChanged(_)
            | Fact::AgentNoted(
                Note::LeaseLost { .. } | Note::NameTaken { .. } | Note::NameContested { .. },
            ) => is_recent && is_near,
            Fact::AgentNoted(Note::PassedOver { peer, penalty, .. }) => {
                entry.at + *penalty >= began && is_story_peer(peer)
            }
            Fact::AgentNoted(Note::Recovered { peer }) => is_recent && is_story_peer(peer),
            _ => false,
        }
    }

    /// The faults that were active since `began`, or ended shortly before, and how many were left
    /// out. If there is none, the one that ended last.
    pub(super) fn faults<'f>(
        &self,
        faults: &'f [Fault],
        began: Timestamp,
    ) -> (Vec<&'f Fault>, usize) {
        let begun: Vec<&Fault> =
            faults.iter().filter(|fault| Timestamp::from(fault.at) <= self.until).collect();
        let is_recent = |fault: &&Fault| fault.end() + self.look_back >= began;
        let mut found: Vec<&Fault> = begun.iter().copied().filter(is_recent).collect();
        if found.is_empty() {
            found.extend(begun.into_iter().max_by_key(|fault| fault.end()));
        }
        found.sort_by_key(|fault| fault.at);
        let left_out = found.len().saturating_sub(MAX_FAULTS);
        (found.split_off(left_out), left_out)
    }
}

/// The last `count` of these positions; with `keep_first`, the first one stays, too.
fn latest(mut positions: Vec<usize>, count: usize, keep_first: bool) -> Vec<usize> {
    if positions.len() <= count {
        return positions;
    }
    let first = (keep_first && count > 1).then(|| positions[0]);
    let kept = count - usize::from(first.is_some());
    let last = positions.split_off(positions.len() - kept);
    first.into_iter().chain(last).collect()
}
