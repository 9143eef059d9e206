//! Randomness as a tree: one root seed, children drawn by label.
//!
//! Each stream (arrivals, service demands, routing of `agent-7` ...) has a generator of its own, so
//! that one more draw in one stream never moves another. ChaCha and SHA-256 are defined bit by bit,
//! so a seed means the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use sha2::{Digest, Sha256};

/// A node of the seed tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root of the tree for a number that a person typed.
    pub fn root(seed: u64) -> Self {
        Self(Sha256::digest(seed.to_le_bytes()).into())
    }

    /// The child with this label. Labels of siblings must differ.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(label.as_bytes());
        Self(hash.finalize().into())
    }

    /// A generator for this node.
    pub fn rng(&self) -> Rng {
        Rng(ChaCha8Rng::from_seed(self.0))
    }

    /// The same draws as those of [`Self::rng`], for who draws seldom and is many.
    pub fn sparse_rng(&self) -> SparseRng {
        SparseRng { seed: self.clone(), drawn: 0 }
    }

    /// A number for a library that takes its seed as one (turmoil, proptest).
    pub fn number(&self) -> u64 {
        self.rng().next_u64()
    }
}

/// A generator in 40 bytes in place of 330, which computes a whole block for each draw.
#[derive(Clone, Debug)]
pub struct SparseRng {
    seed: Seed,
    drawn: u64,
}

impl SparseRng {
    /// A uniform index below `len`, as [`Rng::index`].
    ///
    /// # Panics
    /// If `len` is zero.
    pub fn index(&mut self, len: usize) -> usize {
        const WORDS_PER_DRAW: u128 = 2;
        let mut rng = self.seed.rng();
        rng.0.set_word_pos(u128::from(self.drawn) * WORDS_PER_DRAW);
        self.drawn += 1;
        rng.index(len)
    }
}

/// A seeded generator whose draws are the same on every machine and version.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform index below `len` (Lemire's multiply-shift; its bias is below `len` / 2^64).
    ///
    /// # Panics
    /// If `len` is zero.
    pub fn index(&mut self, len: usize) -> usize {
        assert!(len > 0, "no index below zero");
        ((u128::from(self.next_u64()) * len as u128) >> 64) as usize
    }

    /// A uniform number in [0, 1), with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * SCALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut rng = Seed::root(42).child("arrivals").rng();
        assert_eq!(rng.next_u64(), 9_803_561_943_331_632_038);
    }

    #[test]
    fn more_draws_on_one_stream_do_not_move_another() {
        let root = Seed::root(7);
        let mut a = root.child("a").rng();
        let first = root.child("b").rng().next_u64();
        a.next_u64();
        assert_eq!(root.child("b").rng().next_u64(), first);
        assert_ne!(root.child("a").rng().next_u64(), first);
    }

    #[test]
    fn sparse_draws_are_the_same() {
        let seed = Seed::root(3);
        let (mut rng, mut sparse) = (seed.rng(), seed.sparse_rng());
        for draw in 0..1000 {
            assert_eq!(sparse.index(1 << 40), rng.index(1 << 40), "draw {draw}");
        }
    }

    #[test]
    fn index_and_unit_stay_in_range() {
        let mut rng = Seed::root(1).rng();
        for len in 1..100 {
            assert!(rng.index(len) < len);
            assert!((0.0..1.0).contains(&rng.unit()));
        }
    }
}
