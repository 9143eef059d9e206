//! Policies that rank peers by what probes say of them, and the two ways in which they get it.

use std::fmt;
use std::time::Duration;

use super::probe_pool::{PoolSettings, ProbePool};
use super::signal::signal_of;
use super::{
    Candidate, ChoiceBasis, DispatchRule, Eligible, FailureReason, Interests, LoadSource, Picks,
    Policy, PolicyEvent, RefusalReason, Shortlist, Signal, least_by_key,
};
use crate::hash::{HashTable, TableEntry};
use crate::load::{LoadReport, ServiceReport};
use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::Task;
use crate::roster::PeerId;
use crate::seed::Rng;
use crate::time::Timestamp;

pub(super) const COMPARED: Parameter = Parameter {
    name: "compared",
    summary: "With signal probes: how many random peers are compared; 0: all.",
    kind: ParameterKind::Count { default: 3, min: 0, max: super::MAX_CHOICES as u64 },
};

/// The rule of theory of a policy that takes the peer with the fewest jobs of those that it compares.
pub(super) fn fewest_jobs(values: &ParameterValues) -> Option<DispatchRule> {
    let is_fresh = signal_of(values) == Signal::Probes;
    is_fresh.then(|| match values.count(&COMPARED) as usize {
        0 => DispatchRule::ShortestOfAll,
        compared => DispatchRule::ShortestOf(compared),
    })
}

/// What is known of a peer when a [`PeerRule`] ranks it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ObservedPeer {
    pub(super) peer: PeerId,
    /// Its jobs in flight when it answered, and those that this agent has sent it since.
    pub(super) in_flight: u32,
    /// As in [`ServiceReport`].
    pub(super) expected: Option<Duration>,
    /// As in [`ServiceReport`].
    pub(super) service_time: Option<Duration>,
    /// As in [`ServiceReport`].
    pub(super) slots: Option<u32>,
    /// Whether it has failed a job lately: then it ranks behind all others.
    pub(super) is_avoided: bool,
}

impl ObservedPeer {
    fn new(peer: PeerId, load: &LoadReport, service: Option<&ServiceReport>) -> Self {
        Self {
            peer,
            in_flight: load.in_flight,
            expected: service.and_then(|service| service.expected),
            service_time: service.and_then(|service| service.service_time),
            slots: service.and_then(|service| service.slots),
            is_avoided: false,
        }
    }
}

/// The mean of the durations that are known, in seconds; `None` if none is.
pub(super) fn mean_secs(known: impl Iterator<Item = Option<Duration>>) -> Option<f64> {
    let (count, sum) = known
        .flatten()
        .fold((0.0, 0.0), |(count, sum), time| (count + 1.0, sum + time.as_secs_f64()));
    (count > 0.0).then_some(sum / count)
}

/// A rule that ranks peers by what they say of their load and of their jobs.
pub(super) trait PeerRule: fmt::Debug + Send {
    /// Whether [`Self::learn`] is told what becomes of jobs.
    const JOBS: bool = false;

    /// Looks at all peers of a choice before they are ranked one by one.
    fn survey(&mut self, _peers: &[ObservedPeer]) {}

    /// The rank of a peer: the job goes to the peer of the least rank. Of equal ones, one is drawn.
    fn rank(&self, peer: &ObservedPeer) -> [i64; 3];

    /// Something has happened that the rule may want to remember. A peer that has left must be
    /// forgotten.
    fn learn(&mut self, _now: Timestamp, _event: &PolicyEvent<'_>) {}
}

/// A policy that ranks peers by a rule, with what it knows of them from a pool of probe results
/// or from probes that the request waits for.
///
/// Without a result of two peers, the pool can't compare any, and the job goes to a random peer.
#[derive(Debug)]
pub(super) struct ObservingPolicy<R> {
    rule: R,
    signal: Signal,
    choices: usize,
    /// `None` unless the signal is a pool.
    pool: Option<ProbePool>,
    /// What the peers said of their jobs: for choices that are made on candidates, which only have
    /// the load.
    services: HashTable<KnownService>,
    /// For how long a peer that has failed a job ranks behind all others.
    aversion: Duration,
    avoided: Vec<(PeerId, Timestamp)>,
    /// What the last choice from the pool rested on.
    basis: ChoiceBasis,
}

#[derive(Debug)]
struct KnownService {
    peer: PeerId,
    service: ServiceReport,
}

impl TableEntry for KnownService {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, service: ServiceReport::default() }
    }
}

