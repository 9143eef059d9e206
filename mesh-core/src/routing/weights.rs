//! Weights: how much work each peer can do, for policies that send some peers more jobs than
//! others. And the parameters `weights` and `bias`, which such policies share.

use std::time::Duration;

use super::{Candidate, Eligible, Interests, ParameterConflict, Picks, PolicyEvent};
use crate::hash::{HashTable, TableEntry};
use crate::parameter::{Parameter, ParameterKind, ParameterValues, Word};
use crate::roster::PeerId;
use crate::seed::Rng;
use crate::time::Timestamp;

const NONE: Word = Word { name: "none", summary: "All peers are the same." };
const DECLARED: Word = Word { name: "declared", summary: "The `weight` that each peer declares." };
const LEARNED: Word = Word {
    name: "learned",
    summary: "How many jobs the peer answers per second that they are there.",
};

/// The parameter of policies that may send some peers more jobs than others.
pub(super) const WEIGHTS: Parameter = Parameter {
    name: "weights",
    summary: "How much work each peer can do, relative to the others.",
    kind: ParameterKind::Word { default: NONE.name, words: &[NONE, DECLARED, LEARNED] },
};

/// The parameter of policies that weigh weights against jobs in flight.
pub(super) const BIAS: Parameter = Parameter {
    name: "bias",
    summary: "With weights: how much jobs in flight count; 0 is not at all.",
    kind: ParameterKind::Number { default: 1.0, min: 0.0, max: 10.0 },
};

/// Finds a `bias` that nothing comes of.
pub(super) fn bias_without_weights(values: &ParameterValues) -> Option<ParameterConflict> {
    let is_idle = values.word(&WEIGHTS) == NONE.name && values.number(&BIAS) != 1.0;
    is_idle.then_some(ParameterConflict {
        parameter: BIAS.name,
        problem: "without weights, `bias` changes nothing",
        expected: "expected `weights` as well",
    })
}

/// Draws that may fail before all weights are added up instead.
const TRIES: u32 = 16;
/// Memory of answers and failures fades by a factor of e in this many seconds.
const MEMORY_SECS: f64 = 10.0;
/// The greatest learned weight is looked for again after this long. A peer whose weight has risen
/// above it counts as if it had not, until then.
const GREATEST_KEPT: Duration = Duration::from_millis(100);
/// Learned weights are between 1 / this and this.
const MAX_LEARNED: f64 = 100.0;

/// The weights of an agent's peers.
#[derive(Debug)]
pub(super) enum PeerWeights {
    /// All are 1.
    Equal,
    /// Those that the peers declare, which the list has.
    Declared,
    /// Those that the agent learns.
    Learned(Box<LearnedWeights>),
}

impl PeerWeights {
    /// What the parameter `weights` is set to.
    pub(super) fn of(values: &ParameterValues) -> Self {
        match values.word(&WEIGHTS) {
            word if word == DECLARED.name => Self::Declared,
            word if word == LEARNED.name => Self::Learned(Box::default()),
            _ => Self::Equal,
        }
    }

    /// Whether all peers are the same.
    pub(super) const fn are_equal(&self) -> bool {
        matches!(self, Self::Equal)
    }

    /// What the policy must ask to be told.
    pub(super) const fn interests(&self) -> Interests {
        match self {
            Self::Equal | Self::Declared => Interests::NONE,
            Self::Learned(_) => Interests { jobs: true, members: true, ..Interests::NONE },
        }
    }

    /// Learns from an event.
    pub(super) fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        if let Self::Learned(learned) = self {
            learned.on_event(now, event);
        }
    }

    /// The weight of a candidate.
    pub(super) fn weight(&self, now: Timestamp, candidate: &Candidate) -> f64 {
        match self {
            Self::Equal => 1.0,
            Self::Declared => candidate.weight().get(),
            Self::Learned(learned) => learned.weight(now, candidate.peer()),
        }
    }

    /// What makes a peer with so many jobs in flight worth choosing, the least first: the inverse
    /// of weight / (jobs + 1)^bias.
    pub(super) fn cost(&self, now: Timestamp, candidate: &Candidate, jobs: u32, bias: f64) -> f64 {
        let jobs = f64::from(jobs) + 1.0;
        let jobs = if bias == 1.0 { jobs } else { libm::pow(jobs, bias) };
        jobs / self.weight(now, candidate)
    }

    /// Draws different peers, at most `count`, one after the other: each with odds in proportion to
    /// its weight among those that are not drawn yet.
    pub(super) fn sample(
        &mut self,
        now: Timestamp,
        count: usize,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Picks {
        if self.are_equal() {
            return Picks::sample(count, eligible.len(), rng);
        }
        let mut picks = Picks::none();
        for _ in 0..count.min(eligible.len()) {
            let number = self.draw(now, eligible, &picks, rng);
            picks.add(number);
        }
        picks
    }

    /// Draws one peer that is not among `drawn`.
    pub(super) fn draw(
        &mut self,
        now: Timestamp,
        eligible: &Eligible<'_>,
        drawn: &Picks,
        rng: &mut Rng,
    ) -> usize {
        let greatest = match self {
            Self::Learned(learned) => learned.greatest(now),
            _ => 1.0,
        };
        let is_free = |number: &usize| !drawn.as_slice().contains(number);
        for _ in 0..TRIES {
            let number = match self {
                Self::Equal => Some(rng.index(eligible.len())),
                Self::Declared => eligible.draw_declared(rng),
                Self::Learned(learned) => {
                    let number = rng.index(eligible.len());
                    let peer = eligible.get(number).map(|lease| lease.id());
                    let weight = peer.map_or(1.0, |peer| learned.weight(now, peer));
                    (rng.unit() * greatest < weight).then_some(number)
                }
            };
            if let Some(number) = number.filter(is_free) {
                return number;
            }
        }
        self.draw_from_sum(now, eligible, drawn, rng)
    }

    /// As [`Self::draw`], in time in proportion to the number of peers. Whether the draws before
    /// failed says nothing of the peers, so the odds are the same.
    fn draw_from_sum(
        &self,
        now: Timestamp,
        eligible: &Eligible<'_>,
        drawn: &Picks,
        rng: &mut Rng,
    ) -> usize {
        let weight = |number: usize| match (self, eligible.get(number)) {
            _ if drawn.as_slice().contains(&number) => 0.0,
            (Self::Declared, Some(lease)) => lease.profile.weight().get(),
            (Self::Learned(learned), Some(lease)) => learned.weight(now, lease.id()),
            _ => 1.0,
        };
        let weights: Vec<f64> = (0..eligible.len()).map(weight).collect();
        let mut left = rng.unit() * weights.iter().sum::<f64>();
        let mut last = 0;
        for (number, weight) in weights.into_iter().enumerate().filter(|(_, weight)| *weight > 0.0)
        {
            if left < weight {
                return number;
            }
            left -= weight;
            last = number;
        }
        // Only rounding leads here.
        last
    }
}

