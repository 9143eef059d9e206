//! The least work under way, in the time that it is expected to take.

use std::time::Duration;

use smallvec::SmallVec;

use crate::hash::{HashTable, TableEntry};
use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::Name;
use crate::roster::PeerId;
use crate::routing::{
    Candidate, Interests, JobOutline, Policy, PolicyDescription, PolicyEvent, PolicyNeeds, Signal,
    least_by_key, total_order,
};
use crate::seed::Rng;
use crate::time::{Timestamp, nanos};

const UNKNOWN: Parameter = Parameter {
    name: "unknown_ms",
    summary: "The time in ms that a job is expected to take as long as no job was answered.",
    kind: ParameterKind::Number { default: 1_000.0, min: 0.001, max: 86_400_000.0 },
};

/// The most kinds of jobs whose times are learned one by one; further kinds count as one. Callers
/// may name any number of kinds.
const MAX_KINDS: usize = 64;
/// The share of a new time in the mean.
const SHARE_OF_NEW: f64 = 0.1;

/// [`LeastExpectedWork`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "least_expected_work",
    summary: "The peer whose jobs of this agent are expected to take the least time in all.",
    parameters: &[UNKNOWN],
    needs: |_| PolicyNeeds { signal: Signal::OwnCounters, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| Box::new(LeastExpectedWork::new(values)),
};

/// Compares all peers by the sum of the times that their jobs of this agent are expected to take. A
/// long job keeps further jobs away, where a count takes it for one like the others; this is "least
/// work left" (Harchol-Balter, "Performance Modeling and Design of Computer Systems", 2013, chapter
/// 24) without knowledge of what is done already.
///
/// A job is expected to take the CPU time and the wait that its caller declares. If it declares
/// neither, it takes the mean time of the jobs of its kind, which is the skill that it demands or
/// the method that it calls: a moving average of the times from sending to answer. Of jobs that
/// shared their peer with others of this agent, only the first few count, as long as nothing better
/// is known, because they may have waited for the others. A kind that is not known takes the mean
/// of all.
#[derive(Debug)]
struct LeastExpectedWork {
    /// Seconds.
    unknown_secs: f64,
    peers: HashTable<PeerWork>,
    /// The first is that of all jobs together, and of kinds beyond [`MAX_KINDS`].
    kinds: Vec<KindTime>,
}

/// How long jobs of a kind take.
#[derive(Debug, Default)]
struct KindTime {
    name: Option<Name>,
    /// The mean in seconds; `None` before the first answer.
    mean: Option<f64>,
    /// Whether it is of jobs that were alone at their peers.
    is_clean: bool,
}

impl KindTime {
    fn add(&mut self, secs: f64, is_clean: bool) {
        self.mean = match self.mean {
            Some(mean) if self.is_clean == is_clean => Some(mean + SHARE_OF_NEW * (secs - mean)),
            // What is better known is not mixed with what is not.
            Some(mean) if self.is_clean => Some(mean),
            _ => Some(secs),
        };
        self.is_clean |= is_clean;
    }
}

/// The jobs of this agent at one peer that have not ended.
#[derive(Debug)]
struct PeerWork {
    peer: PeerId,
    /// The sum of the times that callers have declared, in nanoseconds.
    declared_ns: u64,
    /// How many of the other jobs there are, by the position of their kind.
    undeclared: SmallVec<[(u8, u32); 2]>,
    jobs: u32,
    /// Whether the only job has been alone from its beginning.
    is_alone: bool,
}

impl TableEntry for PeerWork {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, declared_ns: 0, undeclared: SmallVec::new(), jobs: 0, is_alone: false }
    }
}

impl LeastExpectedWork {
    fn new(values: &ParameterValues) -> Self {
        Self {
            unknown_secs: values.number(&UNKNOWN) / 1_000.0,
            peers: HashTable::default(),
            kinds: vec![KindTime::default()],
        }
    }

