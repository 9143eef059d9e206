//! What an agent knows of its peers.

use std::sync::Arc;
use std::time::Duration;

use slotmap::{SlotMap, new_key_type};

use crate::load::LoadReport;
use crate::policy::{Candidate, Picks, Shortlist};
use crate::protocol::Name;
use crate::time::Timestamp;

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
    /// Live leases in order of their names.
    pub leases: Vec<ListedLease>,
}

/// One live lease.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLease {
    /// The agent's name.
    pub name: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// Which life of the name; 0 for agents that don't say.
    pub incarnation: u64,
    /// The load it reported with its last heartbeat.
    pub load: Option<LoadReport>,
}

/// One peer.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) name: Name,
    pub(super) url: Arc<str>,
    pub(super) incarnation: u64,
    pub(super) report: Option<LoadReport>,
    /// Our own calls to it that are not answered.
    pub(super) outstanding: u32,
    /// Last network round trip measured.
    pub(super) rtt: Option<Duration>,
    position: usize,
}

impl Peer {
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            load: self.report.unwrap_or_default(),
            outstanding: self.outstanding,
            latency: self.rtt.unwrap_or_default(),
        }
    }
}

/// The peers in order of their names.
#[derive(Debug, Default)]
pub(super) struct View {
    peers: SlotMap<PeerId, Peer>,
    order: Vec<PeerId>,
    epoch: Option<u64>,
    /// Until then, peers missing from the list are kept.
    grace_until: Timestamp,
}

impl View {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.order.iter().map(|id| &self.peers[*id].name)
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(id)
    }

    /// Calls under way to all peers.
    pub(super) fn outstanding(&self) -> u32 {
        self.order.iter().map(|id| self.peers[*id].outstanding).sum()
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
        let keep_missing = now < self.grace_until;

        let mut changed = false;
        let mut known = std::mem::take(&mut self.order).into_iter().peekable();
        for lease in listing.leases {
            if skip == Some(&lease.name) {
                continue;
            }
            while let Some(id) = known.next_if(|id| self.peers[*id].name < lease.name) {
                changed |= self.retire(id, keep_missing);
            }
            let same = known.next_if(|id| self.peers[*id].name == lease.name);
            changed |= self.put(same, lease);
        }
        for id in known {
            changed |= self.retire(id, keep_missing);
        }
        for (position, id) in self.order.iter().enumerate() {
            self.peers[*id].position = position;
        }
        changed
    }

    fn retire(&mut self, id: PeerId, keep: bool) -> bool {
        if keep {
            self.order.push(id);
        } else {
            self.peers.remove(id);
        }
        !keep
    }

    fn put(&mut self, same: Option<PeerId>, lease: ListedLease) -> bool {
        if let Some(id) = same {
            let peer = &mut self.peers[id];
            if peer.incarnation == lease.incarnation && peer.url == lease.url {
                peer.report = lease.load;
                self.order.push(id);
                return false;
            }
            self.peers.remove(id);
        }
        let id = self.peers.insert(Peer {
            name: lease.name,
            url: lease.url,
            incarnation: lease.incarnation,
            report: lease.load,
            outstanding: 0,
            rtt: None,
            position: 0,
        });
        self.order.push(id);
        true
    }

    /// Number of peers that are not in `tried`.
    pub(super) fn eligible(&self, tried: &[PeerId]) -> usize {
        self.len() - tried.iter().filter(|id| self.peers.contains_key(**id)).count()
    }

    /// The peers that a shortlist over [`Self::eligible`] means.
    pub(super) fn resolve(&self, shortlist: &Shortlist, tried: &[PeerId]) -> Vec<PeerId> {
        match shortlist {
            Shortlist::All => self.order.iter().filter(|id| !tried.contains(id)).copied().collect(),
            Shortlist::Some(picks) => self.skip_tried(picks, tried),
        }
    }

    fn skip_tried(&self, picks: &Picks, tried: &[PeerId]) -> Vec<PeerId> {
        let mut gone: Vec<usize> =
            tried.iter().filter_map(|id| Some(self.peers.get(*id)?.position)).collect();
        gone.sort_unstable();
        let place = |position: &usize| {
            let shifted = gone.iter().fold(*position, |at, gap| at + usize::from(at >= *gap));
            self.order[shifted]
        };
        picks.as_slice().iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(name: &str, incarnation: u64) -> ListedLease {
        ListedLease { name: name.into(), url: "h:1".into(), incarnation, load: None }
    }

    fn listing(epoch: u64, names: &[&str]) -> Listing {
        Listing { epoch, leases: names.iter().map(|name| lease(name, 1)).collect() }
    }

    fn names(view: &View) -> Vec<&str> {
        view.order.iter().map(|id| &*view.peers[*id].name).collect()
    }

    const GRACE: Duration = Duration::from_secs(30);

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn update_adds_removes_and_keeps_counters() {
        let mut view = View::default();
        assert!(view.update(at(0), listing(1, &["a", "c"]), None, GRACE));
        let a = view.order[0];
        view.get_mut(a).unwrap().outstanding = 3;
        assert!(view.update(at(1), listing(1, &["a", "b"]), None, GRACE));
        assert_eq!(names(&view), ["a", "b"]);
        assert_eq!(view.get(a).unwrap().outstanding, 3);
        assert!(!view.update(at(2), listing(1, &["a", "b"]), None, GRACE));
    }

    #[test]
    fn a_new_life_of_a_peer_starts_with_clean_counters() {
        let mut view = View::default();
        view.update(at(0), listing(1, &["a"]), None, GRACE);
        let old = view.order[0];
        view.get_mut(old).unwrap().outstanding = 3;
        let renewed = Listing { epoch: 1, leases: vec![lease("a", 2)] };
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
        let tried = [view.order[3], view.order[0]];
        assert_eq!(view.eligible(&tried), 3);
        let chosen = |position| {
            let ids = view.resolve(&Shortlist::Some(Picks::one(position)), &tried);
            view.get(ids[0]).unwrap().name.to_string()
        };
        assert_eq!([chosen(0), chosen(1), chosen(2)], ["b", "c", "e"]);
        assert_eq!(view.resolve(&Shortlist::All, &tried).len(), 3);
    }
}
