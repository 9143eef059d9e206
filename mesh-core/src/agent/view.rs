//! What an agent knows of its peers.

use std::sync::Arc;
use std::time::Duration;

use slotmap::{SlotMap, new_key_type};

use super::roster::{ListedLease, Roster};
use crate::hash::FastMap;
use crate::policy::{Candidate, Shortlist};
use crate::protocol::Name;
use crate::time::{Timestamp, nanos};

new_key_type! {
    /// A peer, for as long as it is in the view.
    pub(super) struct PeerId;
}

/// The registry's list, as an agent receives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Names this life of the registry: it changes when the registry restarts and has lost its
    /// leases.
    pub epoch: u64,
    /// Live leases.
    pub leases: Roster,
}

/// The agents that an agent may delegate to: all of a list but itself.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    roster: Roster,
    /// The agent's own place, if it is listed and doesn't delegate to itself.
    own: Option<usize>,
}

impl Peers {
    /// All of `roster` but the agent called `own`.
    pub fn new(roster: Roster, own: Option<&str>) -> Self {
        let own = own.and_then(|name| roster.position(name));
        Self { roster, own }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.roster.len() - usize::from(self.own.is_some())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their names in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let others = self.roster.iter().enumerate().filter(|(at, _)| Some(*at) != self.own);
        others.map(|(_, lease)| &lease.name)
    }

    /// The list that they come from, which may be shared with other agents.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The agent's own place in the list, if it is not its own peer.
    pub fn own(&self) -> Option<usize> {
        self.own
    }
}

/// What this agent remembers of a peer that it has dealt with; small, for they are many.
#[derive(Clone, Copy, Debug)]
struct Contact {
    position: u32,
    outstanding: u32,
    /// The last network round trip measured, in nanoseconds; [`UNMEASURED`] if none was.
    rtt_ns: u64,
}

const UNMEASURED: u64 = u64::MAX;

impl Contact {
    fn rtt(&self) -> Option<Duration> {
        (self.rtt_ns != UNMEASURED).then(|| Duration::from_nanos(self.rtt_ns))
    }
}

/// One peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer<'a> {
    pub(super) lease: &'a Arc<ListedLease>,
    /// Our own calls to it that are not answered.
    pub(super) outstanding: u32,
    /// Last network round trip measured.
    pub(super) rtt: Option<Duration>,
}

impl Peer<'_> {
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            load: self.lease.load.unwrap_or_default(),
            outstanding: self.outstanding,
            latency: self.rtt.unwrap_or_default(),
        }
    }
}

/// The peers in order of their names. What all agents know alike is shared among them; only the
/// peers that this one has dealt with take memory of its own.
#[derive(Debug, Default)]
pub(super) struct View {
    peers: Peers,
    contacts: SlotMap<PeerId, Contact>,
    /// Contacts by position in the list.
    by_position: FastMap<u32, PeerId>,
    outstanding: u32,
    epoch: Option<u64>,
    /// Until then, peers missing from the list are kept.
    grace_until: Timestamp,
}