    /// The position of a kind, which is added if there is room.
    fn kind(&mut self, name: Option<&Name>) -> usize {
        let Some(name) = name else { return 0 };
        let found = self.kinds.iter().position(|kind| kind.name.as_ref() == Some(name));
        found.unwrap_or_else(|| {
            if self.kinds.len() > MAX_KINDS {
                return 0;
            }
            self.kinds.push(KindTime { name: Some(name.clone()), ..KindTime::default() });
            self.kinds.len() - 1
        })
    }

    /// How long a job of a kind takes, in seconds.
    fn mean(&self, kind: usize) -> f64 {
        self.kinds[kind].mean.or(self.kinds[0].mean).unwrap_or(self.unknown_secs)
    }

    /// How long all jobs of this agent at a peer take, in seconds.
    fn work(&self, peer: PeerId) -> f64 {
        let Some(work) = self.peers.get(peer) else { return 0.0 };
        let undeclared = work.undeclared.iter();
        let undeclared: f64 =
            undeclared.map(|(kind, jobs)| f64::from(*jobs) * self.mean(usize::from(*kind))).sum();
        Duration::from_nanos(work.declared_ns).as_secs_f64() + undeclared
    }

    fn sent(&mut self, peer: PeerId, job: JobOutline<'_>) {
        let kind = self.kind(job.kind) as u8;
        let work = self.peers.get_or_new(peer);
        work.is_alone = work.jobs == 0;
        work.jobs += 1;
        match (job.declared, work.undeclared.iter_mut().find(|(known, _)| *known == kind)) {
            (Some(time), _) => work.declared_ns = work.declared_ns.saturating_add(nanos(time)),
            (None, Some((_, jobs))) => *jobs += 1,
            (None, None) => work.undeclared.push((kind, 1)),
        }
    }

    /// A job has ended; it was answered after this time, or not.
    fn ended(&mut self, peer: PeerId, job: JobOutline<'_>, answered: Option<Duration>) {
        let kind = self.kind(job.kind);
        let Some(work) = self.peers.get_mut(peer) else { return };
        let is_clean = work.is_alone;
        work.jobs = work.jobs.saturating_sub(1);
        let same = |(known, _): &&mut (u8, u32)| usize::from(*known) == kind;
        match (job.declared, work.undeclared.iter_mut().find(same)) {
            (Some(time), _) => work.declared_ns = work.declared_ns.saturating_sub(nanos(time)),
            (None, Some((_, jobs))) => *jobs = jobs.saturating_sub(1),
            (None, None) => {}
        }
        work.undeclared.retain(|(_, jobs)| *jobs > 0);
        if work.jobs == 0 {
            self.peers.remove(peer);
        }
        // Of a job whose time is declared nothing need be learned.
        if let Some(time) = answered.filter(|_| job.declared.is_none()) {
            self.kinds[0].add(time.as_secs_f64(), is_clean);
            if kind > 0 {
                self.kinds[kind].add(time.as_secs_f64(), is_clean);
            }
        }
    }
}

impl Policy for LeastExpectedWork {
    fn signal(&self) -> Signal {
        Signal::OwnCounters
    }

    fn interests(&self) -> Interests {
        Interests { jobs: true, members: true, ..Interests::NONE }
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by_key(candidates, rng, |candidate| {
            // Most peers have no job of this agent.
            let is_idle = candidate.outstanding() == 0;
            total_order(if is_idle { 0.0 } else { self.work(candidate.peer()) })
        })
    }

