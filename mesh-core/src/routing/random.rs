use super::{Candidate, Picks, Policy, Shortlist, Signal};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct Random;

impl Policy for Random {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn shortlist(&mut self, eligible: usize, rng: &mut Rng) -> Shortlist {
        Shortlist::Some(Picks::one(rng.index(eligible)))
    }

    fn choose(&mut self, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
    }
}
