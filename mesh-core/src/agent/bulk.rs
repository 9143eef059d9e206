//! The door for a driver of thousands of agents.
//!
//! A driver of one agent needs nothing of this module. A driver of thousands in one process gains
//! from it: it lends one buffer of effects to whichever agent acts, polls for a timeout only where
//! one may have come nearer, and asks the processor for memory before it is read.

use std::collections::VecDeque;

use super::Agent;
use super::delegation::{Attempt, Delegation};
use super::effect::{CallId, Effect, JobId, Ticket};
use crate::protocol::Request;

pub use crate::prefetch::{prefetch, prefetch_arc};

/// Something that an agent will be handed soon.
#[derive(Clone, Copy, Debug)]
pub enum Upcoming<'a> {
    /// A request.
    Request(&'a Request),
    /// The result of a call.
    Result(CallId),
}

/// Steps of [`Bulk::prefetch`].
pub const PREFETCH_STEPS: usize = 3;

/// The most probes of one delegation that anything is asked for. Every answer asks anew for what all
/// need: where all peers are probed, that would take far longer than waiting.
const PROBES: usize = 4;

/// What a driver of thousands of agents may do besides driving them. Nothing here changes what an
/// agent does.
pub trait Bulk {
    /// Exchanges the buffer of the agent's effects for another. The driver lends one buffer to
    /// whichever agent acts, and takes it back when the effects are drained.
    fn swap_effects(&mut self, other: &mut VecDeque<Effect>);

    /// Whether [`Agent::poll_timeout`] may give an earlier time than before; the answer holds until
    /// the next question. A driver that is to wake the agent anyway need not poll if not.
    fn take_rearmed(&mut self) -> bool;

    /// Asks the processor for the memory that the agent, whose own record is at hand, will read when
    /// it is handed this. Step 0 is the first. Each step finds its addresses in the memory that the
    /// step before it has asked for, so there should be some time between them.
    fn prefetch(&self, upcoming: Upcoming<'_>, step: usize);

    /// Asks the processor for the memory that the agent will read when this job ends; gives back the
    /// ticket of its request.
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
            Upcoming::Request(Request::Info) if step == 0 => prefetch_arc(&self.name),
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
