//! Each peer in turn.

use crate::protocol::Task;
use crate::routing::{
    Candidate, DispatchRule, Eligible, Picks, Policy, PolicyDescription, PolicyNeeds, Shortlist,
    Signal,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// [`RoundRobin`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "round_robin",
    summary: "The peers in turn, from a random start.",
    parameters: &[],
    needs: |_| PolicyNeeds { signal: Signal::None, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |_| Some(DispatchRule::InTurn),
    build: |_, rng| Box::new(RoundRobin { cursor: rng.next_u64() }),
};

/// Counts its choices, and takes the peer that comes next in the order of names. It starts at a
/// random peer, so that agents that start together do not all choose the same one.
#[derive(Debug)]
struct RoundRobin {
    /// A random number plus the number of choices so far.
    cursor: u64,
}

impl Policy for RoundRobin {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        let position = (self.cursor % eligible.len() as u64) as usize;
        self.cursor = self.cursor.wrapping_add(1);
        Shortlist::Some(Picks::one(position))
    }

    fn choose(&mut self, _now: Timestamp, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
    }
}
