//! Asking peers for free slots: the calls of `idle` that the policy wants, the slots that peers offer,
//! and the jobs that wait for one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Agent;
use super::chooser::{Chooser, OwnCall, Purpose};
use super::effect::DelegationId;
use super::failure::CallError;
use super::idle::LONGEST_HOLD;
use super::note::Note;
use super::view::PassedOver;
use crate::protocol::{IdleReply, IdleRequest, Name, OfferNumber, Reply, Request};
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::routing::{HeldJobs, MAX_SLOT_ASKS, PolicyEvent, SlotRequest};
use crate::time::Timestamp;

/// How many of the jobs that are held are looked at for skills that none of those before demands.
const SKILLS_LOOKED_FOR: usize = 32;

/// The slots that were offered to an agent, and the delegations that wait for one.
#[derive(Debug, Default)]
pub(super) struct HeldSlots {
    /// The oldest first.
    offers: Vec<SlotOffer>,
    /// By the time at which the request was received, and among those of one time in the order in
    /// which they were held.
    held: BTreeMap<HoldKey, DelegationId>,
    /// How many delegations were held so far.
    holds: u64,
    /// Whether a job with a skill has been held since there was none.
    any_skill: bool,
}

/// Where a delegation is among those that wait for a slot.
pub(super) type HoldKey = (Timestamp, u64);

/// A slot that a peer holds for a job of this agent.
#[derive(Debug)]
struct SlotOffer {
    lease: Arc<ListedLease>,
    number: OfferNumber,
    until: Timestamp,
}

impl HeldSlots {
    pub(super) fn held(&self) -> HeldJobs {
        let first = self.held.keys().next();
        HeldJobs {
            jobs: self.held.len(),
            since: first.map_or(Timestamp::ZERO, |(received, _)| *received),
        }
    }

    /// Takes the offer of a peer that it made first.
    fn take_offer(&mut self, peer: PeerId) -> Option<SlotOffer> {
        let at = self.offers.iter().position(|offer| offer.lease.id() == peer)?;
        Some(self.offers.remove(at))
    }

    pub(super) fn forget_who_left(&mut self, is_listed: IsListed<'_>) {
        self.offers.retain(|offer| is_listed(&offer.lease));
    }
}

impl Agent {
    /// The policy has no peer for a job: it waits until there is one.
    pub(super) fn hold(&mut self, id: DelegationId) {
        let Some(chooser) = &mut self.chooser else { return };
        let delegation = &mut self.delegations[id];
        let slots = &mut chooser.slots;
        let key = (delegation.received, slots.holds);
        slots.holds += 1;
        slots.any_skill = delegation.task.skill().is_some() || slots.any_skill;
        slots.held.insert(key, id);
        delegation.held = Some(key);
        let (request, trace) = (delegation.task.request, delegation.task.trace_id());
        self.note_job(trace, Note::Held { request });
        self.rearm_delegation(id);
    }

    /// A delegation does not wait for a slot any more: it has a peer, or it is over.
    pub(super) fn let_go(&mut self, key: Option<HoldKey>) {
        if let (Some(key), Some(chooser)) = (key, &mut self.chooser) {
            chooser.slots.held.remove(&key);
            chooser.slots.any_skill &= !chooser.slots.held.is_empty();
        }
    }

    /// How many delegations wait until a peer has a free slot.
    pub fn held(&self) -> usize {
        self.chooser.as_ref().map_or(0, |chooser| chooser.slots.held.len())
    }

    /// The offer that a job takes up which goes to this peer.
    pub(super) fn take_offer(&mut self, peer: PeerId) -> Option<OfferNumber> {
        if !self.interests.slots {
            return None;
        }
        Some(self.chooser.as_mut()?.slots.take_offer(peer)?.number)
    }

    /// Finds peers for the jobs that wait, and does what the policy wants of the peers' slots.
    pub(super) fn serve_slots(&mut self, now: Timestamp) {
        self.serve_held(now);
        if self.stopping && self.held() == 0 {
            return self.abandon_own_calls(now);
        }
        // As a rule the policy ends this; a broken one must not go on for ever.
        for _ in 0..2 * MAX_SLOT_ASKS {
            let done = match self.poll_slot(now) {
                Some((SlotRequest::Ask { wait, hold, .. }, Some(lease))) => {
                    let ask = IdleRequest::Ask { timeout: wait, hold };
                    // The answer comes by the end of the wait. It may have to open a connection
                    // first, and its way takes as long as that of an answer to a probe.
                    let until = self.shortest_call(now) + wait;
                    let until = until + self.config.delegation.connect_timeout;
                    self.make_own_call(now, Purpose::Ask, lease, Request::Idle(ask), until);
                    true
                }
                Some((SlotRequest::Release { peer }, _)) => self.release(now, peer),
                _ => false,
            };
            if !done {
                return;
            }
        }
    }

