//! The pool of probe results, for policies that probe peers although no request waits for it.

use std::collections::VecDeque;
use std::time::Duration;

use super::observed::ObservedPeer;
use super::{Eligible, MAX_OWN_PROBES, Picks};
use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::Name;
use crate::roster::PeerId;
use crate::seed::Rng;
use crate::time::Timestamp;

pub(super) const POOL_SIZE: Parameter = Parameter {
    name: "pool_size",
    summary: "With signal pool: how many results of probes are kept; at most of a quarter of the peers and two for each slot of a peer, or four.",
    kind: ParameterKind::Count { default: 16, min: 2, max: 64 },
};
pub(super) const MAX_AGE_MS: Parameter = Parameter {
    name: "max_age_ms",
    summary: "With signal pool: for how many milliseconds a result is of use.",
    kind: ParameterKind::Number { default: 1_000.0, min: 1.0, max: 3_600_000.0 },
};
pub(super) const PROBES_PER_JOB: Parameter = Parameter {
    name: "probes_per_job",
    summary: "With signal pool: how many peers are probed for each job that is sent.",
    kind: ParameterKind::Number { default: 3.0, min: 0.0, max: 8.0 },
};
pub(super) const REMOVALS_PER_JOB: Parameter = Parameter {
    name: "removals_per_job",
    summary: "With signal pool: how many results are dropped for each job, by turns the oldest and the worst.",
    kind: ParameterKind::Number { default: 1.0, min: 0.0, max: 8.0 },
};
pub(super) const DELTA: Parameter = Parameter {
    name: "delta",
    summary: "With signal pool: how much more often results are used than a steady pool demands.",
    kind: ParameterKind::Number { default: 1.0, min: 0.0, max: 100.0 },
};
pub(super) const MAX_REUSE: Parameter = Parameter {
    name: "max_reuse",
    summary: "With signal pool: the most jobs that are sent on one result.",
    kind: ParameterKind::Count { default: 16, min: 1, max: 1_000 },
};

/// A pool is not made smaller than this because there are few peers.
const SMALL_POOL: usize = 4;

/// How a pool is kept: the asynchronous mode of Prequal (Wydrowski et al., "Load is not what you
/// should balance", NSDI 2024, section 4).
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolSettings {
    size: usize,
    max_age: Duration,
    probes: f64,
    removals: f64,
    delta: f64,
    max_reuse: f64,
}

impl PoolSettings {
    /// What the parameters of a policy are set to.
    pub(super) fn of(values: &ParameterValues) -> Self {
        Self {
            size: values.count(&POOL_SIZE) as usize,
            max_age: Duration::from_secs_f64(values.number(&MAX_AGE_MS) / 1e3),
            probes: values.number(&PROBES_PER_JOB),
            removals: values.number(&REMOVALS_PER_JOB),
            delta: values.number(&DELTA),
            max_reuse: values.count(&MAX_REUSE) as f64,
        }
    }

    /// How many results are kept of `peers` peers, which run up to `slots` jobs each.
    ///
    /// Where as many agents send as there are peers, a result of each peer is in as many pools as
    /// each pool has results. If a peer is the best one, all of these agents send it a job before
    /// they learn of each other's. So a larger pool makes a larger herd, and the more probes, the
    /// more often. The paper's pool has 16 of 100 servers, each of which runs some seven jobs at once.
    pub(super) fn size(&self, peers: usize, slots: usize) -> usize {
        self.size.min((peers / 4).min(slots.saturating_mul(2)).max(SMALL_POOL))
    }

    /// How many jobs are sent on one result, of `peers` peers:
    /// `max(1, (1 + delta) / ((1 - size / peers) x probes - removals))`.
    ///
    /// Where the pool can't be kept full so, the denominator is not positive, and the cap counts.
    pub(super) fn reuse(&self, peers: usize, slots: usize) -> f64 {
        let fresh = 1.0 - self.size(peers, slots) as f64 / peers.max(1) as f64;
        let surplus = fresh * self.probes - self.removals;
        let reuse = if surplus > 0.0 { (1.0 + self.delta) / surplus } else { self.max_reuse };
        reuse.clamp(1.0, self.max_reuse.max(1.0))
    }
}

