//! Shortlists: the peers that a policy wants to know more of before it chooses.

use crate::seed::Rng;

/// The most peers that a [`Shortlist`] may name one by one.
pub const MAX_CHOICES: usize = 8;

/// Which of the eligible peers, numbered from 0, a choice is made among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortlist {
    /// Every eligible peer.
    All,
    /// These peers, by their numbers.
    Some(Picks),
    /// Nobody for now. The job waits at the agent, behind those that came before it, until the policy
    /// [may place](super::Policy::may_place) it or its deadline passes. Only for policies whose
    /// [interests](super::Interests::slots) include free slots.
    Hold,
}

/// Up to [`MAX_CHOICES`] different numbers of eligible peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picks {
    positions: [usize; MAX_CHOICES],
    len: usize,
}

impl Picks {
    /// Nobody yet; peers must be added.
    pub const fn none() -> Self {
        Self { positions: [0; MAX_CHOICES], len: 0 }
    }

    /// Adds a peer, unless it is among them already or they are [`MAX_CHOICES`].
    pub fn add(&mut self, position: usize) {
        if self.len < MAX_CHOICES && !self.as_slice().contains(&position) {
            self.positions[self.len] = position;
            self.len += 1;
        }
    }

    /// This peer alone.
    pub fn one(position: usize) -> Self {
        let mut positions = [0; MAX_CHOICES];
        positions[0] = position;
        Self { positions, len: 1 }
    }

    /// Draws `count` different positions below `len`, every set of them equally likely (Floyd's
    /// algorithm); all positions if `len` is smaller than `count`.
    pub fn sample(count: usize, len: usize, rng: &mut Rng) -> Self {
        let count = count.min(len).min(MAX_CHOICES);
        let mut picks = Self::none();
        for last in len - count..len {
            let drawn = rng.index(last + 1);
            // If it was drawn before, `last` is taken, which no earlier draw could reach.
            let position = if picks.as_slice().contains(&drawn) { last } else { drawn };
            picks.positions[picks.len] = position;
            picks.len += 1;
        }
        picks
    }

    /// The positions.
    pub fn as_slice(&self) -> &[usize] {
        &self.positions[..self.len]
    }
}
