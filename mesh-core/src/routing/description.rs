//! What a built-in policy says of itself.

use super::{Policy, PolicyNeeds, PolicySettings};
use crate::parameter::{Parameter, ParameterValues};
use crate::seed::Rng;

/// All that there is to know of a built-in policy without looking at its logic. Each policy has one,
/// a constant in its file.
///
/// What scenario files may say, the options of `mesh agent`, what a live bench passes on and the
/// table in the documentation are derived from it. [`PolicyDescription::defaults`] makes a factory
/// of it.
#[derive(Debug)]
pub struct PolicyDescription {
    /// Its name in configuration and reports, in snake case.
    pub name: &'static str,
    /// Which peer it chooses, as a sentence without a verb: "The peer with ...".
    pub summary: &'static str,
    /// Its parameters, in the order in which they are shown.
    pub parameters: &'static [Parameter],
    /// What it reads of the peers with these parameters.
    pub(super) needs: fn(&ParameterValues) -> PolicyNeeds,
    /// Parameters that each are in bounds, but make no sense together.
    pub(super) conflict: fn(&ParameterValues) -> Option<ParameterConflict>,
    /// What queueing theory calls it with these parameters; `None`: nothing that has known figures.
    pub(super) dispatch: fn(&ParameterValues) -> Option<DispatchRule>,
    /// The policy of one agent.
    pub(super) build: fn(&ParameterValues, &mut Rng) -> Box<dyn Policy>,
}

/// Parameters that make no sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {expected}")]
pub struct ParameterConflict {
    /// The parameter to point at.
    pub parameter: &'static str,
    /// What is wrong.
    pub problem: &'static str,
    /// What to do about it.
    pub expected: &'static str,
}

/// A rule by which queueing theory sends jobs to like servers, if what the policy knows is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DispatchRule {
    /// To each in turn.
    InTurn,
    /// To the one with the fewest jobs of so many random ones; 1 is a random server.
    ShortestOf(usize),
    /// To the one with the fewest jobs of all.
    ShortestOfAll,
}

impl PolicyDescription {
    /// The policy with its default parameters.
    pub fn defaults(&'static self) -> PolicySettings {
        PolicySettings::defaults(self)
    }

    /// For parameters that go together whatever their values.
    pub(super) const fn no_conflict(_: &ParameterValues) -> Option<ParameterConflict> {
        None
    }

    /// For rules that theory has no figures of.
    pub(super) const fn no_theory(_: &ParameterValues) -> Option<DispatchRule> {
        None
    }
}
