//! A uniform peer: the baseline that every other policy must beat.

use crate::routing::{
    Candidate, DispatchRule, Picks, Policy, PolicyDescription, PolicyNeeds, Shortlist, Signal,
};
use crate::seed::Rng;

/// [`Random`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "random",
    summary: "A uniform peer.",
    parameters: &[],
    needs: |_| PolicyNeeds { signal: Signal::None, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |_| Some(DispatchRule::ShortestOf(1)),
    build: |_, _| Box::new(Random),
};

/// Draws each peer anew.
#[derive(Debug)]
struct Random;

impl Policy for Random {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn shortlist(&mut self, eligible: usize, rng: &mut Rng) -> Shortlist {
        Shortlist::Some(Picks::one(rng.index(eligible)))
    }

    fn choose(&mut self, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
    }
}
