//! When an agent wants to be woken.

use std::cmp::Reverse;

use slotmap::SlotMap;

use super::Agent;
use super::chooser::Chooser;
use super::delegation::Delegation;
use super::effect::{DelegationId, JobId};
use super::jobs::AdmittedJobs;
use crate::time::Timestamp;

/// What a timer is for. One whose job or delegation is gone or moved on is skipped when it comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Job(JobId),
    Delegation(DelegationId),
    Policy,
}

/// Timers that nobody needs may be as many as those that are needed, and this many more.
const SPARE_TIMERS: usize = 8;

/// Whether what a timer is for is still to come.
fn is_wanted(
    jobs: &AdmittedJobs,
    delegations: &SlotMap<DelegationId, Box<Delegation>>,
    chooser: Option<&Chooser>,
    at: Timestamp,
    timer: Timer,
) -> bool {
    match timer {
        Timer::Job(id) => jobs.get(id).is_some(),
        Timer::Delegation(id) => {
            delegations.get(id).is_some_and(|delegation| delegation.wake_at() == at)
        }
        Timer::Policy => chooser.is_some_and(|chooser| chooser.wake_at == at),
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
            }
        }
    }

    /// The first timer that is still needed.
    pub(super) fn next_timer(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((at, timer))) = self.timers.peek().copied() {
            if is_wanted(&self.jobs, &self.delegations, self.chooser.as_deref(), at, timer) {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }

    /// Most timers are overtaken long before they come up: they are few, not as many as a
    /// deadline's worth of requests.
    pub(super) fn arm(&mut self, at: Timestamp, timer: Timer) {
        // Behind another, even one that nobody needs any more, it changes nothing yet.
        self.rearmed |= self.timers.peek().is_none_or(|Reverse((first, _))| at < *first);
        self.timers.push(Reverse((at, timer)));
        let (jobs, delegations) = (&self.jobs, &self.delegations);
        if self.timers.len() > 2 * (jobs.in_flight() as usize + delegations.len()) + SPARE_TIMERS {
            let chooser = self.chooser.as_deref();
            let is_wanted = |at, timer| is_wanted(jobs, delegations, chooser, at, timer);
            self.timers.retain(|Reverse((at, timer))| is_wanted(*at, *timer));
        }
    }
}
