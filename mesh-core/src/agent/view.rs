//! The agent's view: which peers there are, and what it knows of them.

use std::sync::Arc;
use std::time::Duration;

use super::contacts::Contacts;
use super::peers::{PeerParts, Peers};
use super::trust::ListTrust;
use crate::Few;
use crate::protocol::Name;
use crate::resilience::{Decorator, Decorators, LocalityConfig};
use crate::roster::{ListedLease, PeerId, Roster};
use crate::routing::{Candidate, Eligible, Known};
use crate::time::Timestamp;

/// An agent's view of its peers: the last list, and what the agent has learnt by calling them.
///
/// The list is shared with other agents of the same process, so that of 10,000 agents each takes
/// memory only for what it alone knows. A new list replaces the old one; peers that are missing
/// from a list in doubt are kept for a while.
#[derive(Debug, Default)]
pub(super) struct View {
    peers: Peers,
    /// When the list came.
    listed_at: Timestamp,
    contacts: Contacts,
    /// Positions in the list of peers that are passed over, sorted by identity. Each is looked up
    /// when it is needed first, and all are dropped when the list changes.
    places: Vec<(PeerId, usize)>,
    /// Until then, peers that are missing from the list are kept.
    grace_until: Timestamp,
    parts: PeerParts,
}

/// What a new list has changed in the view.
#[derive(Debug, Default)]
pub(super) struct ViewChange {
    /// Whether names, addresses or incarnations of peers have changed.
    pub(super) is_visible: bool,
    /// Whether names, addresses or incarnations have changed, those of this agent itself included.
    pub(super) has_changed: bool,
    /// The list before, if the new one differs from it, be it only in the peers' loads.
    pub(super) before: Option<Roster>,
}