    /// Tries to find a peer for each job that waits, in order of arrival.
    fn serve_held(&mut self, now: Timestamp) {
        let mut last = Bound::Unbounded;
        while let Some(Chooser { policy, slots, .. }) = self.chooser.as_deref()
            && let Some((key, id)) = slots.held.range((last, Bound::Unbounded)).next()
            && policy.may_place()
        {
            let id = *id;
            last = Bound::Excluded(*key);
            self.try_held(now, id);
        }
    }

    /// Asks the policy what it wants next, and finds the peer that it wants to ask.
    fn poll_slot(&mut self, now: Timestamp) -> Option<(SlotRequest, Option<Arc<ListedLease>>)> {
        let chooser = self.chooser.as_deref_mut()?;
        let passed_over = PassedOver::of(now, &self.decorators);
        let held = chooser.slots.held();
        // Each skill is looked at once: jobs behind the first may need other peers.
        let mut skills: Vec<Option<&Name>> = Vec::new();
        let most = if chooser.slots.any_skill { SKILLS_LOOKED_FOR } else { 1 };
        let first = chooser.slots.held.values().take(most);
        skills.extend(first.map(|id| self.delegations[*id].task.skill()));
        if skills.is_empty() {
            skills.push(None);
        }
        for (at, skill) in skills.iter().enumerate() {
            if skills[..at].contains(skill) {
                continue;
            }
            let (eligible, _) = self.view.eligible(now, *skill, std::iter::empty(), &passed_over);
            let rng = &mut chooser.rng;
            match chooser.policy.poll_slot(now, held, &eligible, rng) {
                Some(SlotRequest::Ask { number, wait, hold }) => {
                    let asks = chooser.own_calls_for(Purpose::Ask);
                    let lease = eligible.get(number).filter(|_| asks < MAX_SLOT_ASKS).cloned();
                    return Some((SlotRequest::Ask { number, wait, hold }, lease));
                }
                Some(request) => return Some((request, None)),
                None => {}
            }
        }
        None
    }

    /// Gives an offer back; false if there is none.
    fn release(&mut self, now: Timestamp, peer: PeerId) -> bool {
        let slots = self.chooser.as_deref_mut().map(|chooser| &mut chooser.slots);
        let Some(offer) = slots.and_then(|slots| slots.take_offer(peer)) else { return false };
        // Those that are over are not held any more.
        if offer.until > now {
            let request = Request::Idle(IdleRequest::Release(offer.number));
            let until = self.shortest_call(now);
            self.make_own_call(now, Purpose::Release, offer.lease, request, until);
        }
        true
    }

    /// Tells the policy what came of asking a peer for a slot.
    pub(super) fn conclude_ask(
        &mut self,
        now: Timestamp,
        own: &OwnCall,
        result: Result<Reply, CallError>,
    ) {
        if own.purpose != Purpose::Ask {
            return;
        }
        let peer = own.lease.id();
        let event = match result {
            Ok(Reply::Idle(IdleReply::Free { offer: number, hold })) => {
                let until = now + hold.min(LONGEST_HOLD);
                if let Some(chooser) = self.chooser.as_deref_mut() {
                    let offers = &mut chooser.slots.offers;
                    offers.retain(|offer| offer.until > now);
                    offers.push(SlotOffer { lease: own.lease.clone(), number, until });
                }
                PolicyEvent::Offered { peer, until }
            }
            Ok(Reply::Idle(IdleReply::Full)) | Err(CallError::NoAnswer) => {
                PolicyEvent::NotOffered { peer, is_able: true }
            }
            _ => PolicyEvent::NotOffered { peer, is_able: false },
        };
        self.tell_policy(now, event);
    }
}

impl Purpose {
    /// Whether a call for this has got its answer. Otherwise it has failed, and the same peer is
    /// called again only after a while.
    pub(super) fn is_met(self, result: &Result<Reply, CallError>) -> bool {
        match (self, result) {
            (Self::Probe, Ok(reply)) => reply.as_probed().is_some(),
            (Self::Probe, Err(_)) => false,
            (Self::Ask, Ok(_)) => true,
            // Who refuses may offer a slot later. Any other error says that the peer does not know
            // the method, and it is not asked again.
            (Self::Ask, Err(CallError::Answered(failure))) => !failure.is_refusal(),
            (Self::Ask, Err(CallError::NotSent | CallError::NoAnswer)) => false,
            (Self::Release, _) => true,
        }
    }
}
