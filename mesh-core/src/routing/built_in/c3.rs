//! C3: expected response time, with long queues counted by their cube.

use std::time::Duration;

use crate::hash::{HashTable, TableEntry};
use crate::parameter::{Parameter, ParameterKind};
use crate::roster::PeerId;
use crate::routing::observed::{COMPARED, ObservedPeer, ObservingPolicy, PeerRule};
use crate::routing::probe_pool::{
    DELTA, MAX_AGE_MS, MAX_REUSE, POOL_SIZE, PROBES_PER_JOB, REMOVALS_PER_JOB,
};
use crate::routing::signal::{POOL_SIGNAL, signal_of};
use crate::routing::{PolicyDescription, PolicyEvent, PolicyNeeds, total_order};
use crate::time::Timestamp;

const CLIENTS: Parameter = Parameter {
    name: "clients",
    summary: "How many agents send jobs to the same peers; 0: as many as there are peers.",
    kind: ParameterKind::Count { default: 0, min: 0, max: 1_000_000 },
};
const EWMA_WEIGHT: Parameter = Parameter {
    name: "ewma_weight",
    summary: "Weight of the newest of the times and queues that are averaged.",
    kind: ParameterKind::Number { default: 0.9, min: 0.01, max: 1.0 },
};

/// [`C3`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "c3",
    summary: "The probed peer with the least response time plus the cube of its queue.",
    parameters: &[
        POOL_SIGNAL,
        COMPARED,
        CLIENTS,
        EWMA_WEIGHT,
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
        let rule = C3 {
            clients: values.count(&CLIENTS) as u32,
            weight: values.number(&EWMA_WEIGHT),
            ..C3::default()
        };
        ObservingPolicy::new(values, Duration::ZERO, rule)
    },
};

/// Ranks peers by `R - s + q^3 x s` (Suresh et al., "C3: cutting tail latency in cloud data
/// stores", NSDI 2015). `R` is the mean response time of this agent's jobs at the peer, `s` the
/// mean time that a job takes there once it has begun, and `q = 1 + outstanding x clients + jobs in
/// flight` the queue that the job may find: whatever this agent has sent and not got back, the
/// other clients may have sent as well. All means weigh the newest value with `ewma_weight`.
///
/// `R` of a peer that never answered is 0, and its `s` is the mean of the others: so it is tried.
#[derive(Debug, Default)]
struct C3 {
    /// 0: as many as there are peers.
    clients: u32,
    weight: f64,
    /// Peers in the list now.
    listed: u32,
    peers: HashTable<C3Peer>,
    unknown_secs: f64,
}

/// What is remembered of a peer.
#[derive(Clone, Copy, Debug)]
struct C3Peer {
    peer: PeerId,
    outstanding: u32,
    /// Means in seconds, and of jobs in flight; negative if there is none yet.
    response_secs: f64,
    service_secs: f64,
    queue: f64,
}

impl TableEntry for C3Peer {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, outstanding: 0, response_secs: -1.0, service_secs: -1.0, queue: -1.0 }
    }
}

impl C3 {
    /// The mean after one more value.
    fn mean(&self, mean: f64, value: f64) -> f64 {
        if mean < 0.0 { value } else { self.weight * value + (1.0 - self.weight) * mean }
    }

    fn change(&mut self, peer: PeerId, change: impl FnOnce(&Self, &mut C3Peer)) {
        let mut entry = *self.peers.get_or_new(peer);
        change(self, &mut entry);
        *self.peers.get_or_new(peer) = entry;
    }

    /// A job at the peer is over.
    fn ended(&mut self, peer: PeerId) {
        self.change(peer, |_, entry| entry.outstanding = entry.outstanding.saturating_sub(1));
    }
}

impl PeerRule for C3 {
    const JOBS: bool = true;

    fn survey(&mut self, peers: &[ObservedPeer]) {
        let known = peers.iter().filter_map(|peer| self.peers.get(peer.peer));
        let (count, sum) = known
            .filter(|entry| entry.service_secs >= 0.0)
            .fold((0.0, 0.0), |(count, sum), entry| (count + 1.0, sum + entry.service_secs));
        // If no peer tells it, only the queues count.
        self.unknown_secs = if count > 0.0 { sum / count } else { 1.0 };
    }