impl<R: PeerRule + 'static> ObservingPolicy<R> {
    /// The policy with these parameters: `signal`, `compared` and those of a pool.
    pub(super) fn new(values: &ParameterValues, aversion: Duration, rule: R) -> Box<Self> {
        let signal = signal_of(values);
        let pool = (signal == Signal::None).then(|| ProbePool::new(PoolSettings::of(values)));
        Box::new(Self {
            rule,
            signal,
            choices: values.count(&COMPARED) as usize,
            pool,
            services: HashTable::default(),
            aversion,
            avoided: Vec::new(),
            basis: ChoiceBasis::Rule,
        })
    }

    /// The position of the best peer.
    fn best(&mut self, peers: &[ObservedPeer], rng: &mut Rng) -> usize {
        self.rule.survey(peers);
        least_by_key(peers, rng, |peer| (peer.is_avoided, self.rule.rank(peer)))
    }

    fn observe(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        load: &LoadReport,
        service: Option<&ServiceReport>,
    ) -> ObservedPeer {
        self.avoided.retain(|(_, until)| *until > now);
        let is_avoided = self.avoided.iter().any(|(avoided, _)| *avoided == peer);
        ObservedPeer { is_avoided, ..ObservedPeer::new(peer, load, service) }
    }

    /// The peer has failed a job for a reason that is its own.
    fn avoid(&mut self, now: Timestamp, peer: PeerId) {
        if self.aversion.is_zero() {
            return;
        }
        self.avoided.retain(|(avoided, until)| *avoided != peer && *until > now);
        self.avoided.push((peer, now + self.aversion));
        if let Some(pool) = &mut self.pool {
            pool.change(peer, |observed| observed.is_avoided = true);
        }
    }

    fn choose_from_pool(
        &mut self,
        now: Timestamp,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> usize {
        let Some(pool) = &mut self.pool else { return 0 };
        let offers = pool.offer(now, eligible);
        let on_result = offers.len() >= 2;
        let number = if on_result {
            let observed: Vec<ObservedPeer> = offers.iter().map(|offer| offer.observed).collect();
            let best = offers[self.best(&observed, rng)];
            self.basis = ChoiceBasis::Kept { age: best.age };
            best.number
        } else {
            self.basis = ChoiceBasis::Chance;
            rng.index(eligible.len())
        };
        let Self { pool: Some(pool), rule, .. } = self else { return number };
        if let Some(lease) = eligible.get(number) {
            pool.chosen(lease.id(), on_result, rng);
        }
        pool.remove(|peers| {
            rule.survey(peers);
            let ranks = peers.iter().map(|peer| (peer.is_avoided, rule.rank(peer)));
            // The first of equal ones is the oldest.
            let worst = ranks.enumerate().rev().max_by_key(|(_, rank)| *rank);
            worst.map_or(0, |(at, _)| at)
        });
        pool.want_probes(eligible, rng);
        number
    }
}

impl<R: PeerRule + 'static> Policy for ObservingPolicy<R> {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn interests(&self) -> Interests {
        Interests {
            jobs: R::JOBS || !self.aversion.is_zero(),
            probes: true,
            service: true,
            members: true,
            own_probes: self.pool.is_some(),
            ..Interests::NONE
        }
    }

    fn shortlist(
        &mut self,
        now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        if self.pool.is_some() {
            return Shortlist::Some(Picks::one(self.choose_from_pool(now, eligible, rng)));
        }
        match self.choices {
            0 => Shortlist::All,
            choices => Shortlist::Some(Picks::sample(choices, eligible.len(), rng)),
        }
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let mut observed = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let service = self.services.get(candidate.peer()).map(|known| known.service);
            let load = candidate.load_or_idle();
            observed.push(self.observe(now, candidate.peer(), load, service.as_ref()));
        }
        self.best(&observed, rng)
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        self.rule.learn(now, event);
        match *event {
            PolicyEvent::Load { peer, load, service, source: LoadSource::Probe { .. } } => {
                let observed = self.observe(now, peer, &load, service);
                match (&mut self.pool, service) {
                    (Some(pool), _) => pool.answered(now, observed),
                    (None, Some(service)) => self.services.get_or_new(peer).service = *service,
                    (None, None) => {}
                }
            }
            PolicyEvent::ProbeFailed { peer, .. } => {
                self.pool.iter_mut().for_each(|pool| pool.failed(peer));
            }
            PolicyEvent::Left { peer, .. } => {
                self.pool.iter_mut().for_each(|pool| pool.forget(peer));
                self.services.remove(peer);
                self.avoided.retain(|(avoided, _)| *avoided != peer);
            }
            // A full peer and one that is silent show in their loads and latencies.
            PolicyEvent::Failed {
                peer,
                reason: FailureReason::Error | FailureReason::NotSent,
                ..
            }
            | PolicyEvent::Refused {
                peer,
                reason: RefusalReason::Unavailable | RefusalReason::ShuttingDown,
                ..
            } => self.avoid(now, peer),
            _ => {}
        }
    }

    fn poll_probe(
        &mut self,
        _now: Timestamp,
        eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Option<usize> {
        self.pool.as_mut()?.next_probe(eligible)
    }

    fn basis(&self) -> ChoiceBasis {
        self.basis
    }

    fn pool_size(&self) -> Option<usize> {
        self.pool.as_ref().map(ProbePool::len)
    }
}
