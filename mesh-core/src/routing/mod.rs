//! Routing policies: which peer gets the job.
//!
//! A policy declares the [`Signal`] it needs; the agent obtains it. First the policy narrows the
//! eligible peers to a [`Shortlist`], then the agent learns the load of those alone (by probing
//! them, from their last reports, or from its own counters), and last the policy chooses one.

mod built_in;
mod description;
mod eligible;
mod factory;
mod settings;
mod signal;

use std::fmt;
use std::time::Duration;

pub use self::built_in::{BUILT_IN, DEFAULT_POLICY, built_in};
pub use self::description::{DispatchRule, ParameterConflict, PolicyDescription};
pub use self::eligible::Eligible;
pub use self::factory::{PolicyFactory, PolicyNeeds};
pub use self::settings::{PolicyError, PolicySettings};
use crate::load::LoadReport;
use crate::seed::Rng;

/// The most peers that a [`Shortlist`] may name.
pub const MAX_CHOICES: usize = 8;

/// What a policy wants to know of the peers on its shortlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing.
    None,
    /// How many of this agent's own calls each peer has not answered yet.
    OwnCounters,
    /// A fresh `info` answer, whose round trip the request waits for.
    Probes,
    /// The last report that the registry listed, as old as the heartbeat and the refresh make it.
    Reports,
}

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
    fn sample(count: usize, len: usize, rng: &mut Rng) -> Self {
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

/// What is known of one peer on the shortlist. Fields that the policy's signal does not cover hold
/// the last value known, or zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Candidate {
    /// The peer's report.
    pub load: LoadReport,
    /// This agent's own calls that the peer has not answered yet.
    pub outstanding: u32,
    /// The last round trip measured to the peer.
    pub latency: Duration,
}

impl Candidate {
    /// Jobs in flight as `signal` counts them: this agent's own calls, or all that the peer holds.
    fn in_flight(&self, signal: Signal) -> u32 {
        match signal {
            Signal::OwnCounters => self.outstanding,
            _ => self.load.in_flight,
        }
    }
}

/// A routing policy: one per delegating agent.
pub trait Policy: fmt::Debug + Send {
    /// What it needs to know.
    fn signal(&self) -> Signal;

    /// Narrows `eligible` peers, at least one, to those worth asking.
    fn shortlist(&mut self, eligible: usize, rng: &mut Rng) -> Shortlist;

    /// Position of the best of `candidates`, at least one. Equal ones are drawn from `rng`.
    fn choose(&mut self, candidates: &[Candidate], rng: &mut Rng) -> usize;
}

/// Position of the least item; equal ones are drawn uniformly.
fn least_by<T>(
    items: &[T],
    rng: &mut Rng,
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> usize {
    let mut best = 0;
    let mut ties = 1;
    for position in 1..items.len() {
        match compare(&items[position], &items[best]) {
            std::cmp::Ordering::Less => (best, ties) = (position, 1),
            std::cmp::Ordering::Greater => {}
            // Reservoir sampling: the k-th of k equals replaces the pick with probability 1/k.
            std::cmp::Ordering::Equal => {
                ties += 1;
                if rng.index(ties) == 0 {
                    best = position;
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests;