impl View {
    /// The view of an agent that knows no peers yet. `site` is where it is, if anywhere.
    pub(super) fn new(site: Option<&Name>, config: LocalityConfig) -> Self {
        Self { parts: PeerParts::new(site, config), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// The peers that may get a job that demands this skill, or none.
    pub(super) fn able(&mut self, skill: Option<&Name>) -> &Peers {
        let Some(skill) = skill else { return &self.peers };
        let place = self.parts.with_skill(&self.peers, skill);
        self.parts.get(place)
    }

    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(super) fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    pub(super) fn contacts_mut(&mut self) -> &mut Contacts {
        &mut self.contacts
    }

    /// Takes over a list. `skip` is the agent's own name, if the agent is not to be its own peer.
    ///
    /// A list in doubt starts a time of grace, in which no peer is removed from the view.
    pub(super) fn update(
        &mut self,
        now: Timestamp,
        (leases, list_trust): (Roster, ListTrust),
        skip: Option<&Name>,
    ) -> ViewChange {
        if let ListTrust::Doubted(until) = list_trust {
            self.grace_until = self.grace_until.max(until);
        }
        self.listed_at = now;
        // The same list as before, in the same place of memory: nothing to compare.
        if self.peers.roster.is_shared_with(&leases) {
            return ViewChange::default();
        }
        self.parts.clear();
        let Peers { roster: before, own } = std::mem::take(&mut self.peers);
        let mut next = leases;
        if now < self.grace_until {
            // Put the missing peers back.
            let missing = before.differences(&next).filter(|difference| difference.1.is_none());
            let missing: Vec<Arc<ListedLease>> =
                missing.filter_map(|(old, _)| old.cloned()).collect();
            missing.into_iter().for_each(|lease| next.insert_shared(lease));
        }
        if before.has_same_lives(&next) {
            // Only loads differ: all positions are the same.
            self.peers = Peers { roster: next, own };
            return ViewChange { before: Some(before), ..ViewChange::default() };
        }
        self.places.clear();
        self.peers = Peers::new(next, skip.map(|name| &**name));
        let before = Peers { roster: before, own };
        ViewChange {
            is_visible: !before.have_same_lives(&self.peers),
            has_changed: true,
            before: Some(before.roster),
        }
    }

    /// The peers that a choice is made among: those that have the skill, if one is demanded, and are
    /// neither `tried` nor `passed_over`; only those at the agent's site if the job is not to leave
    /// it and one is left there. If that leaves nobody, those that are held back or drain may be
    /// chosen, too, and if there are none, those that failed.
    pub(super) fn eligible<'a, 'b>(
        &'a mut self,
        now: Timestamp,
        skill: Option<&Name>,
        tried: impl Iterator<Item = &'b Arc<ListedLease>> + Clone,
        passed_over: &PassedOver<'b>,
    ) -> (Eligible<'a>, Knowledge<'a>) {
        let age = now.since(self.listed_at);
        if let Some((place, out)) = self.at_site(skill, tried.clone(), passed_over) {
            let knowledge = Knowledge { contacts: &self.contacts, now, age, is_last_resort: false };
            return (Eligible::new(self.parts.get(place).roster(), out), knowledge);
        }
        let place = skill.map(|skill| self.parts.with_skill(&self.peers, skill));
        let mut knowledge = Knowledge { contacts: &self.contacts, now, age, is_last_resort: false };
        // Positions are looked up once per list of all peers; in a list of some of them, each time.
        let (peers, mut places) = match place {
            None => (&self.peers, Some(&mut self.places)),
            Some(place) => (self.parts.get(place), None),
        };
        let roster = peers.roster();
        let mut out: Few<usize> = tried.filter_map(|lease| roster.follow(lease)).collect();
        out.extend(peers.own());
        // Usually no peer is passed over.
        let draining = roster.draining();
        if !passed_over.is_empty() || !draining.is_empty() {
            let mut place = |lease: &&Arc<ListedLease>| match &mut places {
                Some(places) => place_of(places, roster, lease),
                None => roster.follow(lease),
            };
            let mut without_failed = out.clone();
            without_failed.extend(passed_over.failed.iter().filter_map(&mut place));
            let mut all_out = without_failed.clone();
            all_out.extend(passed_over.held_back.iter().filter_map(&mut place));
            all_out.extend(draining);
            for out in [all_out, without_failed] {
                let eligible = Eligible::new(roster, out);
                if !eligible.is_empty() {
                    return (eligible, knowledge);
                }
            }
            knowledge.is_last_resort = true;
        }
        (Eligible::new(roster, out), knowledge)
    }

    /// If a job is not to leave the agent's site: which part of the peers is there, and the positions
    /// in it of those that are not eligible. At least one is.
    fn at_site<'b>(
        &mut self,
        skill: Option<&Name>,
        tried: impl Iterator<Item = &'b Arc<ListedLease>>,
        PassedOver { failed, held_back }: &PassedOver<'b>,
    ) -> Option<(usize, Few<usize>)> {
        let place = self.parts.at_site(&self.peers, &self.contacts, skill)?;
        let peers = self.parts.get(place);
        let roster = peers.roster();
        let others = failed.iter().chain(held_back).copied();
        let mut out: Few<usize> =
            tried.chain(others).filter_map(|lease| roster.follow(lease)).collect();
        out.extend(peers.own());
        out.extend(roster.draining());
        (!Eligible::new(roster, out.clone()).is_empty()).then_some((place, out))
    }
}

/// The peers that are not to be chosen as long as there are others.
#[derive(Debug, Default)]
pub(super) struct PassedOver<'a> {
    /// Those that failed, or fail often.
    failed: Few<&'a Arc<ListedLease>>,
    /// Those that would do their jobs, but should not get this one. They come before those that
    /// failed.
    held_back: Few<&'a Arc<ListedLease>>,
}

