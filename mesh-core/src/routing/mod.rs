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
mod policy;
mod settings;
mod shortlist;
mod signal;

pub use self::built_in::{BUILT_IN, DEFAULT_POLICY, built_in};
pub use self::candidate::{Candidate, Known};
pub use self::description::{DispatchRule, ParameterConflict, PolicyDescription};
pub use self::eligible::Eligible;
pub use self::event::{FailureReason, Interests, LoadSource, PolicyEvent, RefusalReason};
pub use self::factory::{PolicyFactory, PolicyNeeds};
pub use self::policy::{MAX_OWN_PROBES, Policy};
pub use self::settings::{PolicyError, PolicySettings};
pub use self::shortlist::{MAX_CHOICES, Picks, Shortlist};
pub use self::signal::Signal;
use crate::seed::Rng;

/// Position of the least item. Among several that are equally little, one is drawn, all equally
/// likely.
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
