//! The built-in policies, one file each.
//!
//! To add one, write its file with its [`PolicyDescription`], and list it here.

mod c3;
mod gmsr;
mod least_loaded;
mod linear;
mod load_interpretation;
mod power_of_two;
mod prequal;
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
    &score::DESCRIPTION,
    &weighted_round_robin::DESCRIPTION,
    &prequal::DESCRIPTION,
    &c3::DESCRIPTION,
    &linear::DESCRIPTION,
    &gmsr::DESCRIPTION,
    &load_interpretation::DESCRIPTION,
];

/// The policy of agents whose configuration names none: the rule of the Python demo that the mesh
/// grew out of.
pub const DEFAULT_POLICY: &PolicyDescription = &least_loaded::DESCRIPTION;

/// The built-in policy of this name, if there is one.
pub fn built_in(name: &str) -> Option<&'static PolicyDescription> {
    BUILT_IN.iter().copied().find(|description| description.name == name)
}