/// The results of probes that a choice may be made on, the oldest first; one per peer. And the
/// probes that are to be sent.
///
/// For each choice, some random peers are probed; the choice itself is made on results of earlier
/// probes. A result is dropped when it is too old, when it has been used often enough, when the
/// pool is full and it is the oldest, or when its turn to be removed comes.
#[derive(Debug)]
pub(super) struct ProbePool {
    settings: PoolSettings,
    entries: Vec<PooledResult>,
    /// Peers that are to be probed.
    wanted: VecDeque<(PeerId, Name)>,
    /// Peers that were probed and have not answered yet.
    asked: Vec<(PeerId, Name)>,
    /// What is left of fractions: so 1.5 probes per job are 1 and 2 by turns.
    probes_due: f64,
    removals_due: f64,
    worst_goes_next: bool,
    /// How many peers the last choice was among.
    peers: usize,
}

#[derive(Clone, Debug)]
struct PooledResult {
    observed: ObservedPeer,
    name: Name,
    received: Timestamp,
    /// For how many more jobs it may be used; `None`: not drawn yet.
    uses_left: Option<u32>,
}

/// A result that a choice may be made on, as the pool offers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferedResult {
    /// What the peer said, and what this agent did since.
    pub(super) observed: ObservedPeer,
    /// The peer's number among the eligible ones.
    pub(super) number: usize,
    /// How old the result is.
    pub(super) age: Duration,
}

impl ProbePool {
    pub(super) fn new(settings: PoolSettings) -> Self {
        Self {
            settings,
            entries: Vec::new(),
            wanted: VecDeque::new(),
            asked: Vec::new(),
            probes_due: 0.0,
            removals_due: 0.0,
            worst_goes_next: false,
            peers: 0,
        }
    }

    /// How many results are kept.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The results of eligible peers that are young enough. Drops those that are too old.
    pub(super) fn offer(&mut self, now: Timestamp, eligible: &Eligible<'_>) -> Vec<OfferedResult> {
        self.peers = eligible.len();
        let max_age = self.settings.max_age;
        self.entries.retain(|entry| now.since(entry.received) <= max_age);
        let offers = self.entries.iter().filter_map(|entry| {
            let number = eligible.find(&entry.name, entry.observed.peer)?;
            let age = now.since(entry.received);
            Some(OfferedResult { observed: entry.observed, number, age })
        });
        offers.collect()
    }

    /// The job goes to this peer: it has one more job in flight. With `on_result`, the choice was
    /// made on its result, which is used up after a number of times.
    pub(super) fn chosen(&mut self, peer: PeerId, on_result: bool, rng: &mut Rng) {
        let slots = self.slots();
        let Some(at) = self.entries.iter().position(|entry| entry.observed.peer == peer) else {
            return;
        };
        let entry = &mut self.entries[at];
        entry.observed.in_flight = entry.observed.in_flight.saturating_add(1);
        if !on_result {
            return;
        }
        let uses = entry.uses_left.unwrap_or_else(|| {
            // Rounded at random, so that 1.3 uses are 1.3 in the mean.
            let reuse = self.settings.reuse(self.peers, slots);
            let whole = reuse.floor();
            whole as u32 + u32::from(rng.unit() < reuse - whole)
        });
        match uses {
            0 | 1 => drop(self.entries.remove(at)),
            more => entry.uses_left = Some(more - 1),
        }
    }

    /// Removes as many results as a job demands. `worst` finds the worst one's position.
    pub(super) fn remove(&mut self, mut worst: impl FnMut(&[ObservedPeer]) -> usize) {
        self.removals_due += self.settings.removals;
        while self.removals_due >= 1.0 {
            self.removals_due -= 1.0;
            if !self.entries.is_empty() {
                let at = if self.worst_goes_next {
                    let observed: Vec<ObservedPeer> =
                        self.entries.iter().map(|entry| entry.observed).collect();
                    worst(&observed)
                } else {
                    0
                };
                self.entries.remove(at);
            }
            self.worst_goes_next = !self.worst_goes_next;
        }
    }

