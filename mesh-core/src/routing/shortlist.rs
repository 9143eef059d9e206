//! The peers that a policy finds worth learning more of.

use crate::seed::Rng;

/// The most peers that a [`Shortlist`] may name.
pub const MAX_CHOICES: usize = 8;

/// Which of the eligible peers (numbered from 0) a choice is made among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortlist {
    /// Every eligible peer.
    All,
    /// These ones, all different.
    Some(Picks),
}

/// Up to [`MAX_CHOICES`] different positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picks {
    positions: [usize; MAX_CHOICES],
    len: usize,
}

impl Picks {
    /// Just this one.
    pub fn one(position: usize) -> Self {
        let mut positions = [0; MAX_CHOICES];
        positions[0] = position;
        Self { positions, len: 1 }
    }

    /// `count` different positions below `len`, uniformly (Floyd's algorithm); all if `len` is
    /// smaller than `count`.
    pub fn sample(count: usize, len: usize, rng: &mut Rng) -> Self {
        let count = count.min(len).min(MAX_CHOICES);
        let mut picks = Self { positions: [0; MAX_CHOICES], len: 0 };
        for last in len - count..len {
            let drawn = rng.index(last + 1);
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
