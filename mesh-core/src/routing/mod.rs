//! Routing: which peer gets a job.
//!
//! A [`Policy`] chooses; a [`PolicyFactory`] builds one for each agent. `built_in` has the built-in
//! policies, one file each. A retry budget and whatever else protects delegations under every
//! policy is not here but in `resilience`.
//!
//! One choice goes like this: the agent tells the policy which peers are [`Eligible`]; the policy
//! narrows them to a [`Shortlist`]; the agent learns what the policy's [`Signal`] demands of those;
//! and the policy chooses among them as [`Candidate`]s.

mod built_in;
mod candidate;
mod description;
mod eligible;
mod event;
mod factory;
mod observed;
mod policy;
mod probe_pool;
mod settings;
mod shortlist;
mod signal;
mod slot_book;
mod slots;
mod weights;

pub use self::built_in::{BUILT_IN, DEFAULT_POLICY, STARTER_POLICIES, built_in};
pub use self::candidate::{Candidate, Known};
pub(crate) use self::candidate::{LATENCY_BITS, MAX_LATENCY_NS};
pub use self::description::{DispatchRule, ParameterConflict, PolicyDescription};
pub use self::eligible::Eligible;
pub use self::event::{
    FailureReason, Interests, JobOutline, LoadSource, PolicyEvent, RefusalReason,
};
pub use self::factory::{PolicyFactory, PolicyNeeds};
pub use self::policy::{ChoiceBasis, MAX_OWN_PROBES, Policy};
pub use self::settings::{PolicyError, PolicySettings};
pub use self::shortlist::{MAX_CHOICES, Picks, Shortlist};
pub use self::signal::Signal;
pub use self::slots::{HeldJobs, MAX_SLOT_ASKS, SlotRequest};
use std::cmp::Ordering;

use crate::seed::Rng;

/// Position of the candidate with the least key. Among several with equal keys, one is drawn, all
/// equally likely.
fn least_by_key<T, K: Ord>(candidates: &[T], rng: &mut Rng, key: impl Fn(&T) -> K) -> usize {
    let mut keys = candidates.iter().map(key).enumerate();
    let Some((mut best, mut least)) = keys.next() else { return 0 };
    let mut ties = 1;
    for (position, key) in keys {
        match key.cmp(&least) {
            Ordering::Less => (best, least, ties) = (position, key, 1),
            Ordering::Greater => {}
            // Reservoir sampling: the k-th of k equals replaces the pick with probability 1/k.
            Ordering::Equal => {
                ties += 1;
                if rng.index(ties) == 0 {
                    best = position;
                }
            }
        }
    }
    best
}

/// An integer for each number, in the order of [`f64::total_cmp`].
const fn total_order(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    // As integers, the bits of negative numbers are in the reverse order: invert all but the sign.
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[cfg(test)]
mod tests;
