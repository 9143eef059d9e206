//! Free slots as an agent offers them: `idle` asks for one, and is answered as soon as one is free.
//!
//! Each free slot is offered to one caller, the one that has waited longest, and is held for the
//! caller's job for a short time. An offer is no admission: it only keeps the agent from offering
//! the slot twice. Jobs that come without an offer, or after its time, are admitted as any other.

use std::collections::VecDeque;
use std::time::Duration;

use slotmap::{SlotMap, new_key_type};

use super::Agent;
use super::effect::Ticket;
use super::failure::Failure;
use super::timers::Timer;
use crate::protocol::{IdleReply, IdleRequest, OfferNumber, Reply};
use crate::time::Timestamp;

/// The longest time that a caller of `idle` waits for a free slot; one that wants to wait longer is
/// answered then, and may ask again.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest time that a slot is held for the job of the caller that it was offered to.
pub const LONGEST_HOLD: Duration = Duration::from_secs(10);

/// How many callers of `idle` may wait at one agent; further ones are refused as busy.
pub const MAX_IDLE_CALLERS: usize = 1_024;

new_key_type! {
    /// Names a call of `idle` that waits for a free slot.
    pub struct WaiterId;
}

/// A caller that waits for a free slot.
#[derive(Debug)]
struct SlotWaiter {
    /// The driver's ticket of its `idle` request.
    ticket: Ticket,
    /// How long it wants the slot to be held.
    hold: Duration,
}

/// A slot that was offered to a caller whose job has not come yet.
#[derive(Debug)]
struct OfferedSlot {
    number: OfferNumber,
    /// The slot is held until then.
    until: Timestamp,
}

/// The callers that wait for a free slot, and the slots that were offered. An agent has one once
/// somebody has called `idle`.
#[derive(Debug, Default)]
pub(super) struct SlotOffers {
    waiters: SlotMap<WaiterId, SlotWaiter>,
    /// The ids of `waiters` in order of arrival. Those of callers that left meanwhile stay in it and
    /// are skipped when they come up.
    line: VecDeque<WaiterId>,
    offers: Vec<OfferedSlot>,
    /// The number of the last offer.
    last: u32,
}

impl SlotOffers {
    fn wait(&mut self, ticket: Ticket, hold: Duration) -> WaiterId {
        let id = self.waiters.insert(SlotWaiter { ticket, hold });
        self.line.push_back(id);
        id
    }

    /// Takes a caller out that is not to be offered anything.
    fn leave(&mut self, id: WaiterId) -> Option<SlotWaiter> {
        let waiter = self.waiters.remove(id)?;
        // As in the queue of jobs: finding the id would take a walk through the line.
        if self.line.len() > 2 * self.waiters.len() + 16 {
            self.line.retain(|id| self.waiters.contains_key(*id));
        }
        Some(waiter)
    }

    /// The caller that has waited longest.
    fn next(&mut self) -> Option<SlotWaiter> {
        loop {
            let id = self.line.pop_front()?;
            if let Some(waiter) = self.waiters.remove(id) {
                return Some(waiter);
            }
        }
    }

    /// The number of a new offer.
    fn number(&mut self) -> OfferNumber {
        self.last = self.last.checked_add(1).unwrap_or(1);
        OfferNumber::new(self.last).unwrap_or(OfferNumber::MIN)
    }

    fn end_offer(&mut self, number: OfferNumber) {
        self.offers.retain(|offer| offer.number != number);
    }

    pub(super) fn is_waiting(&self, id: WaiterId) -> bool {
        self.waiters.contains_key(id)
    }

    pub(super) fn has_offer_until(&self, at: Timestamp) -> bool {
        self.offers.iter().any(|offer| offer.until == at)
    }

    /// Callers that wait.
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }
}