    /// Draws the peers that are probed for this job.
    pub(super) fn want_probes(&mut self, eligible: &Eligible<'_>, rng: &mut Rng) {
        self.probes_due += self.settings.probes;
        let count = self.probes_due.floor();
        self.probes_due -= count;
        for number in Picks::sample(count as usize, eligible.len(), rng).as_slice() {
            if let Some(lease) = eligible.get(*number) {
                self.wanted.push_back((lease.id(), lease.name.clone()));
            }
        }
        // While peers are silent, no more probes may be under way; those of old jobs are not made
        // up for.
        let too_many = self.wanted.len().saturating_sub(MAX_OWN_PROBES);
        self.wanted.drain(..too_many);
    }

    /// The number of the next peer to probe.
    pub(super) fn next_probe(&mut self, eligible: &Eligible<'_>) -> Option<usize> {
        while let Some((peer, name)) = self.wanted.pop_front() {
            if let Some(number) = eligible.find(&name, peer) {
                self.asked.push((peer, name));
                return Some(number);
            }
        }
        None
    }

    /// A probe was answered.
    pub(super) fn answered(&mut self, now: Timestamp, observed: ObservedPeer) {
        let Some(name) = self.take_asked(observed.peer) else { return };
        self.entries.retain(|entry| entry.observed.peer != observed.peer);
        self.entries.push(PooledResult { observed, name, received: now, uses_left: None });
        let room = self.settings.size(self.peers, self.slots());
        let too_many = self.entries.len().saturating_sub(room);
        self.entries.drain(..too_many);
    }

    /// A probe failed.
    pub(super) fn failed(&mut self, peer: PeerId) {
        self.take_asked(peer);
    }

    /// Changes what is known of a peer, if there is a result of it.
    pub(super) fn change(&mut self, peer: PeerId, change: impl FnOnce(&mut ObservedPeer)) {
        let mut entries = self.entries.iter_mut().map(|entry| &mut entry.observed);
        if let Some(observed) = entries.find(|observed| observed.peer == peer) {
            change(observed);
        }
    }

    /// A peer has left the list.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.entries.retain(|entry| entry.observed.peer != peer);
        self.asked.retain(|(asked, _)| *asked != peer);
        self.wanted.retain(|(wanted, _)| *wanted != peer);
    }

    /// How many jobs the peers run at once, by the results: those that run the most. A peer that
    /// says nothing of it may run any number.
    fn slots(&self) -> usize {
        let slots = self.entries.iter().map(|entry| entry.observed.slots);
        slots.map(|slots| slots.map_or(usize::MAX, |slots| slots as usize)).max().unwrap_or(0)
    }

    fn take_asked(&mut self, peer: PeerId) -> Option<Name> {
        let at = self.asked.iter().position(|(asked, _)| *asked == peer)?;
        Some(self.asked.remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_used_as_often_as_a_steady_pool_demands() {
        let settings = PoolSettings {
            size: 16,
            max_age: Duration::from_secs(1),
            probes: 3.0,
            removals: 1.0,
            delta: 1.0,
            max_reuse: 16.0,
        };
        // The paper's: 2 / (0.84 x 3 - 1).
        let many = usize::MAX;
        assert!((settings.reuse(100, many) - 2.0 / 1.52).abs() < 1e-12);
        let sizes = [(100, many), (24, many), (3, many), (100, 7), (100, 1), (100, 0)];
        let sizes = sizes.map(|(peers, slots)| settings.size(peers, slots));
        assert_eq!(sizes, [16, 6, 4, 14, 4, 4]);
        assert_eq!(settings.reuse(8, many), 4.0, "2 / (0.5 x 3 - 1)");
        assert_eq!(settings.reuse(4, many), 16.0, "the pool is as large as the mesh");
        let few = PoolSettings { probes: 1.0, ..settings };
        assert_eq!(few.reuse(100, many), 16.0, "more is removed than comes in");
        let often = PoolSettings { probes: 8.0, ..settings };
        assert_eq!(often.reuse(1_000, many), 1.0, "never less than once");
    }
}
