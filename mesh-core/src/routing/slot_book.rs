//! The book of free slots, for policies that ask peers for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Eligible, PolicyEvent, SlotRequest};
use crate::protocol::Name;
use crate::roster::PeerId;
use crate::seed::Rng;
use crate::time::Timestamp;

/// Which peers were asked for a free slot, and which have one. Each peer is asked for one slot at a
/// time, and not while it has one on offer.
#[derive(Debug)]
pub(super) struct SlotBook {
    /// How long a peer is to hold a slot.
    hold: Duration,
    peers: BTreeMap<PeerId, BookedPeer>,
    /// How many of them are asked.
    asked: usize,
    /// Slots that nobody has taken, the oldest offer first.
    offers: VecDeque<SlotOnOffer>,
    /// There was nobody left to ask among this many eligible peers, and no peer has been struck out
    /// of the book since.
    complete: Option<usize>,
}

#[derive(Debug)]
struct BookedPeer {
    name: Name,
    state: SlotState,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SlotState {
    /// It is asked.
    Asked,
    /// It has a slot on offer.
    Offering,
    /// It does not know what it was asked, and is not asked again.
    Unable,
}

#[derive(Debug)]
struct SlotOnOffer {
    peer: PeerId,
    until: Timestamp,
}

impl SlotBook {
    pub(super) fn new(hold: Duration) -> Self {
        Self { hold, peers: BTreeMap::new(), asked: 0, offers: VecDeque::new(), complete: None }
    }

    /// Takes note of an answer, or that a peer has left. Gives back the peer if it turns out that it
    /// does not know what it was asked.
    pub(super) fn on_event(&mut self, event: &PolicyEvent<'_>) -> Option<PeerId> {
        match *event {
            PolicyEvent::Offered { peer, until } if self.set(peer, SlotState::Offering) => {
                self.offers.push_back(SlotOnOffer { peer, until });
            }
            PolicyEvent::NotOffered { peer, is_able: false } => {
                return self.set(peer, SlotState::Unable).then_some(peer);
            }
            PolicyEvent::NotOffered { peer, .. } | PolicyEvent::Left { peer, .. } => {
                self.strike_out(peer);
                self.offers.retain(|offer| offer.peer != peer);
            }
            // There is somebody else to ask.
            PolicyEvent::Joined { .. } => self.complete = None,
            _ => {}
        }
        None
    }

    /// The number of the eligible peer whose slot has been on offer for longest. The slot is taken.
    pub(super) fn take(&mut self, now: Timestamp, eligible: &Eligible<'_>) -> Option<usize> {
        self.drop_late(now);
        let find =
            |offer: &SlotOnOffer| eligible.find(&self.peers.get(&offer.peer)?.name, offer.peer);
        let (at, number) = self
            .offers
            .iter()
            .enumerate()
            .find_map(|(at, offer)| find(offer).map(|number| (at, number)))?;
        let offer = self.offers.remove(at)?;
        // A peer that does not know what it was asked stays in the book.
        if self.state(offer.peer) == Some(SlotState::Offering) {
            self.strike_out(offer.peer);
        }
        Some(number)
    }

    /// Puts a slot of a peer on offer that makes no offers itself.
    pub(super) fn offer_for(&mut self, peer: PeerId) {
        self.offers.push_back(SlotOnOffer { peer, until: Timestamp::MAX });
    }

    /// Whether the peer does not know what it was asked.
    pub(super) fn is_unable(&self, peer: PeerId) -> bool {
        self.state(peer) == Some(SlotState::Unable)
    }

    /// Gives back a slot that a peer holds and nobody has taken, the oldest first.
    pub(super) fn release(&mut self, now: Timestamp) -> Option<SlotRequest> {
        self.drop_late(now);
        let is_held = |offer: &SlotOnOffer| self.state(offer.peer) == Some(SlotState::Offering);
        let at = self.offers.iter().position(is_held)?;
        let SlotOnOffer { peer, .. } = self.offers.remove(at)?;
        self.strike_out(peer);
        Some(SlotRequest::Release { peer })
    }

    /// Asks a random eligible peer that is not in the book, for this long.
    pub(super) fn ask(
        &mut self,
        now: Timestamp,
        wait: Duration,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Option<SlotRequest> {
        self.drop_late(now);
        let count = eligible.len();
        if count == 0 || self.complete == Some(count) {
            return None;
        }
        // The first from a random place on. Those in a row are asked in turn, which is as good as
        // any other order: who answers first does not depend on it.
        let start = rng.index(count);
        let free = (start..count).chain(0..start).find_map(|number| {
            let lease = eligible.get(number)?;
            (!self.peers.contains_key(&lease.id())).then_some((number, lease))
        });
        let Some((number, lease)) = free else {
            self.complete = Some(count);
            return None;
        };
        let booked = BookedPeer { name: lease.name.clone(), state: SlotState::Asked };
        self.peers.insert(lease.id(), booked);
        self.asked += 1;
        Some(SlotRequest::Ask { number, wait, hold: self.hold })
    }

    /// How many peers are asked.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// Whether there is nobody left to ask.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.is_some()
    }

    /// Whether a slot is on offer.
    pub(super) fn has_offers(&self) -> bool {
        !self.offers.is_empty()
    }

    /// When the next offer ends.
    pub(super) fn poll_timeout(&self) -> Timestamp {
        self.offers.iter().map(|offer| offer.until).fold(Timestamp::MAX, Timestamp::min)
    }

    /// Drops the offers that are over, so that the peers are asked again.
    pub(super) fn drop_late(&mut self, now: Timestamp) {
        while let Some(at) = self.offers.iter().position(|offer| offer.until <= now) {
            if let Some(offer) = self.offers.remove(at) {
                self.strike_out(offer.peer);
            }
        }
    }

    fn state(&self, peer: PeerId) -> Option<SlotState> {
        self.peers.get(&peer).map(|booked| booked.state)
    }

    /// Changes the state of a peer that is asked; false if it is not.
    fn set(&mut self, peer: PeerId, state: SlotState) -> bool {
        let Some(booked) = self.peers.get_mut(&peer) else { return false };
        if !matches!(booked.state, SlotState::Asked) {
            return false;
        }
        booked.state = state;
        self.asked -= 1;
        true
    }

    fn strike_out(&mut self, peer: PeerId) {
        if let Some(booked) = self.peers.remove(&peer) {
            self.asked -= usize::from(matches!(booked.state, SlotState::Asked));
            self.complete = None;
        }
    }
}
