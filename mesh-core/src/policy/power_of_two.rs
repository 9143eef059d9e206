use super::{Candidate, Picks, Policy, Shortlist, Signal, least_by};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct PowerOfTwo {
    pub(super) choices: usize,
    pub(super) signal: Signal,
}

impl PowerOfTwo {
    fn in_flight(&self, candidate: &Candidate) -> u32 {
        match self.signal {
            Signal::OwnCounters => candidate.outstanding,
            _ => candidate.load.in_flight,
        }
    }
}

impl Policy for PowerOfTwo {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(&mut self, eligible: usize, rng: &mut Rng) -> Shortlist {
        Shortlist::Some(Picks::sample(self.choices.max(1), eligible, rng))
    }

    fn choose(&mut self, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by(candidates, rng, |a, b| self.in_flight(a).cmp(&self.in_flight(b)))
    }
}
