use super::{Candidate, Picks, Policy, Shortlist, Signal};
use crate::seed::Rng;

#[derive(Debug)]
pub(super) struct RoundRobin {
    cursor: u64,
}

impl RoundRobin {
    pub(super) fn starting_at(cursor: u64) -> Self {
        Self { cursor }
    }
}

impl Policy for RoundRobin {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn shortlist(&mut self, eligible: usize, _rng: &mut Rng) -> Shortlist {
        let position = (self.cursor % eligible as u64) as usize;
        self.cursor = self.cursor.wrapping_add(1);
        Shortlist::Some(Picks::one(position))
    }

    fn choose(&mut self, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
    }
}
