//! Randomness as a tree: one root seed, children drawn by label.
//!
//! Each stream (arrivals, service demands, routing of `agent-7` ...) has a generator of its own, so
//! that one more draw in one stream never moves another. ChaCha and SHA-256 are defined bit by bit,
//! so a seed means the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use sha2::{Digest, Sha256};

/// A node of the seed tree: 256 bits, from which a generator or further nodes are made.
///
/// A run has one root. Each part of it (an agent, the workload, a fault) takes a child of its own
/// by label, so that one more draw in one part leaves all others as they were.
///
/// ```
/// use mesh_core::seed::Seed;
///
/// let root = Seed::root(42);
/// let mut routing = root.child("agent-7").child("routing").rng();
/// let peer = routing.index(10);
/// assert_eq!(peer, root.child("agent-7").child("routing").rng().index(10), "it is repeatable");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root of the tree for a seed that a person gave as a number.
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

    /// A generator that draws from this node, from its beginning.
    pub fn rng(&self) -> Rng {
        Rng(ChaCha8Rng::from_seed(self.0))
    }

    /// A generator with the same draws as [`Self::rng`], for agents that rarely draw: small,
    /// because there may be 100,000 of them.
    pub fn sparse_rng(&self) -> SparseRng {
        SparseRng { seed: self.clone(), drawn: 0 }
    }

    /// A number for a library that takes its seed as a `u64` (turmoil, proptest).
    pub fn number(&self) -> u64 {
        self.rng().next_u64()
    }
}

/// A generator of 40 bytes, where [`Rng`] has 330. It pays with time: each draw computes a whole
/// ChaCha block anew, where [`Rng`] keeps the rest of the block for the next draws.
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
        assert!(len > 0, "the length is 0: there is no index below it");
        self.below(len as u64) as usize
    }

    /// A uniform whole number below `end`, as [`Self::index`]; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
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
