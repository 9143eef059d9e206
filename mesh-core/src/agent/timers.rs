//! The agent's timers: when it wants to be woken, and what for.

use std::cmp::Reverse;

use slotmap::SlotMap;

use super::Agent;
use super::chooser::Chooser;
use super::delegation::Delegation;
use super::effect::{DelegationId, JobId};
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
}

/// How many timers may be kept in vain beyond twice the number of jobs and delegations.
const SPARE_TIMERS: usize = 8;

/// Whether a timer is still needed.
fn is_wanted(
    jobs: &AdmittedJobs,
    delegations: &SlotMap<DelegationId, Box<Delegation>>,
    chooser: Option<&Chooser>,
    at: Timestamp,
    timer: Timer,
) -> bool {
    match timer {
        // A job's deadline never moves, so its timer is needed as long as the job is there.
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
        if self.timers.len() > 2 * (jobs.in_flight() as usize + delegations.len()) + SPARE_TIMERS {
            let chooser = self.chooser.as_deref();
            let is_wanted = |at, timer| is_wanted(jobs, delegations, chooser, at, timer);
            self.timers.retain(|Reverse((at, timer))| is_wanted(*at, *timer));
        }
    }
}
