use super::{Candidate, Picks, Policy, Shortlist, Signal, least_by};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct PowerOfTwo {
    pub(super) choices: usize,
    pub(super) signal: Signal,
}

impl Policy for PowerOfTwo {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(&mut self, eligible: usize, rng: &mut Rng) -> Shortlist {
        Shortlist::Some(Picks::sample(self.choices.max(1), eligible, rng))
    }

    fn choose(&mut self, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let in_flight = |candidate: &Candidate| candidate.in_flight(self.signal);
        least_by(candidates, rng, |a, b| in_flight(a).cmp(&in_flight(b)))
    }
}
