//! What an agent will read soon, for drivers that know what happens next.

use super::Agent;
use super::delegation::{Delegation, Stage};
use super::effect::{CallId, JobId, Ticket};
use crate::prefetch::{prefetch, prefetch_arc};
use crate::protocol::Request;

/// What an agent will be handed soon.
#[derive(Clone, Copy, Debug)]
pub enum Coming<'a> {
    /// A request.
    Request(&'a Request),
    /// The result of a call.
    Result(CallId),
}

/// Steps of [`Agent::prefetch`].
pub const PREFETCH_STEPS: usize = 3;

/// The most probes of one delegation that anything is asked for. Every answer asks anew for what all
/// need: where all peers are probed, that would take far longer than waiting.
const PROBES: usize = 4;

impl Agent {
    /// Asks the processor for what the agent, whose own record is at hand, will read when it is
    /// handed this. Step 0 is the first: each finds its addresses in what the one before it has
    /// asked for, so there should be some time between them.
    pub fn prefetch(&self, coming: Coming<'_>, step: usize) {
        match coming {
            Coming::Request(Request::Info) if step == 0 => prefetch_arc(&self.name),
            Coming::Request(Request::Work(_)) if step == 0 => self.prefetch_timers(),
            Coming::Request(Request::Delegate(_)) if step == 0 => {
                self.prefetch_timers();
                self.chooser.iter().for_each(|chooser| prefetch(&**chooser));
                self.view.peers().roster().prefetch();
            }
            Coming::Result(call) => {
                if let Some(delegation) = self.delegations.get(call.delegation) {
                    self.prefetch_result(delegation, step);
                }
            }
            Coming::Request(_) => {}
        }
    }

    fn prefetch_result(&self, delegation: &Delegation, step: usize) {
        match (step, &delegation.stage) {
            (0, _) => prefetch(delegation),
            (1 | 2, Stage::Probing { probes, .. }) if probes.len() > PROBES => {}
            (1, Stage::Probing { probes, .. }) => {
                for probe in probes {
                    prefetch_arc(&probe.lease);
                    if let Some(peer) = probe.peer {
                        self.view.prefetch(peer);
                    }
                }
                self.chooser.iter().for_each(|chooser| prefetch(&chooser.policy));
            }
            (1, Stage::Working { choice, .. }) => {
                prefetch_arc(&choice.lease);
                if let Some(peer) = choice.peer {
                    self.view.prefetch(peer);
                }
            }
            (2, Stage::Probing { probes, .. }) => {
                probes.iter().for_each(|probe| probe.lease.prefetch());
                self.chooser.iter().for_each(|chooser| prefetch(&*chooser.policy));
                self.prefetch_timers();
            }
            (2, Stage::Working { choice, .. }) => choice.lease.prefetch(),
            _ => {}
        }
    }

    /// Asks the processor for what the agent will read when this job ends; gives back whose it is.
    pub fn prefetch_job(&self, job: JobId) -> Option<Ticket> {
        prefetch_arc(&self.name);
        self.jobs.get(job).map(|job| job.ticket)
    }

    fn prefetch_timers(&self) {
        self.timers.as_slice().last().iter().for_each(|timer| prefetch(*timer));
    }
}