    fn rank(&self, peer: &ObservedPeer) -> [i64; 3] {
        let entry = self.peers.get(peer.peer).copied().unwrap_or_else(|| C3Peer::new(peer.peer));
        let clients = if self.clients == 0 { self.listed.max(1) } else { self.clients };
        let queue = if entry.queue < 0.0 { f64::from(peer.in_flight) } else { entry.queue };
        let q = 1.0 + f64::from(entry.outstanding) * f64::from(clients) + queue;
        let service = if entry.service_secs < 0.0 { self.unknown_secs } else { entry.service_secs };
        let score = entry.response_secs.max(0.0) - service + q * q * q * service;
        [total_order(score), 0, 0]
    }

    fn learn(&mut self, _now: Timestamp, event: &PolicyEvent<'_>) {
        match *event {
            PolicyEvent::Sent { peer, .. } => self.change(peer, |_, entry| entry.outstanding += 1),
            PolicyEvent::Answered { peer, elapsed, .. } => {
                self.ended(peer);
                self.change(peer, |c3, entry| {
                    entry.response_secs = c3.mean(entry.response_secs, elapsed.as_secs_f64());
                });
            }
            PolicyEvent::Failed { peer, .. }
            | PolicyEvent::Refused { peer, .. }
            | PolicyEvent::Cancelled { peer, .. } => self.ended(peer),
            PolicyEvent::Load { peer, load, service, .. } => self.change(peer, |c3, entry| {
                entry.queue = c3.mean(entry.queue, load.in_flight.into());
                if let Some(time) = service.and_then(|service| service.service_time) {
                    entry.service_secs = c3.mean(entry.service_secs, time.as_secs_f64());
                }
            }),
            PolicyEvent::Joined { .. } => self.listed += 1,
            PolicyEvent::Left { peer, .. } => {
                self.listed = self.listed.saturating_sub(1);
                self.peers.remove(peer);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{LoadReport, ServiceReport};
    use crate::routing::JobOutline;
    use crate::routing::LoadSource;

    fn told(rule: &mut C3, name: &str, in_flight: u32, service_ms: u64) -> ObservedPeer {
        let service_time = Some(Duration::from_millis(service_ms));
        let service = ServiceReport { service_time, ..ServiceReport::default() };
        let load = LoadReport { in_flight, ..LoadReport::default() };
        let source = LoadSource::Probe { round_trip: Duration::ZERO };
        let peer = PeerId::new(name, "h:1", 1);
        let event = PolicyEvent::Load { peer, load, service: Some(&service), source };
        rule.learn(Timestamp::ZERO, &event);
        ObservedPeer {
            peer,
            in_flight,
            expected: None,
            service_time,
            slots: None,
            is_avoided: false,
        }
    }

    #[test]
    fn the_score_is_that_of_the_paper() {
        let mut rule = C3 { clients: 10, weight: 0.9, ..C3::default() };
        let peer = told(&mut rule, "a", 2, 100);
        let now = Timestamp::ZERO;
        for ms in [200, 100] {
            rule.learn(now, &PolicyEvent::Sent { peer: peer.peer, job: JobOutline::default() });
            let (elapsed, at_peer) = (Duration::from_millis(ms), Duration::ZERO);
            rule.learn(
                now,
                &PolicyEvent::Answered {
                    peer: peer.peer,
                    job: JobOutline::default(),
                    elapsed,
                    at_peer,
                },
            );
        }
        rule.learn(now, &PolicyEvent::Sent { peer: peer.peer, job: JobOutline::default() });
        // R = .9 x 100 + .1 x 200 = 110 ms, q = 1 + 1 x 10 + 2 = 13.
        let score: f64 = 0.11 - 0.1 + 13.0 * 13.0 * 13.0 * 0.1;
        assert!((rule.rank(&peer)[0] - total_order(score)).abs() < 8, "rounding");
    }

    #[test]
    fn a_queue_counts_by_its_cube() {
        let mut rule = C3 { clients: 1, weight: 0.9, ..C3::default() };
        // At four times the speed a queue may be 4^(1/3) = 1.59 times as long.
        let slow = told(&mut rule, "slow", 9, 400);
        for (in_flight, is_better) in [(14, true), (15, false)] {
            let mut rule =
                C3 { peers: rule.peers.clone(), clients: 1, weight: 0.9, ..C3::default() };
            let fast = told(&mut rule, "fast", in_flight, 100);
            rule.survey(&[slow, fast]);
            assert_eq!(rule.rank(&fast) < rule.rank(&slow), is_better, "{in_flight}");
        }
    }
}