/// Weights that an agent learns: how many jobs a peer answers per second that a job of this agent
/// is there, relative to the mean of all peers.
///
/// A job that takes a second of which half is in the peer's queue counts like one that takes a
/// second of work, so a peer that is given too much loses weight. If shares of the jobs are in
/// proportion to the weights and each peer is one server, the weights settle at the peers' speeds:
/// jobs take 1 / (mu - lambda), and shares lambda in proportion to mu - lambda are in proportion to
/// mu.
///
/// A job that was not done counts as no answer, and as at least the mean time of a job. Memory fades
/// with a time constant of 10 s. One job with the mean time is added to each peer's, so that a peer
/// that was not called for long has the mean weight again, as one that was never called.
///
/// [`Random`]: https://en.wikipedia.org/wiki/Little%27s_law
#[derive(Debug, Default)]
pub(super) struct LearnedWeights {
    peers: HashTable<AnswerRate>,
    all: Answers,
    /// The greatest weight of all, and until when it is not looked for again.
    greatest: f64,
    greatest_until: Timestamp,
}

/// What an agent remembers of the answers of one peer.
#[derive(Debug)]
struct AnswerRate {
    peer: PeerId,
    answers: Answers,
}

/// Answers, and the time that jobs were there; both fade.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    count: f64,
    /// Seconds.
    time: f64,
    /// When they were as they are here.
    at: Timestamp,
}

impl Answers {
    /// What is left of them at a later time.
    fn at(self, now: Timestamp) -> Self {
        let fade = libm::exp(-now.since(self.at).as_secs_f64() / MEMORY_SECS);
        Self { count: self.count * fade, time: self.time * fade, at: now }
    }

    fn add(&mut self, now: Timestamp, count: f64, time: f64) {
        *self = self.at(now);
        self.count += count;
        self.time += time;
    }

    /// Jobs per second; `None` if there were none.
    fn rate(self) -> Option<f64> {
        (self.count > 0.0 && self.time > 0.0).then(|| self.count / self.time)
    }
}

impl TableEntry for AnswerRate {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, answers: Answers::default() }
    }
}

impl LearnedWeights {
    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        let (peer, count, elapsed) = match *event {
            PolicyEvent::Answered { peer, elapsed, .. } => (peer, 1.0, elapsed),
            PolicyEvent::Refused { peer, elapsed, .. }
            | PolicyEvent::Failed { peer, elapsed, .. }
            | PolicyEvent::Cancelled { peer, elapsed, .. } => (peer, 0.0, elapsed),
            PolicyEvent::Left { peer, .. } => {
                self.peers.remove(peer);
                return;
            }
            _ => return,
        };
        let least = self.all.rate().map_or(0.0, |rate| (1.0 - count) / rate);
        let time = elapsed.as_secs_f64().max(least);
        self.all.add(now, count, time);
        self.peers.get_or_new(peer).answers.add(now, count, time);
    }

    /// The weight of a peer: 1 is the mean.
    fn weight(&self, now: Timestamp, peer: PeerId) -> f64 {
        let known = self.peers.get(peer).zip(self.all.rate());
        known.map_or(1.0, |(known, rate)| Self::relative(known.answers.at(now), rate))
    }

    fn relative(answers: Answers, rate: f64) -> f64 {
        let weight = (answers.count + 1.0) / (answers.time * rate + 1.0);
        weight.clamp(1.0 / MAX_LEARNED, MAX_LEARNED)
    }

    /// The greatest weight of any peer.
    fn greatest(&mut self, now: Timestamp) -> f64 {
        if self.greatest_until <= now {
            self.greatest_until = now + GREATEST_KEPT;
            // The order in which the table is gone through does not matter.
            let rate = self.all.rate().unwrap_or(1.0);
            let weights =
                self.peers.iter().map(|known| Self::relative(known.answers.at(now), rate));
            self.greatest = weights.fold(1.0, f64::max);
        }
        self.greatest
    }
}