impl<'a> PassedOver<'a> {
    /// Those that the decorators name.
    pub(super) fn of(now: Timestamp, decorators: &'a Decorators) -> Self {
        let mut over = Self::default();
        decorators.passed_over(now, &mut |lease| over.failed.push(lease));
        decorators.held_back(now, &mut |lease| over.held_back.push(lease));
        over
    }

    fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.held_back.is_empty()
    }
}

/// What an agent knows of its peers without probing them: the listed reports and its contacts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knowledge<'a> {
    contacts: &'a Contacts,
    now: Timestamp,
    /// The age of the list that the reports are from.
    age: Duration,
    /// Whether all peers that are left have failed.
    pub(super) is_last_resort: bool,
}

impl Knowledge<'_> {
    /// What is known of one peer, as a candidate for a policy's choice.
    pub(super) fn of(&self, lease: &ListedLease) -> Candidate {
        let peer = lease.id();
        Candidate::unknown(peer)
            .with_load(lease.load.map(|value| Known { value, age: self.age }))
            .with_latency(self.contacts.rtt(self.now, peer))
            .with_outstanding(self.contacts.outstanding(peer))
            .with_weight(lease.profile.weight())
    }
}

/// The position of a peer in the list, looked up once per list.
fn place_of(
    known: &mut Vec<(PeerId, usize)>,
    roster: &Roster,
    lease: &Arc<ListedLease>,
) -> Option<usize> {
    match known.binary_search_by_key(&lease.id(), |(peer, _)| *peer) {
        Ok(at) => Some(known[at].1),
        Err(at) => {
            let place = roster.follow(lease)?;
            known.insert(at, (lease.id(), place));
            Some(place)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::LoadReport;
    use crate::profile::{Profile, Weight};
    use crate::routing::Shortlist;
    use crate::skills::Skills;

    fn lease(name: &str, incarnation: u64) -> ListedLease {
        ListedLease::new(name, "h:1", incarnation, None)
    }

    fn listing(names: &[&str]) -> Roster {
        names.iter().map(|name| lease(name, 1)).collect()
    }

    fn names(view: &View) -> Vec<&str> {
        view.peers.names().map(|name| &**name).collect()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    /// Hands in a list; gives back the peers that have left.
    fn update(view: &mut View, secs: u64, leases: Roster) -> Vec<PeerId> {
        let change = view.update(at(secs), (leases, ListTrust::Believed), None);
        let Some(before) = change.before else { return Vec::new() };
        let gone = before.differences(&view.peers.roster).filter_map(|(old, _)| old);
        let mut left: Vec<PeerId> = gone.map(|lease| lease.id()).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn a_new_life_of_a_peer_is_another_peer() {
        let mut view = View::default();
        assert!(update(&mut view, 0, listing(&["a", "b"])).is_empty());
        assert!(update(&mut view, 1, listing(&["a", "b", "c"])).is_empty(), "who stays");
        let renewed = [lease("a", 2), lease("b", 1)].into_iter().collect();
        let mut left = vec![lease("a", 1).id(), lease("c", 1).id()];
        left.sort_unstable();
        assert_eq!(update(&mut view, 2, renewed), left);
    }

    #[test]
    fn a_list_that_changes_loads_alone_is_no_change() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["a", "b"]));
        let loaded = lease("a", 1).with_load(Some(Default::default()));
        let change = view.update(
            at(1),
            ([loaded, lease("b", 1)].into_iter().collect(), ListTrust::Believed),
            None,
        );
        assert!(!change.is_visible && !change.has_changed);
        assert!(view.peers.roster.get(0).unwrap().load.is_some(), "but it is taken over");
    }

    #[test]
    fn a_list_in_doubt_removes_nobody_during_the_grace() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["a", "b"]));
        let doubted = (listing(&["b"]), ListTrust::Doubted(at(40)));
        assert!(!view.update(at(10), doubted, None).is_visible);
        assert_eq!(names(&view), ["a", "b"]);
        update(&mut view, 39, listing(&["b"]));
        assert_eq!(names(&view), ["a", "b"]);
        assert_eq!(update(&mut view, 40, listing(&["b"])), [lease("a", 1).id()]);
        assert_eq!(names(&view), ["b"]);
    }

    #[test]
    fn jobs_stay_at_the_site_while_its_peers_have_room_and_are_well() {
        let config = LocalityConfig { locality: true, locality_spill: 1.0 };
        let mut view = View::new(Some(&"here".into()), config);
        let at_site = |name: &str, site: &str, in_flight: u32| {
            let profile = Profile::new(Skills::default(), Weight::ONE, Some(site.into()));
            let load = LoadReport { in_flight, ..LoadReport::default() };
            lease(name, 1).with_profile(profile).with_load(Some(load))
        };
        let list = |in_flight: [u32; 4]| -> Roster {
            let named = [("a", "here"), ("b", "here"), ("c", "there"), ("own", "here")];
            let leases = named.iter().zip(in_flight);
            leases.map(|((name, site), in_flight)| at_site(name, site, in_flight)).collect()
        };
        let names = |view: &mut View, tried: &[&str], failed: &[&str]| -> String {
            let find = |name: &&str| {
                let (place, _) = view.peers.roster.find(name).unwrap();
                view.peers.roster.shared_leases().nth(place).unwrap().clone()
            };
            let [tried, failed] = [tried, failed].map(|it| it.iter().map(find).collect::<Vec<_>>());
            let (eligible, _) = view.eligible(at(1), None, tried.iter(), &over(&failed, []));
            let peers = eligible.resolve(&Shortlist::All);
            peers.iter().map(|lease| &*lease.name).collect()
        };
        let own: Name = "own".into();
        let update = |view: &mut View, load| {
            view.update(at(1), (list(load), ListTrust::Believed), Some(&own));
        };
        update(&mut view, [1, 1, 0, 9]);
        assert_eq!(names(&mut view, &[], &[]), "ab", "one more each");
        assert_eq!(names(&mut view, &["a"], &[]), "b");
        assert_eq!(
            names(&mut view, &["a"], &["b"]),
            "c",
            "a peer elsewhere before one that failed"
        );
        let a = view.peers.roster.find("a").unwrap().1.id();
        view.contacts_mut().sent(a);
        assert_eq!(names(&mut view, &[], &[]), "abc", "its own job is not in the reports yet");
        update(&mut view, [2, 1, 0, 9]);
        view.contacts_mut().ended(a);
        assert_eq!(names(&mut view, &[], &[]), "abc", "nobody has asked since the list came");
        view.contacts_mut().sent(a);
        update(&mut view, [2, 1, 0, 9]);
        assert_eq!(names(&mut view, &[], &[]), "abc", "the job is in the reports");
        view.contacts_mut().ended(a);
        assert_eq!(names(&mut view, &[], &[]), "ab");
    }

    fn over<'a>(
        failed: impl IntoIterator<Item = &'a Arc<ListedLease>>,
        held_back: impl IntoIterator<Item = &'a Arc<ListedLease>>,
    ) -> PassedOver<'a> {
        let held_back = held_back.into_iter().collect();
        PassedOver { failed: failed.into_iter().collect(), held_back }
    }

    #[test]
    fn who_is_held_back_comes_before_who_failed() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["a", "b", "c"]));
        let [a, b, c] = ["a", "b", "c"].map(|name| Arc::new(lease(name, 1)));
        for (failed, held_back, expected) in [
            (vec![&a], vec![&b], "c"),
            (vec![&a], vec![&b, &c], "bc"),
            (vec![&a, &b, &c], vec![&b], "abc"),
            (vec![&a, &b], vec![&c, &a], "c"),
        ] {
            let (eligible, _) =
                view.eligible(at(1), None, std::iter::empty(), &over(failed, held_back));
            let peers = eligible.resolve(&Shortlist::All);
            assert_eq!(peers.iter().map(|lease| &*lease.name).collect::<String>(), expected);
        }
    }

    #[test]
    fn peers_that_drain_come_before_those_that_failed_and_after_all_others() {
        let mut view = View::default();
        let drain = |name, draining| lease(name, 1).with_draining(draining);
        let leases = vec![drain("a", true), drain("b", false), drain("c", false)];
        update(&mut view, 0, leases.into());
        assert_eq!(eligible(&mut view, &[], &[]), ["b", "c"]);
        assert_eq!(eligible(&mut view, &["b"], &[]), ["c"]);
        assert_eq!(eligible(&mut view, &[], &["b", "c"]), ["a"]);
        update(&mut view, 1, vec![drain("a", true), drain("b", true)].into());
        assert_eq!(eligible(&mut view, &[], &[]), ["a", "b"], "all of them");
    }

    /// The names of the peers that may be chosen.
    fn eligible(view: &mut View, tried: &[&str], passed_over: &[&str]) -> Vec<String> {
        let find = |name: &&str| Arc::new(lease(name, 1));
        let tried: Vec<_> = tried.iter().map(find).collect();
        let passed_over: Vec<_> = passed_over.iter().map(find).collect();
        let passed_over = over(&passed_over, []);
        let (eligible, _) = view.eligible(Timestamp::ZERO, None, tried.iter(), &passed_over);
        let peers = eligible.resolve(&Shortlist::All);
        peers.iter().map(|lease| lease.name.to_string()).collect()
    }

    #[test]
    fn only_those_with_the_skill_are_eligible_and_each_list_says_who_has_it() {
        let mut view = View::default();
        let able = |name, skills: &[&str]| {
            lease(name, 1).with_profile(skills.iter().copied().collect::<Skills>())
        };
        let skilled = |name, skill| able(name, &[skill]);
        let skill: Name = "draw".into();
        let mut names = |secs, leases: Vec<ListedLease>| -> Vec<String> {
            let listing = (leases.into(), ListTrust::Believed);
            view.update(at(secs), listing, Some(&"own".into()));
            let failed = Arc::new(skilled("b", "draw"));
            let (eligible, _) =
                view.eligible(at(secs), Some(&skill), std::iter::empty(), &over([&failed], []));
            let peers = eligible.resolve(&Shortlist::All);
            peers.iter().map(|lease| lease.name.to_string()).collect()
        };
        let both = |name| able(name, &["draw", "sing"]);
        let all = vec![lease("a", 1), skilled("b", "draw"), both("c"), skilled("own", "draw")];
        assert_eq!(names(1, all.clone()), ["c"], "b is passed over");
        assert_eq!(names(2, all[..2].to_vec()), ["b"], "better than nobody");
        assert_eq!(names(3, all[..1].to_vec()), [""; 0]);
        assert_eq!(names(4, all), ["c"]);
    }

    #[test]
    fn peers_that_were_tried_or_are_passed_over_are_found_in_each_list() {
        let mut view = View::default();
        update(&mut view, 0, listing(&["b", "c", "d"]));
        assert_eq!(eligible(&mut view, &["b", "x"], &[]), ["c", "d"]);
        assert_eq!(eligible(&mut view, &[], &["c"]), ["b", "d"]);
        assert_eq!(eligible(&mut view, &["b"], &["c"]), ["d"]);
        assert_eq!(eligible(&mut view, &["b", "d"], &["c"]), ["c"], "better than nobody");
        update(&mut view, 2, listing(&["a", "b", "c", "d"]));
        assert_eq!(eligible(&mut view, &["b"], &["c"]), ["a", "d"]);
        assert_eq!(eligible(&mut view, &[], &["a", "b", "c", "d"]).len(), 4);
        update(&mut view, 3, listing(&["a", "d"]));
        assert_eq!(eligible(&mut view, &["b"], &["c"]), ["a", "d"], "none of them is listed");
    }
}
