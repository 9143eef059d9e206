//! The agent's timers: when it wants to be woken, and what for.

use std::cmp::Reverse;

use slotmap::SlotMap;

use super::Agent;
use super::chooser::Chooser;
use super::delegation::Delegation;
use super::effect::{DelegationId, JobId};
use super::idle::{SlotOffers, WaiterId};
use super::jobs::AdmittedJobs;
use crate::time::Timestamp;

/// What a timer is for. A timer is skipped when it comes up if its job or delegation is gone, or
/// waits for another time by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A job's deadline.
    Job(JobId),
    /// The next time at which a delegation has something to do.
    Delegation(DelegationId),
    /// A timeout of the policy, or of a probe that the policy asked for.
    Policy,
    /// When a caller of `idle` has waited long enough.
    Waiter(WaiterId),
    /// When a slot was held long enough for the job of the caller that it was offered to.
    Offer,
    /// When all peers have seen that the agent drains, which it does since this time.
    Unseen(Timestamp),
}

/// How many timers may be kept in vain beyond twice the number of jobs, delegations and callers that
/// wait for a slot.
const SPARE_TIMERS: usize = 8;

/// Whether a timer is still needed.
fn is_wanted(
    jobs: &AdmittedJobs,
    delegations: &SlotMap<DelegationId, Box<Delegation>>,
    chooser: Option<&Chooser>,
    offers: Option<&SlotOffers>,
    draining: Option<Timestamp>,
    (at, timer): (Timestamp, Timer),
) -> bool {
    match timer {
        // A job's deadline never moves, so its timer is needed as long as the job is there.
        Timer::Job(id) => jobs.get(id).is_some(),
        Timer::Delegation(id) => {
            delegations.get(id).is_some_and(|delegation| delegation.wake_at() == at)
        }
        Timer::Policy => chooser.is_some_and(|chooser| chooser.wake_at == at),
        Timer::Waiter(id) => offers.is_some_and(|offers| offers.is_waiting(id)),
        Timer::Offer => offers.is_some_and(|offers| offers.has_offer_until(at)),
        Timer::Unseen(since) => draining == Some(since),
    }
}

impl Agent {
    /// Does what is due at `now`, apart from membership.
    pub(super) fn handle_timers(&mut self, now: Timestamp) {
        while let Some(Reverse((at, timer))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            match timer {
                Timer::Job(id) => self.job_timed_out(now, id),
                Timer::Delegation(id) => self.delegation_timed_out(now, id),
                Timer::Policy => self.policy_timed_out(now),
                Timer::Waiter(id) => self.waiter_timed_out(id),
                Timer::Offer => self.offers_timed_out(now),
                // The driver looks whether the agent may leave after every call.
                Timer::Unseen(_) => {}
            }
        }
    }

    /// The first timer that is still needed.
    pub(super) fn next_timer(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((at, timer))) = self.timers.peek().copied() {
            let (chooser, offers) = (self.chooser.as_deref(), self.offers.as_deref());
            let timer = (at, timer);
            if is_wanted(&self.jobs, &self.delegations, chooser, offers, self.draining, timer) {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }

    /// Sets a timer.
    ///
    /// Most jobs and delegations end long before their deadline, and their timers stay behind. So
    /// timers that are not needed are swept out now and then: otherwise each would take memory
    /// until the deadline.
    pub(super) fn arm(&mut self, at: Timestamp, timer: Timer) {
        // Behind another timer, even one that is not needed any more, this one does not change when
        // the driver has to wake the agent next.
        self.rearmed |= self.timers.peek().is_none_or(|Reverse((first, _))| at < *first);
        self.timers.push(Reverse((at, timer)));
        let (jobs, delegations) = (&self.jobs, &self.delegations);
        let waiting = self.offers.as_ref().map_or(0, |offers| offers.len());
        let needed = jobs.in_flight() as usize + delegations.len() + waiting;
        if self.timers.len() > 2 * needed + SPARE_TIMERS {
            let (chooser, offers) = (self.chooser.as_deref(), self.offers.as_deref());
            let draining = self.draining;
            let is_wanted = |timer| is_wanted(jobs, delegations, chooser, offers, draining, timer);
            self.timers.retain(|Reverse(timer)| is_wanted(*timer));
        }
    }
}
