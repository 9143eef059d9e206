//! The least weighted sum of expected latency and jobs in flight.

use std::time::Duration;

use crate::parameter::{Parameter, ParameterKind};
use crate::routing::observed::{
    COMPARED, ObservedPeer, ObservingPolicy, PeerRule, fewest_jobs, mean_secs,
};
use crate::routing::probe_pool::{
    DELTA, MAX_AGE_MS, MAX_REUSE, POOL_SIZE, PROBES_PER_JOB, REMOVALS_PER_JOB,
};
use crate::routing::signal::{POOL_SIGNAL, signal_of};
use crate::routing::{PolicyDescription, PolicyNeeds, total_order};

const LAMBDA: Parameter = Parameter {
    name: "lambda",
    summary: "Weight of the jobs in flight; the latency has the rest of 1.",
    kind: ParameterKind::Number { default: 0.5, min: 0.0, max: 1.0 },
};
const ALPHA_MS: Parameter = Parameter {
    name: "alpha_ms",
    summary: "How many milliseconds a job in flight counts for: the median latency of a job that is alone.",
    kind: ParameterKind::Number { default: 75.0, min: 0.0, max: 3_600_000.0 },
};

/// [`Linear`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "linear",
    summary: "The probed peer with the least weighted sum of expected latency and jobs in flight.",
    parameters: &[
        POOL_SIGNAL,
        COMPARED,
        LAMBDA,
        ALPHA_MS,
        POOL_SIZE,
        MAX_AGE_MS,
        PROBES_PER_JOB,
        REMOVALS_PER_JOB,
        DELTA,
        MAX_REUSE,
    ],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: |values| {
        let counts_jobs = values.number(&LAMBDA) == 1.0 && values.number(&ALPHA_MS) > 0.0;
        counts_jobs.then(|| fewest_jobs(values)).flatten()
    },
    build: |values, _| {
        let rule = Linear {
            lambda: values.number(&LAMBDA),
            alpha_secs: values.number(&ALPHA_MS) / 1e3,
            unknown_secs: 0.0,
        };
        ObservingPolicy::new(values, Duration::ZERO, rule)
    },
};

/// Ranks peers by `(1 - lambda) x latency + lambda x alpha x in_flight`: the linear rule that
/// Prequal's authors compare with (Wydrowski et al., NSDI 2024, appendix A). The latency is what a
/// job may expect by the peer's own word; of a peer that does not tell it, the mean of the others.
#[derive(Debug)]
struct Linear {
    lambda: f64,
    alpha_secs: f64,
    unknown_secs: f64,
}

impl PeerRule for Linear {
    fn survey(&mut self, peers: &[ObservedPeer]) {
        self.unknown_secs = mean_secs(peers.iter().map(|peer| peer.expected)).unwrap_or(0.0);
    }

    fn rank(&self, peer: &ObservedPeer) -> [i64; 3] {
        let latency = peer.expected.map_or(self.unknown_secs, |latency| latency.as_secs_f64());
        let in_flight = f64::from(peer.in_flight);
        let cost = (1.0 - self.lambda) * latency + self.lambda * self.alpha_secs * in_flight;
        [total_order(cost), 0, 0]
    }
}
