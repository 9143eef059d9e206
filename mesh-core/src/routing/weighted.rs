use super::{Candidate, Policy, Shortlist, Signal, least_by};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct Weighted {
    pub(super) cpu_weight: f64,
    pub(super) latency_weight: f64,
    pub(super) signal: Signal,
}

impl Weighted {
    fn cost(&self, candidate: &Candidate) -> f64 {
        self.cpu_weight * candidate.load.cpu_percent
            + self.latency_weight * candidate.latency.as_secs_f64() * 1_000.0
    }
}

impl Policy for Weighted {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(&mut self, _eligible: usize, _rng: &mut Rng) -> Shortlist {
        Shortlist::All
    }

    fn choose(&mut self, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by(candidates, rng, |a, b| self.cost(a).total_cmp(&self.cost(b)))
    }
}