impl Agent {
    /// Answers `idle`, or lets its caller wait for a free slot. Gives back what cancels the call.
    pub(super) fn idle(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        request: IdleRequest,
    ) -> Option<WaiterId> {
        let (timeout, hold) = match request {
            IdleRequest::Ask { timeout, hold } => {
                (timeout.min(LONGEST_WAIT), hold.min(LONGEST_HOLD))
            }
            IdleRequest::Release(number) => {
                self.reply(ticket, Ok(Reply::Idle(IdleReply::Full)));
                self.offer_taken(now, Some(number));
                return None;
            }
        };
        if self.has_slot_to_offer() {
            self.offer_slot(now, ticket, hold);
            return None;
        }
        let offers = self.offers.get_or_insert_default();
        if timeout.is_zero() {
            self.reply(ticket, Ok(Reply::Idle(IdleReply::Full)));
            return None;
        }
        if offers.len() >= MAX_IDLE_CALLERS {
            self.reply(ticket, Err(Failure::Busy));
            return None;
        }
        let id = offers.wait(ticket, hold);
        self.arm(now + timeout, Timer::Waiter(id));
        Some(id)
    }

    /// Whether a slot is free that nobody was offered. Where a slot is free no job waits for one.
    fn has_slot_to_offer(&self) -> bool {
        let offered = self.offers.as_ref().map_or(0, |offers| offers.offers.len());
        let taken = self.jobs.running().saturating_add(offered as u32);
        self.config.admission.concurrency.allows_more_than(taken)
    }

    fn offer_slot(&mut self, now: Timestamp, ticket: Ticket, hold: Duration) {
        let offers = self.offers.get_or_insert_default();
        let number = offers.number();
        // An agent without a limit always has a free slot. There is none to hold, and offers would
        // pile up.
        if self.config.admission.concurrency.limit().is_some() && !hold.is_zero() {
            offers.offers.push(OfferedSlot { number, until: now + hold });
            self.arm(now + hold, Timer::Offer);
        }
        self.reply(ticket, Ok(Reply::Idle(IdleReply::Free { offer: number, hold })));
    }

    /// Offers the slots that are free to the callers that wait. To be called when jobs have ended.
    pub(super) fn offer_slots(&mut self, now: Timestamp) {
        while self.offers.as_ref().is_some_and(|offers| offers.len() > 0)
            && self.has_slot_to_offer()
        {
            let waiter = self.offers.as_mut().and_then(|offers| offers.next());
            let Some(SlotWaiter { ticket, hold }) = waiter else { return };
            self.offer_slot(now, ticket, hold);
        }
    }

    /// The job has come that takes this offer up, or its caller has none: the slot is not held any
    /// longer.
    pub(super) fn offer_taken(&mut self, now: Timestamp, number: Option<OfferNumber>) {
        if let (Some(offers), Some(number)) = (&mut self.offers, number) {
            offers.end_offer(number);
            self.offer_slots(now);
        }
    }

    /// Jobs did not come in time for slots that are held for them: others may have the slots.
    pub(super) fn offers_timed_out(&mut self, now: Timestamp) {
        if let Some(offers) = &mut self.offers {
            offers.offers.retain(|offer| offer.until > now);
            self.offer_slots(now);
        }
    }

    /// A caller of `idle` went away.
    pub(super) fn waiter_left(&mut self, id: WaiterId) {
        if let Some(offers) = &mut self.offers {
            offers.leave(id);
        }
    }

    /// A caller has waited as long as it wants to: no slot was free.
    pub(super) fn waiter_timed_out(&mut self, id: WaiterId) {
        if let Some(waiter) = self.offers.as_mut().and_then(|offers| offers.leave(id)) {
            self.reply(waiter.ticket, Ok(Reply::Idle(IdleReply::Full)));
        }
    }

    /// Tells all callers that wait for a slot that the agent shuts down.
    pub(super) fn refuse_waiters(&mut self) {
        while let Some(waiter) = self.offers.as_mut().and_then(|offers| offers.next()) {
            self.reply(waiter.ticket, Err(Failure::ShuttingDown));
        }
    }

    /// How many callers wait for a free slot of this agent.
    pub fn idle_callers(&self) -> usize {
        self.offers.as_ref().map_or(0, |offers| offers.len())
    }
}