impl View {
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(super) fn get(&self, id: PeerId) -> Option<Peer<'_>> {
        let contact = self.contacts.get(id)?;
        let lease = self.peers.roster.get(contact.position as usize)?;
        Some(Peer { lease, outstanding: contact.outstanding, rtt: contact.rtt() })
    }

    /// Our own calls to a peer that are not answered; none if it has left.
    pub(super) fn outstanding_to(&self, id: PeerId) -> Option<u32> {
        self.contacts.get(id).map(|contact| contact.outstanding)
    }

    /// Notes a round trip.
    pub(super) fn measured(&mut self, id: PeerId, rtt: Duration) {
        if let Some(contact) = self.contacts.get_mut(id) {
            contact.rtt_ns = nanos(rtt).min(UNMEASURED - 1);
        }
    }

    /// A call to the peer begins.
    pub(super) fn called(&mut self, id: PeerId) {
        if let Some(contact) = self.contacts.get_mut(id) {
            contact.outstanding += 1;
            self.outstanding += 1;
        }
    }

    /// A call to the peer ended.
    pub(super) fn answered(&mut self, id: PeerId) {
        if let Some(contact) = self.contacts.get_mut(id) {
            contact.outstanding -= 1;
            self.outstanding -= 1;
        }
    }

    /// Calls under way to all peers.
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Takes over a list; true if names, addresses or lives changed.
    ///
    /// A registry that restarted lists nobody until the agents' next heartbeats. Taking that at
    /// its word would empty the view, so for one `grace` after a new epoch nobody is removed.
    pub(super) fn update(
        &mut self,
        now: Timestamp,
        listing: Listing,
        skip: Option<&Name>,
        grace: Duration,
    ) -> bool {
        if self.epoch.is_some_and(|epoch| epoch != listing.epoch) {
            self.grace_until = now + grace;
        }
        self.epoch = Some(listing.epoch);
        if self.peers.roster.is_shared_with(&listing.leases) {
            return false;
        }
        let roster = std::mem::take(&mut self.peers.roster);
        let mut next = listing.leases;
        if now < self.grace_until {
            let missing = roster.differences(&next).filter(|difference| difference.1.is_none());
            let missing: Vec<ListedLease> = missing.filter_map(|(old, _)| old.cloned()).collect();
            missing.into_iter().for_each(|lease| next.insert(lease));
        }
        let (mut moved, mut changed) = (false, false);
        for lease in roster.differences(&next).filter_map(|(old, new)| old.or(new)) {
            moved = true;
            if skip != Some(&lease.name) {
                changed = true;
                break;
            }
        }
        self.peers = if moved {
            self.follow_contacts(&roster, &next);
            Peers::new(next, skip.map(|name| &**name))
        } else {
            Peers { roster: next, own: self.peers.own }
        };
        changed
    }

    /// Finds the contacts of one list in another, and forgets those whose life is over.
    fn follow_contacts(&mut self, from: &Roster, to: &Roster) {
        let Self { contacts, by_position, outstanding, .. } = self;
        by_position.clear();
        contacts.retain(|id, contact| {
            let old = from.get(contact.position as usize);
            let found = old.and_then(|old| {
                let (position, new) = to.find(&old.name)?;
                old.is_same_life(new).then_some(position)
            });
            match found {
                Some(position) => {
                    contact.position = position as u32;
                    by_position.insert(contact.position, id);
                }
                None => *outstanding -= contact.outstanding,
            }
            found.is_some()
        });
    }

    /// Number of peers that are not in `tried`.
    pub(super) fn eligible(&self, tried: &[PeerId]) -> usize {
        self.len() - tried.iter().filter(|id| self.contacts.contains_key(**id)).count()
    }

    /// The peers that a shortlist over [`Self::eligible`] means.
    pub(super) fn resolve(&mut self, shortlist: &Shortlist, tried: &[PeerId]) -> Vec<PeerId> {
        let known = |id: &PeerId| Some(self.contacts.get(*id)?.position as usize);
        let own = self.peers.own;
        let mut several = Vec::new();
        let gone = if tried.is_empty() {
            own.as_slice()
        } else {
            several.extend(tried.iter().filter_map(known).chain(own));
            several.sort_unstable();
            &several
        };
        let shifted =
            |position: usize| gone.iter().fold(position, |at, gap| at + usize::from(at >= *gap));
        match shortlist {
            Shortlist::All => (0..self.peers.roster.len())
                .filter(|position| gone.binary_search(position).is_err())
                .map(|position| self.contact(position))
                .collect(),
            Shortlist::Some(picks) => picks
                .as_slice()
                .iter()
                .map(|position| shifted(*position))
                .map(|position| self.contact(position))
                .collect(),
        }
    }

    fn contact(&mut self, position: usize) -> PeerId {
        let (contacts, position) = (&mut self.contacts, position as u32);
        let contact = Contact { position, outstanding: 0, rtt_ns: UNMEASURED };
        let first = || contacts.insert(contact);
        *self.by_position.entry(position).or_insert_with(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Picks;

    fn lease(name: &str, incarnation: u64) -> ListedLease {
        ListedLease { name: name.into(), url: "h:1".into(), incarnation, load: None }
    }

    fn listing(epoch: u64, names: &[&str]) -> Listing {
        Listing { epoch, leases: names.iter().map(|name| lease(name, 1)).collect() }
    }

    fn names(view: &View) -> Vec<&str> {
        view.peers.names().map(|name| &**name).collect()
    }

    /// The peer at a position of the list.
    fn id(view: &mut View, position: usize) -> PeerId {
        view.resolve(&Shortlist::Some(Picks::one(position)), &[])[0]
    }

    const GRACE: Duration = Duration::from_secs(30);

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn update_adds_removes_and_keeps_counters() {
        let mut view = View::default();
        assert!(view.update(at(0), listing(1, &["a", "c"]), None, GRACE));
        let a = id(&mut view, 0);
        (0..3).for_each(|_| view.called(a));
        assert!(view.update(at(1), listing(1, &["a", "b"]), None, GRACE));
        assert_eq!(names(&view), ["a", "b"]);
        assert_eq!(view.get(a).unwrap().outstanding, 3);
        assert!(!view.update(at(2), listing(1, &["a", "b"]), None, GRACE));
    }

    #[test]
    fn a_new_life_of_a_peer_starts_with_clean_counters() {
        let mut view = View::default();
        view.update(at(0), listing(1, &["a"]), None, GRACE);
        let old = id(&mut view, 0);
        (0..3).for_each(|_| view.called(old));
        let renewed = Listing { epoch: 1, leases: vec![lease("a", 2)].into() };
        assert!(view.update(at(1), renewed, None, GRACE));
        assert!(view.get(old).is_none());
        assert_eq!(view.outstanding(), 0);
    }

    #[test]
    fn a_restarted_registry_empties_nobodys_view_during_the_grace() {
        let mut view = View::default();
        view.update(at(0), listing(1, &["a", "b"]), None, GRACE);
        view.update(at(10), listing(2, &["b"]), None, GRACE);
        assert_eq!(names(&view), ["a", "b"]);
        view.update(at(40), listing(2, &["b"]), None, GRACE);
        assert_eq!(names(&view), ["b"]);
    }

    #[test]
    fn tried_peers_are_skipped() {
        let mut view = View::default();
        view.update(at(0), listing(1, &["a", "b", "c", "d", "e"]), None, GRACE);
        let tried = [id(&mut view, 3), id(&mut view, 0)];
        assert_eq!(view.eligible(&tried), 3);
        let mut chosen = |position| {
            let ids = view.resolve(&Shortlist::Some(Picks::one(position)), &tried);
            view.get(ids[0]).unwrap().lease.name.to_string()
        };
        assert_eq!([chosen(0), chosen(1), chosen(2)], ["b", "c", "e"]);
        assert_eq!(view.resolve(&Shortlist::All, &tried).len(), 3);
    }
}
