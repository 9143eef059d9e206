//! A random peer: the baseline that every other policy must beat.

use crate::protocol::Task;
use crate::routing::{
    Candidate, DispatchRule, Eligible, Picks, Policy, PolicyDescription, PolicyNeeds, Shortlist,
    Signal,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// [`Random`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "random",
    summary: "A random peer; each is equally likely.",
    parameters: &[],
    needs: |_| PolicyNeeds { signal: Signal::None, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |_| Some(DispatchRule::ShortestOf(1)),
    build: |_, _| Box::new(Random),
};

/// Draws a peer for each job, and remembers nothing.
#[derive(Debug)]
struct Random;

impl Policy for Random {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        Shortlist::Some(Picks::one(rng.index(eligible.len())))
    }

    fn choose(&mut self, _now: Timestamp, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
    }
}
