//! The least weighted sum of CPU and latency of all peers.

use std::time::Duration;

use crate::parameter::{Parameter, ParameterKind};
use crate::protocol::Task;
use crate::routing::signal::{LOAD_SIGNAL, signal_of};
use crate::routing::{
    Candidate, Eligible, ParameterConflict, Policy, PolicyDescription, PolicyNeeds, Shortlist,
    Signal, least_by_key, total_order,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const CPU_WEIGHT: Parameter = weight("cpu_weight", "Weight of one percent of CPU.", 0.7);
const LATENCY_WEIGHT: Parameter =
    weight("latency_weight", "Weight of one millisecond of latency.", 0.3);

const fn weight(name: &'static str, summary: &'static str, default: f64) -> Parameter {
    let kind = ParameterKind::Number { default, min: 0.0, max: 1_000_000.0 };
    Parameter { name, summary, kind }
}

/// [`Weighted`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "weighted",
    summary: "The peer with the least `cpu_weight` x CPU % + `latency_weight` x latency in ms.",
    parameters: &[CPU_WEIGHT, LATENCY_WEIGHT, LOAD_SIGNAL],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: true },
    conflict: |values| {
        let is_blind = values.number(&CPU_WEIGHT) == 0.0 && values.number(&LATENCY_WEIGHT) == 0.0;
        is_blind.then_some(ParameterConflict {
            parameter: CPU_WEIGHT.name,
            problem: "both weights are zero, so every peer is the same",
            expected: "expected one above 0",
        })
    },
    dispatch: PolicyDescription::no_theory,
    build: |values, _| {
        Box::new(Weighted {
            cpu_weight: values.number(&CPU_WEIGHT),
            latency_weight: values.number(&LATENCY_WEIGHT),
            signal: signal_of(values),
        })
    },
};

/// Ranks every peer by the weighted sum of its CPU % and its latency in ms. The default weights are
/// those of the Python demo of the mesh.
#[derive(Debug)]
struct Weighted {
    cpu_weight: f64,
    latency_weight: f64,
    signal: Signal,
}

impl Weighted {
    fn cost(&self, candidate: &Candidate) -> f64 {
        let latency = Duration::from_nanos(candidate.latency_or_zero_ns());
        self.cpu_weight * candidate.load_or_idle().cpu_percent
            + self.latency_weight * latency.as_secs_f64() * 1_000.0
    }
}

impl Policy for Weighted {
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
        least_by_key(candidates, rng, |candidate| total_order(self.cost(candidate)))
    }
}
