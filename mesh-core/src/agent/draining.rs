//! Drains: an agent that is to go finishes its jobs first.
//!
//! A drain begins when a registry says so, in its answer to a heartbeat, or the driver does. The
//! agent keeps its lease, so that its peers see that it drains and choose others. It refuses new
//! jobs with [`Failure::ShuttingDown`](super::Failure::ShuttingDown), which tells callers that have
//! not seen it yet that the job was not begun and may go elsewhere. When
//! [`Agent::may_leave`] says so, or after as long as the driver lets jobs go on, the driver ends the
//! agent as ever, with [`Agent::handle_shutdown`]. Until then, the drain can be cancelled.

use std::time::Duration;

use super::Agent;
use super::membership::Membership;
use super::note::Note;
use super::timers::Timer;
use crate::protocol::Request;
use crate::time::Timestamp;

impl Membership {
    /// What a registry has told the agent since the last call: whether it is to drain.
    pub(super) fn poll_drain(&mut self) -> Option<bool> {
        self.drain_order.take()
    }

    /// Tells all registries at once whether the agent drains.
    pub(super) fn set_draining(&mut self, now: Timestamp, draining: bool) {
        self.draining = draining;
        if self.taken_at.is_none() {
            self.registries.iter_mut().for_each(|known| known.register_by(now));
        }
    }
}

impl Agent {
    /// The agent is to drain, or to take jobs again. Nothing changes if it does that already, or is
    /// shutting down.
    pub fn handle_drain(&mut self, now: Timestamp, draining: bool) {
        if self.stopping || draining == self.draining.is_some() {
            return;
        }
        self.membership.set_draining(now, draining);
        self.rearm_membership();
        self.draining = draining.then_some(now);
        if draining {
            self.note(Note::Draining { jobs: self.jobs.in_flight() });
            self.refuse_waiters();
            self.arm(now + self.time_to_be_seen(), Timer::Unseen(now));
        } else {
            self.note(Note::DrainCancelled);
            self.start_jobs(now);
        }
    }

    /// Since when the agent drains; `None` if it does not.
    pub fn draining_since(&self) -> Option<Timestamp> {
        self.draining
    }

    /// Whether the agent drains and has nothing more to do: it holds no request, and its peers have
    /// had the time to see that it drains, so none of them is about to send it a job. The time is
    /// that between two lists, if all agents have this one's settings.
    pub fn may_leave(&self, now: Timestamp) -> bool {
        self.jobs.in_flight() == 0
            && self.delegations.is_empty()
            && self.draining.is_some_and(|since| now >= since + self.time_to_be_seen())
    }

    /// The longest time between two lists.
    fn time_to_be_seen(&self) -> Duration {
        let membership = &self.config.membership;
        // The jitter is at most the period itself.
        membership.refresh.saturating_add(membership.refresh.mul_f64(membership.jitter.min(1.0)))
    }

    /// Whether a request gets no answer but a refusal because the agent drains.
    pub(super) fn refuses_while_draining(&self, request: &Request) -> bool {
        match request {
            _ if self.draining.is_none() => false,
            // A job may have parts of it done by others, through this agent.
            Request::Delegate(_) => self.jobs.in_flight() == 0,
            Request::Info | Request::Service | Request::Idle(_) | Request::Work(_) => true,
        }
    }
}
