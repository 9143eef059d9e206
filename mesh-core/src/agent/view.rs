//! What an agent knows of its peers.

use std::sync::Arc;
use std::time::Duration;

use super::trust::Worth;
use crate::Few;
use crate::hash::{Keyed, Table};
use crate::prefetch::prefetch;
use crate::protocol::Name;
use crate::resilience::{HealthConfig, PassiveHealth};
use crate::roster::{ListedLease, Roster};
use crate::routing::{Candidate, Shortlist};
use crate::time::{Timestamp, nanos};

/// A peer: its position in the list. With a new list [`View::update`] moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerId(u32);

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

impl Keyed for Contact {
    fn key(&self) -> u32 {
        self.position
    }

    fn new(position: u32) -> Self {
        Self { position, outstanding: 0, rtt_ns: UNMEASURED }
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
    contacts: Table<Contact>,
    outstanding: u32,
    health: PassiveHealth,
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

    pub(super) fn get(&self, peer: PeerId) -> Option<Peer<'_>> {
        let lease = self.peers.roster.get(peer.0 as usize)?;
        let contact = self.contacts.get(peer.0).copied().unwrap_or(Contact::new(peer.0));
        Some(Peer { lease, outstanding: contact.outstanding, rtt: contact.rtt() })
    }

    /// The leases of several peers at once.
    pub(super) fn leases(&self, peers: &[PeerId]) -> Few<Option<&Arc<ListedLease>>> {
        self.peers.roster.get_all(peers.iter().map(|peer| peer.0 as usize))
    }

    /// Asks the processor for what is remembered of a peer.
    pub(super) fn prefetch(&self, peer: PeerId) {
        self.contacts.prefetch(peer.0);
    }

    /// The last round trip measured.
    pub(super) fn rtt(&self, peer: PeerId) -> Option<Duration> {
        self.contacts.get(peer.0)?.rtt()
    }

    /// Notes a round trip.
    pub(super) fn measured(&mut self, peer: PeerId, rtt: Duration) {
        self.contacts.get_or_new(peer.0).rtt_ns = nanos(rtt).min(UNMEASURED - 1);
    }

    /// A job is sent to the peer, which will have answered by `until`.
    pub(super) fn called(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        self.contacts.get_or_new(peer.0).outstanding += 1;
        self.outstanding += 1;
        self.health.called(now, peer.0, until);
    }

    /// The peer is asked for its load, and will have answered by `until`.
    pub(super) fn probed(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        self.health.called(now, peer.0, until);
    }

    /// A call to the peer is over and says nothing of its health.
    pub(super) fn undecided(&mut self, peer: PeerId) {
        self.health.undecided(peer.0);
    }

    /// The peer has done a job; true if it had been passed over before.
    pub(super) fn succeeded(&mut self, peer: PeerId) -> bool {
        self.health.succeeded(peer.0, self.len())
    }

