//! The shortest queue of a few random peers.

use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::Task;
use crate::routing::signal::{COUNT_SIGNAL, signal_of};
use crate::routing::{
    Candidate, DispatchRule, Eligible, MAX_CHOICES, Picks, Policy, PolicyDescription, PolicyNeeds,
    Shortlist, Signal, least_by_key,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const CHOICES: Parameter = Parameter {
    name: "choices",
    summary: "How many peers to compare.",
    kind: ParameterKind::Count { default: 2, min: 1, max: MAX_CHOICES as u64 },
};

/// [`PowerOfTwo`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "power_of_two",
    summary: "The peer with the fewest jobs in flight among a few random ones.",
    parameters: &[CHOICES, COUNT_SIGNAL],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |values| Some(DispatchRule::ShortestOf(choices(values))),
    build: |values, _| Box::new(PowerOfTwo { choices: choices(values), signal: signal_of(values) }),
};

fn choices(values: &ParameterValues) -> usize {
    values.count(&CHOICES) as usize
}

/// Compares a few different random peers by their jobs in flight. Two are enough to avoid long
/// queues. And if reports are old, agents do not all send to the peer that was idle last, as they
/// do when they compare all peers (Mitzenmacher, "The power of two choices in randomized load
/// balancing", 2001).
#[derive(Debug)]
struct PowerOfTwo {
    choices: usize,
    signal: Signal,
}

impl Policy for PowerOfTwo {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        Shortlist::Some(Picks::sample(self.choices.max(1), eligible.len(), rng))
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by_key(candidates, rng, |candidate| candidate.in_flight(self.signal))
    }
}
