//! The shortest queue of all peers.

use crate::protocol::Task;
use crate::routing::signal::{COUNT_SIGNAL, signal_of};
use crate::routing::{
    Candidate, DispatchRule, Eligible, Policy, PolicyDescription, PolicyNeeds, Shortlist, Signal,
    least_by_key,
};
use crate::seed::Rng;
use crate::time::Timestamp;

/// [`ShortestQueue`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "shortest_queue",
    summary: "The peer with the fewest jobs in flight among all.",
    parameters: &[COUNT_SIGNAL],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |_| Some(DispatchRule::ShortestOfAll),
    build: |values, _| Box::new(ShortestQueue { signal: signal_of(values) }),
};

/// Compares all peers by their jobs in flight; queueing theory calls it "join the shortest queue".
/// If reports are old, all agents send to the peer that was idle last, and its queue becomes long
/// (Mitzenmacher, "How useful is old information?", 2000).
#[derive(Debug)]
struct ShortestQueue {
    signal: Signal,
}

impl Policy for ShortestQueue {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        Shortlist::All
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by_key(candidates, rng, |candidate| candidate.in_flight(self.signal))
    }
}
