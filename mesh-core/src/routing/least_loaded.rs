use super::{Candidate, Policy, Shortlist, Signal, least_by};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct LeastLoaded {
    pub(super) signal: Signal,
}

impl Policy for LeastLoaded {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn shortlist(&mut self, _eligible: usize, _rng: &mut Rng) -> Shortlist {
        Shortlist::All
    }

    fn choose(&mut self, candidates: &[Candidate], rng: &mut Rng) -> usize {
        least_by(candidates, rng, |a, b| {
            let cpu = a.load.cpu_percent.total_cmp(&b.load.cpu_percent);
            let memory = || a.load.memory_percent.total_cmp(&b.load.memory_percent);
            cpu.then_with(memory).then_with(|| a.latency.cmp(&b.latency))
        })
    }
}