    fn on_event(&mut self, _now: Timestamp, event: &PolicyEvent<'_>) {
        match *event {
            PolicyEvent::Sent { peer, job } => self.sent(peer, job),
            PolicyEvent::Answered { peer, job, elapsed, .. } => {
                self.ended(peer, job, Some(elapsed));
            }
            PolicyEvent::Refused { peer, job, .. }
            | PolicyEvent::Failed { peer, job, .. }
            | PolicyEvent::Cancelled { peer, job, .. } => self.ended(peer, job, None),
            PolicyEvent::Left { peer, .. } => {
                self.peers.remove(peer);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seed::Seed;

    fn policy() -> LeastExpectedWork {
        LeastExpectedWork::new(&ParameterValues::defaults(DESCRIPTION.parameters))
    }

    fn peer(number: usize) -> PeerId {
        PeerId::new(&format!("agent-{number}"), "h:1", 1)
    }

    fn declared(ms: u64) -> JobOutline<'static> {
        JobOutline { kind: None, declared: Some(Duration::from_millis(ms)) }
    }

    fn choose(policy: &mut LeastExpectedWork, jobs: [u32; 2]) -> usize {
        let candidates = [0, 1].map(|at| Candidate::unknown(peer(at)).with_outstanding(jobs[at]));
        policy.choose(Timestamp::ZERO, &candidates, &mut Seed::root(1).rng())
    }

    #[test]
    fn one_long_job_is_more_than_three_short_ones() {
        let mut policy = policy();
        policy.sent(peer(0), declared(1_000));
        (0..3).for_each(|_| policy.sent(peer(1), declared(300)));
        assert_eq!(choose(&mut policy, [1, 3]), 1);
        policy.sent(peer(1), declared(300));
        assert_eq!(choose(&mut policy, [1, 4]), 0);
    }

    #[test]
    fn times_of_kinds_are_learned_from_jobs_that_were_alone() {
        let mut policy = policy();
        let (long, short): (Name, Name) = ("long".into(), "short".into());
        let job = |name| JobOutline { kind: Some(name), declared: None };
        assert_eq!(policy.mean(0), 1.0, "nothing is known");
        for (kind, alone, behind) in [(&long, 4, 9), (&short, 1, 6)] {
            policy.sent(peer(0), job(kind));
            policy.sent(peer(0), job(kind));
            policy.ended(peer(0), job(kind), Some(Duration::from_secs(behind)));
            policy.ended(peer(0), job(kind), Some(Duration::from_secs(behind)));
            policy.sent(peer(0), job(kind));
            policy.ended(peer(0), job(kind), Some(Duration::from_secs(alone)));
        }
        policy.sent(peer(0), job(&long));
        (0..3).for_each(|_| policy.sent(peer(1), job(&short)));
        assert_eq!((policy.work(peer(0)), policy.work(peer(1))), (4.0, 3.0));
        assert_eq!(choose(&mut policy, [1, 3]), 1);
    }

    #[test]
    fn kinds_beyond_the_limit_count_as_one() {
        let mut policy = policy();
        for number in 0..2 * MAX_KINDS {
            let name: Name = number.to_string().into();
            let job = JobOutline { kind: Some(&name), declared: None };
            policy.sent(peer(0), job);
            policy.ended(peer(0), job, Some(Duration::from_secs(1)));
        }
        assert_eq!(policy.kinds.len(), MAX_KINDS + 1);
        assert!(policy.peers.is_empty());
    }

    proptest! {
        /// Whatever begins and ends in whatever order, the sums are those of what is there.
        #[test]
        fn sums_are_those_of_the_open_jobs(
            steps in prop::collection::vec((0usize..4, 1u64..50, any::<bool>()), 0..200),
        ) {
            let mut policy = policy();
            let mut open: Vec<(usize, u64)> = Vec::new();
            for (at, ms, begins) in steps {
                if begins || open.is_empty() {
                    policy.sent(peer(at), declared(ms));
                    open.push((at, ms));
                } else {
                    let (at, ms) = open.swap_remove(ms as usize % open.len());
                    policy.ended(peer(at), declared(ms), (ms % 2 == 0).then_some(Duration::ZERO));
                }
                for at in 0..4 {
                    let sum: u64 = open.iter().filter(|job| job.0 == at).map(|job| job.1).sum();
                    prop_assert_eq!(policy.work(peer(at)), Duration::from_millis(sum).as_secs_f64());
                }
            }
        }
    }
}
