//! What makes a driver of thousands of agents in one process fast.
//!
//! A driver of one agent needs nothing of this module. A driver of thousands saves time with it: it
//! lends one buffer of effects to whichever agent acts, asks an agent for its timeout only if that
//! may have become earlier, and asks the processor for memory before an agent reads it.

use std::collections::VecDeque;

use super::Agent;
use super::delegation::{Attempt, Delegation};
use super::effect::{CallId, Effect, JobId, Ticket};
use crate::protocol::Request;

pub use crate::prefetch::{prefetch, prefetch_arc};

/// Something that the driver will hand to an agent soon.
#[derive(Clone, Copy, Debug)]
pub enum Upcoming<'a> {
    /// A request.
    Request(&'a Request),
    /// The result of a call.
    Result(CallId),
}

/// Number of steps of [`Bulk::prefetch`].
pub const PREFETCH_STEPS: usize = 3;

/// A delegation with more open probes than this is not prefetched. Each answer asks for the memory
/// of all probes again, so where all peers are probed that would take far longer than it saves.
const PROBES: usize = 4;

/// What a driver of thousands of agents may do with an agent besides driving it. Nothing here
/// changes what an agent does.
pub trait Bulk {
    /// Exchanges the buffer of the agent's effects for `other`. The driver lends one buffer to
    /// whichever agent acts, and takes it back when the effects are drained: so an agent that rests
    /// keeps no buffer.
    fn swap_effects(&mut self, other: &mut VecDeque<Effect>);

    /// Whether [`Agent::poll_timeout`] may give an earlier time than when this was last asked. If
    /// not, a driver that will wake the agent at a known time need not poll.
    fn take_rearmed(&mut self) -> bool;

    /// Asks the processor for the memory that the agent will read when it is handed `upcoming`. The
    /// agent itself must be in the cache already. Begin with step 0: each step reads addresses from
    /// the memory that the step before it has asked for, so let some time pass between them.
    fn prefetch(&self, upcoming: Upcoming<'_>, step: usize);

    /// Asks the processor for the memory that the agent will read when this job ends. Gives back
    /// the ticket of the job's request.
    fn prefetch_job(&self, job: JobId) -> Option<Ticket>;
}

impl Bulk for Agent {
    fn swap_effects(&mut self, other: &mut VecDeque<Effect>) {
        std::mem::swap(&mut self.effects, other);
    }

    fn take_rearmed(&mut self) -> bool {
        std::mem::take(&mut self.rearmed)
    }

    fn prefetch(&self, upcoming: Upcoming<'_>, step: usize) {
        match upcoming {
            Upcoming::Request(Request::Info | Request::Service | Request::Idle(_)) if step == 0 => {
                prefetch_arc(&self.name);
            }
            Upcoming::Request(Request::Work(_)) if step == 0 => self.prefetch_timers(),
            Upcoming::Request(Request::Delegate(_)) if step == 0 => {
                self.prefetch_timers();
                self.chooser.iter().for_each(|chooser| prefetch(&**chooser));
                self.view.peers().roster().prefetch();
            }
            Upcoming::Result(call) => {
                if let Some(delegation) = self.delegations.get(call.delegation) {
                    self.prefetch_result(delegation, step);
                }
            }
            Upcoming::Request(_) => {}
        }
    }

    fn prefetch_job(&self, job: JobId) -> Option<Ticket> {
        prefetch_arc(&self.name);
        self.jobs.get(job).map(|job| job.ticket)
    }
}

impl Agent {
    fn prefetch_result(&self, delegation: &Delegation, step: usize) {
        match (step, &delegation.probing) {
            (0, _) => prefetch(delegation),
            (1 | 2, Some(round)) if round.probes.len() > PROBES => {}
            (1, Some(round)) => {
                for probe in &round.probes {
                    prefetch_arc(&probe.lease);
                    probe.peer.iter().for_each(|peer| self.view.contacts().prefetch(*peer));
                }
                self.chooser.iter().for_each(|chooser| prefetch(&chooser.policy));
            }
            (1, None) => {
                for Attempt { choice, .. } in &delegation.attempts {
                    prefetch_arc(&choice.lease);
                    choice.peer.iter().for_each(|peer| self.view.contacts().prefetch(*peer));
                }
            }
            (2, Some(round)) => {
                round.probes.iter().for_each(|probe| probe.lease.prefetch());
                self.chooser.iter().for_each(|chooser| prefetch(&*chooser.policy));
                self.prefetch_timers();
            }
            (2, None) => {
                delegation.attempts.iter().for_each(|attempt| attempt.choice.lease.prefetch());
            }
            _ => {}
        }
    }

    fn prefetch_timers(&self) {
        self.timers.as_slice().last().iter().for_each(|timer| prefetch(*timer));
    }
}
