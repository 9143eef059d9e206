//! The built-in policies, one file each.
//!
//! To add one, write its file with its [`PolicyDescription`], and list it here.

mod affinity;
mod c3;
mod gmsr;
mod join_idle_queue;
mod least_expected_work;
mod least_loaded;
mod least_request;
mod linear;
mod load_interpretation;
mod peak_ewma;
mod power_of_two;
mod prequal;
mod pull;
mod random;
mod round_robin;
mod score;
mod shortest_queue;
mod weighted;
mod weighted_round_robin;

use super::PolicyDescription;

/// Every built-in policy, in the order in which they are shown.
pub const BUILT_IN: &[&PolicyDescription] = &[
    &random::DESCRIPTION,
    &round_robin::DESCRIPTION,
    &least_loaded::DESCRIPTION,
    &weighted::DESCRIPTION,
    &power_of_two::DESCRIPTION,
    &shortest_queue::DESCRIPTION,
    &least_request::DESCRIPTION,
    &peak_ewma::DESCRIPTION,
    &least_expected_work::DESCRIPTION,
    &affinity::DESCRIPTION,
    &score::DESCRIPTION,
    &weighted_round_robin::DESCRIPTION,
    &prequal::DESCRIPTION,
    &c3::DESCRIPTION,
    &linear::DESCRIPTION,
    &gmsr::DESCRIPTION,
    &load_interpretation::DESCRIPTION,
    &join_idle_queue::DESCRIPTION,
    &pull::DESCRIPTION,
];

/// The policy of agents whose configuration names none. In the simulations of `docs/policies.md` it
/// is never far from the best, and it needs nothing of a peer but its jobs in flight.
pub const DEFAULT_POLICY: &PolicyDescription = &power_of_two::DESCRIPTION;

/// The policies to begin a comparison with, because they differ much: by chance and in turn, which
/// need to know nothing; two peers that are asked, and all of them; and jobs that wait until an agent
/// has room.
pub const STARTER_POLICIES: [&PolicyDescription; 5] = [
    &random::DESCRIPTION,
    &round_robin::DESCRIPTION,
    &power_of_two::DESCRIPTION,
    &shortest_queue::DESCRIPTION,
    &pull::DESCRIPTION,
];

/// The built-in policy of this name, if there is one.
pub fn built_in(name: &str) -> Option<&'static PolicyDescription> {
    BUILT_IN.iter().copied().find(|description| description.name == name)
}
