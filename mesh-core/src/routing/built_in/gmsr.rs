//! The greatest marginal service rate: the fastest peer with a free slot.

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

const SLOTS: Parameter = Parameter {
    name: "slots",
    summary: "How many jobs a peer that names no limit does at full speed: its cores.",
    kind: ParameterKind::Count { default: 4, min: 1, max: 1_000_000 },
};

/// [`Gmsr`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "gmsr",
    summary: "The fastest probed peer with a free slot; else the one with the fewest waiting jobs.",
    parameters: &[
        POOL_SIGNAL,
        COMPARED,
        SLOTS,
        POOL_SIZE,
        MAX_AGE_MS,
        PROBES_PER_JOB,
        REMOVALS_PER_JOB,
        DELTA,
        MAX_REUSE,
    ],
    needs: |values| PolicyNeeds { signal: signal_of(values), utilisation: false },
    conflict: PolicyDescription::no_conflict,
    // Of servers with one slot. There a free one has no job, so it has the fewest.
    dispatch: fewest_jobs,
    build: |values, _| {
        let slots = values.count(&SLOTS) as u32;
        ObservingPolicy::new(values, Duration::ZERO, Gmsr { slots, unknown_secs: 0.0 })
    },
};

/// Sends each job to where it raises the rate of service most ("greatest marginal service rate",
/// arXiv 2411.17103). The rate of a peer with c slots rises by its speed with each job up to c, and
/// not at all beyond. So a peer with a free slot comes before all others, and among them the one
/// whose jobs take the least time from start to end. If no slot is free, the job goes to the peer
/// with the least jobs beyond its slots. Ties go to fewer jobs in flight.
///
/// The paper's servers know their rates. Here the speed is what a peer says of its last jobs; of a
/// peer that does not tell it, the mean of the others.
#[derive(Debug)]
struct Gmsr {
    /// The slots of a peer that does not tell how many it has.
    slots: u32,
    unknown_secs: f64,
}

impl PeerRule for Gmsr {
    fn survey(&mut self, peers: &[ObservedPeer]) {
        self.unknown_secs = mean_secs(peers.iter().map(|peer| peer.service_time)).unwrap_or(0.0);
    }

    fn rank(&self, peer: &ObservedPeer) -> [i64; 3] {
        let slots = peer.slots.unwrap_or(self.slots);
        let in_flight = i64::from(peer.in_flight);
        if peer.in_flight < slots {
            let secs = peer.service_time.map_or(self.unknown_secs, |time| time.as_secs_f64());
            return [0, total_order(secs), in_flight];
        }
        [1, in_flight - i64::from(slots), in_flight]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::PeerId;

    #[test]
    fn the_fastest_free_peer_first_then_the_least_excess() {
        let peer = |ms: u64, in_flight, slots| ObservedPeer {
            peer: PeerId::new("a", "h:1", 1),
            in_flight,
            expected: None,
            service_time: (ms > 0).then(|| Duration::from_millis(ms)),
            slots,
            is_avoided: false,
        };
        let best = |peers: &[ObservedPeer]| {
            let mut rule = Gmsr { slots: 4, unknown_secs: 0.0 };
            rule.survey(peers);
            (0..peers.len()).min_by_key(|at| rule.rank(&peers[*at]))
        };
        let fast_full = peer(10, 2, Some(2));
        let slow_free = peer(90, 3, None);
        assert_eq!(best(&[fast_full, slow_free]), Some(1), "a free slot of four");
        assert_eq!(best(&[peer(50, 3, None), peer(40, 3, None), fast_full]), Some(1));
        // The peer that says nothing counts as fast as the others are in the mean: 65 ms.
        assert_eq!(best(&[peer(0, 0, None), peer(40, 3, None), slow_free]), Some(1));
        assert_eq!(best(&[peer(0, 0, None), peer(90, 0, None), peer(80, 0, None)]), Some(2));
        assert_eq!(best(&[peer(10, 7, Some(2)), peer(90, 8, None)]), Some(1), "4 beyond, not 5");
        assert_eq!(best(&[peer(10, 6, Some(2)), peer(90, 5, Some(1))]), Some(1), "fewer jobs");
    }
}
