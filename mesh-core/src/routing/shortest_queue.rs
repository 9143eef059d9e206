use super::{Candidate, Policy, Shortlist, Signal, least_by};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct ShortestQueue {
    pub(super) signal: Signal,
}

impl Policy for ShortestQueue {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(&mut self, _eligible: usize, _rng: &mut Rng) -> Shortlist {
        Shortlist::All
    }

    fn choose(&mut self, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let in_flight = |candidate: &Candidate| candidate.in_flight(self.signal);
        least_by(candidates, rng, |a, b| in_flight(a).cmp(&in_flight(b)))
    }
}
