//! Prequal: the fastest of the peers that are not among the busiest.

use std::time::Duration;

use crate::parameter::{Parameter, ParameterKind};
use crate::routing::observed::{COMPARED, ObservedPeer, ObservingPolicy, PeerRule, mean_secs};
use crate::routing::probe_pool::{
    DELTA, MAX_AGE_MS, MAX_REUSE, POOL_SIZE, PROBES_PER_JOB, REMOVALS_PER_JOB,
};
use crate::routing::signal::{POOL_SIGNAL, signal_of};
use crate::routing::{LoadSource, PolicyDescription, PolicyEvent, PolicyNeeds, total_order};
use crate::time::Timestamp;

const Q_RIF: Parameter = Parameter {
    name: "q_rif",
    summary: "Peers with more jobs in flight than this quantile of the probed ones are hot.",
    // The paper's 2^-0.25.
    kind: ParameterKind::Number { default: 0.84, min: 0.0, max: 1.0 },
};
const AVERSION_MS: Parameter = Parameter {
    name: "aversion_ms",
    summary: "For how many milliseconds a peer ranks last after it failed a job; 0: not at all.",
    kind: ParameterKind::Number { default: 1_000.0, min: 0.0, max: 3_600_000.0 },
};

/// [`Prequal`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "prequal",
    summary: "The peer of the least expected latency among the probed ones that are not the busiest.",
    parameters: &[
        POOL_SIGNAL,
        COMPARED,
        Q_RIF,
        AVERSION_MS,
        POOL_SIZE,
        MAX_AGE_MS,
        PROBES_PER_JOB,
        REMOVALS_PER_JOB,
        DELTA,
        MAX_REUSE,
    ],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| {
        let rule = Prequal { quantile: values.number(&Q_RIF), ..Prequal::default() };
        let aversion = Duration::from_secs_f64(values.number(&AVERSION_MS) / 1e3);
        ObservingPolicy::new(values, aversion, rule)
    },
};

/// How many results of probes the distribution of jobs in flight is taken from.
const SEEN: usize = 128;

/// Ranks peers by two figures of their own, the jobs in flight and the latency that a job may
/// expect: "hot-cold lexicographic" (Wydrowski et al., "Load is not what you should balance:
/// introducing Prequal", NSDI 2024). A peer is hot if it has more jobs in flight than the quantile
/// `q_rif` of those that the agent has seen in its last probes. The job goes to the cold peer of
/// the least expected latency; if all are hot, to the one with the fewest jobs in flight.
///
/// With signal pool this is the paper's asynchronous mode, with signal probes its synchronous one.
/// Of a peer that does not tell its latency, the mean of the others is taken.
#[derive(Debug, Default)]
struct Prequal {
    quantile: f64,
    /// Jobs in flight by the last probes; when it is full, `next` is the oldest.
    seen: Vec<u32>,
    next: usize,
    /// Peers with more jobs in flight are hot; `None`: no peer is.
    limit: Option<u32>,
    /// What counts as the latency of a peer that does not tell it, in seconds.
    unknown_secs: f64,
}

impl Prequal {
    /// The quantile of the jobs in flight that were seen: the least number that is not exceeded by
    /// this share of them.
    fn quantile_seen(&self) -> Option<u32> {
        let last = self.seen.len().checked_sub(1)?;
        let mut sorted = [0; SEEN];
        let sorted = &mut sorted[..=last];
        sorted.copy_from_slice(&self.seen);
        let rank = (self.quantile * sorted.len() as f64).ceil() as usize;
        Some(*sorted.select_nth_unstable(rank.saturating_sub(1).min(last)).1)
    }

    fn is_hot(&self, peer: &ObservedPeer) -> bool {
        // With quantile 0 the latency counts for nothing.
        self.quantile == 0.0 || self.limit.is_some_and(|limit| peer.in_flight > limit)
    }
}

impl PeerRule for Prequal {
    fn survey(&mut self, peers: &[ObservedPeer]) {
        self.limit = if self.quantile < 1.0 { self.quantile_seen() } else { None };
        self.unknown_secs = mean_secs(peers.iter().map(|peer| peer.expected)).unwrap_or(0.0);
    }

    fn rank(&self, peer: &ObservedPeer) -> [i64; 3] {
        if self.is_hot(peer) {
            return [1, peer.in_flight.into(), 0];
        }
        let latency = peer.expected.map_or(self.unknown_secs, |latency| latency.as_secs_f64());
        [0, total_order(latency), peer.in_flight.into()]
    }

    fn learn(&mut self, _now: Timestamp, event: &PolicyEvent<'_>) {
        let PolicyEvent::Load { load, source: LoadSource::Probe { .. }, .. } = event else {
            return;
        };
        if self.seen.len() < SEEN {
            self.seen.push(load.in_flight);
        } else {
            self.seen[self.next] = load.in_flight;
            self.next = (self.next + 1) % SEEN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadReport;
    use crate::roster::PeerId;

    fn peer(in_flight: u32, ms: Option<u64>) -> ObservedPeer {
        ObservedPeer {
            peer: PeerId::new("a", "h:1", 1),
            in_flight,
            expected: ms.map(Duration::from_millis),
            service_time: None,
            slots: None,
            is_avoided: false,
        }
    }

    /// The position of the best peer for a rule that has seen 1 to 100 jobs in flight.
    fn best(quantile: f64, peers: &[ObservedPeer]) -> Option<usize> {
        let mut rule = Prequal { quantile, ..Prequal::default() };
        for in_flight in 1..=100 {
            let load = LoadReport { in_flight, ..LoadReport::default() };
            let source = LoadSource::Probe { round_trip: Duration::ZERO };
            let peer = PeerId::new("a", "h:1", 1);
            rule.learn(Timestamp::ZERO, &PolicyEvent::Load { peer, load, service: None, source });
        }
        rule.survey(peers);
        (0..peers.len()).min_by_key(|at| rule.rank(&peers[*at]))
    }

    #[test]
    fn the_fastest_of_the_cold_peers_or_else_the_least_busy() {
        let peers = [peer(84, Some(10)), peer(85, Some(1)), peer(2, Some(50))];
        assert_eq!(best(0.84, &peers), Some(0), "84 of 100 is just not hot");
        assert_eq!(best(0.83, &peers), Some(2), "83 of 100 is");
        assert_eq!(best(1.0, &peers), Some(1), "nobody is hot: the latency alone");
        assert_eq!(best(0.0, &peers), Some(2), "everybody is hot: the jobs alone");
        assert_eq!(best(0.5, &peers[..2]), Some(0), "all are hot");
    }

    #[test]
    fn a_peer_that_does_not_tell_its_latency_counts_as_the_mean() {
        let peers = [peer(5, None), peer(5, Some(10)), peer(5, Some(40))];
        assert_eq!(best(0.84, &peers), Some(1));
        assert_eq!(best(0.84, &[peers[0], peers[2], peer(5, Some(60))]), Some(1), "50 ms");
        assert_eq!(
            best(0.84, &[peer(5, None), peer(3, None)]),
            Some(1),
            "nobody tells: fewer jobs"
        );
    }
}