    /// A call to the peer has failed. If it is passed over from now on, for how long.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        at_once: bool,
        config: &HealthConfig,
    ) -> Option<Duration> {
        self.health.failed(now, peer.0, at_once, config)
    }

    /// A job that was sent to the peer ended.
    pub(super) fn answered(&mut self, peer: PeerId) {
        if let Some(contact) = self.contacts.get_mut(peer.0) {
            contact.outstanding -= 1;
            self.outstanding -= 1;
        }
    }

    /// Calls under way to all peers.
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Takes over a list; true if names, addresses or lives changed. Peers `in_use` are found in it
    /// again; those that have left it are none.
    ///
    /// While a list is in doubt, from the first such list until the time that it says, nobody is
    /// removed.
    pub(super) fn update<'a>(
        &mut self,
        now: Timestamp,
        (leases, worth): (Roster, Worth),
        skip: Option<&Name>,
        in_use: impl Iterator<Item = &'a mut Option<PeerId>>,
    ) -> bool {
        if let Worth::Doubted(until) = worth {
            self.grace_until = self.grace_until.max(until);
        }
        if self.peers.roster.is_shared_with(&leases) {
            return false;
        }
        let roster = std::mem::take(&mut self.peers.roster);
        let mut next = leases;
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
            self.follow(&roster, &next, in_use);
            Peers::new(next, skip.map(|name| &**name))
        } else {
            Peers { roster: next, own: self.peers.own }
        };
        changed
    }

    /// Finds the peers of one list in another, and forgets those whose life is over.
    fn follow<'a>(
        &mut self,
        from: &Roster,
        to: &Roster,
        in_use: impl Iterator<Item = &'a mut Option<PeerId>>,
    ) {
        let find = |old: &Arc<ListedLease>| to.follow(old).map(|position| position as u32);
        for peer in in_use {
            let old = peer.and_then(|peer| from.get(peer.0 as usize));
            *peer = old.and_then(find).map(PeerId);
        }
        self.health.follow(|position| from.get(position as usize).and_then(find));
        let old = from.get_all(self.contacts.iter().map(|contact| contact.position as usize));
        old.iter().flatten().for_each(|lease| prefetch(&*lease.name));
        let mut found = old.into_iter().map(|old| old.and_then(find));
        self.contacts.retain(|contact| {
            let position = found.next().flatten();
            match position {
                Some(position) => contact.position = position,
                None => self.outstanding -= contact.outstanding,
            }
            position.is_some()
        });
    }

    /// Number of peers that are not in `tried`.
    pub(super) fn untried(&self, tried: &[Option<PeerId>]) -> usize {
        self.len() - tried.iter().flatten().count()
    }

    /// The peers that a choice is made among: neither `tried` nor passed over; if all others are
    /// passed over, they are as good as each other.
    pub(super) fn eligible(&self, now: Timestamp, tried: &[Option<PeerId>]) -> Eligible {
        let own = self.peers.own;
        let ruled_out = || tried.iter().flatten().map(|peer| peer.0 as usize).chain(own);
        let all = self.peers.roster.len();
        if !self.health.is_clean() {
            let out = ruled_out().chain(self.health.passed_over(now));
            let eligible = Eligible::without(out.collect(), all);
            if eligible.len() > 0 {
                return eligible;
            }
        }
        Eligible::without(ruled_out().collect(), all)
    }
}

/// The peers of a list that a choice is made among.
#[derive(Debug)]
pub(super) struct Eligible {
    /// Positions of the others, in order.
    out: Few<usize>,
    all: usize,
}

impl Eligible {
    fn without(mut out: Few<usize>, all: usize) -> Self {
        out.sort_unstable();
        out.dedup();
        Self { out, all }
    }

    pub(super) fn len(&self) -> usize {
        self.all - self.out.len()
    }

    /// The peers that a shortlist over them means.
    pub(super) fn resolve(&self, shortlist: &Shortlist) -> Few<PeerId> {
        let shifted = |position: usize| {
            self.out.iter().fold(position, |at, gap| at + usize::from(at >= *gap))
        };
        match shortlist {
            Shortlist::All => (0..self.all)
                .filter(|position| self.out.binary_search(position).is_err())
                .map(|position| PeerId(position as u32))
                .collect(),
            Shortlist::Some(picks) => {
                picks.as_slice().iter().map(|position| PeerId(shifted(*position) as u32)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Picks;

    fn lease(name: &str, incarnation: u64) -> ListedLease {
        ListedLease { name: name.into(), url: "h:1".into(), incarnation, load: None }
    }

    fn listing(names: &[&str]) -> Roster {
        names.iter().map(|name| lease(name, 1)).collect()
    }

    fn names(view: &View) -> Vec<&str> {
        view.peers.names().map(|name| &**name).collect()
    }

    /// The peer at a position of the list.
    fn id(view: &View, position: usize) -> PeerId {
        view.eligible(Timestamp::ZERO, &[]).resolve(&Shortlist::Some(Picks::one(position)))[0]
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    /// Hands in a list, with the peers that somebody holds on to.
    fn update(view: &mut View, secs: u64, leases: Roster, held: &mut [Option<PeerId>]) -> bool {
        view.update(at(secs), (leases, Worth::Believed), None, held.iter_mut())
    }

    #[test]
    fn update_adds_removes_and_keeps_counters() {
        let mut view = View::default();
        assert!(update(&mut view, 0, listing(&["b", "d"]), &mut []));
        let b = id(&view, 0);
        (0..3).for_each(|_| view.called(at(0), b, at(1)));
        let mut held = [Some(b), Some(id(&view, 1))];
        assert!(update(&mut view, 1, listing(&["a", "b", "c"]), &mut held));
        assert_eq!(names(&view), ["a", "b", "c"]);
        let [Some(moved), None] = held else { panic!("{held:?}") };
        assert_eq!(view.get(moved).unwrap().lease.name, "b".into());
        assert_eq!(view.get(moved).unwrap().outstanding, 3);
        assert!(!update(&mut view, 2, listing(&["a", "b", "c"]), &mut held));
        assert_eq!(held[0], Some(moved));
    }

    #[test]
    fn a_new_life_of_a_peer_starts_with_clean_counters() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["a"]), &mut []);
        let old = id(&view, 0);
        (0..3).for_each(|_| view.called(at(0), old, at(1)));
        view.measured(old, Duration::from_secs(1));
        let renewed = vec![lease("a", 2)].into();
        let mut held = [Some(old)];
        assert!(update(&mut view, 1, renewed, &mut held));
        assert_eq!(held, [None]);
        assert_eq!(view.outstanding(), 0);
        let new = view.get(id(&view, 0)).unwrap();
        assert_eq!((new.outstanding, new.rtt), (0, None));
    }

    #[test]
    fn a_list_in_doubt_removes_nobody_during_the_grace() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["a", "b"]), &mut []);
        let doubted = (listing(&["b"]), Worth::Doubted(at(40)));
        assert!(!view.update(at(10), doubted, None, std::iter::empty()));
        assert_eq!(names(&view), ["a", "b"]);
        update(&mut view, 39, listing(&["b"]), &mut []);
        assert_eq!(names(&view), ["a", "b"]);
        update(&mut view, 40, listing(&["b"]), &mut []);
        assert_eq!(names(&view), ["b"]);
    }

    #[test]
    fn tried_peers_are_skipped() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["a", "b", "c", "d", "e"]), &mut []);
        let tried = [Some(id(&view, 3)), None, Some(id(&view, 0))];
        let eligible = view.eligible(at(0), &tried);
        assert_eq!(eligible.len(), 3);
        let chosen = |position| {
            let ids = eligible.resolve(&Shortlist::Some(Picks::one(position)));
            view.get(ids[0]).unwrap().lease.name.to_string()
        };
        assert_eq!([chosen(0), chosen(1), chosen(2)], ["b", "c", "e"]);
        assert_eq!(eligible.resolve(&Shortlist::All).len(), 3);
    }

    /// Who may be chosen.
    fn eligible(view: &View, secs: u64, tried: &[Option<PeerId>]) -> Vec<String> {
        let peers = view.eligible(at(secs), tried).resolve(&Shortlist::All);
        peers.iter().map(|peer| view.get(*peer).unwrap().lease.name.to_string()).collect()
    }

    #[test]
    fn peers_that_failed_are_skipped_and_followed_through_the_lists() {
        let config = HealthConfig::default();
        let mut view = View::default();
        update(&mut view, 0, listing(&["b", "c", "d"]), &mut []);
        let [b, c, d] = [0, 1, 2].map(|position| id(&view, position));
        assert_eq!(view.failed(at(0), c, true, &config), Some(config.min_penalty));
        assert_eq!(eligible(&view, 1, &[]), ["b", "d"]);
        assert_eq!(eligible(&view, 1, &[Some(b)]), ["d"]);
        assert_eq!(eligible(&view, 1, &[Some(b), Some(d)]), ["c"], "better than nobody");
        update(&mut view, 2, listing(&["a", "b", "c", "d"]), &mut []);
        assert_eq!(eligible(&view, 2, &[]), ["a", "b", "d"]);
        assert_eq!(eligible(&view, 5, &[]), ["a", "b", "c", "d"], "its time is over");
        update(&mut view, 3, listing(&["a"]), &mut []);
        update(&mut view, 4, listing(&["a", "c"]), &mut []);
        assert_eq!(eligible(&view, 4, &[]), ["a", "c"], "who left is forgotten");
    }

    #[test]
    fn if_all_failed_all_are_eligible() {
        let config = HealthConfig::default();
        let mut view = View::default();
        update(&mut view, 0, listing(&["a", "b"]), &mut []);
        let peers = [0, 1].map(|position| id(&view, position));
        peers.iter().for_each(|peer| {
            view.failed(at(0), *peer, true, &config);
        });
        assert_eq!(eligible(&view, 1, &[]), ["a", "b"]);
    }
}
