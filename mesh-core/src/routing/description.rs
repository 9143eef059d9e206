//! Descriptions: what a built-in policy says of itself.

use super::{Policy, PolicyNeeds, PolicySettings};
use crate::parameter::{Parameter, ParameterValues};
use crate::seed::Rng;

/// A built-in policy's name, parameters and needs, and how to build it. Each policy has one, a
/// constant in its file.
///
/// What scenario files may say, the options of `mesh agent`, what a live bench passes on and the
/// table in docs/policies.md are derived from it. [`PolicyDescription::defaults`] makes a factory of
/// it.
#[derive(Debug)]
pub struct PolicyDescription {
    /// Its name in configuration and reports, in snake case.
    pub name: &'static str,
    /// Which peer it chooses, as a sentence without a verb: "The peer with ...".
    pub summary: &'static str,
    /// Its parameters, in the order in which they are shown.
    pub parameters: &'static [Parameter],
    /// What the policy needs to know of the peers when it has these parameters.
    pub(super) needs: fn(&ParameterValues) -> PolicyNeeds,
    /// Finds parameters that are each in bounds, but make no sense together.
    pub(super) conflict: fn(&ParameterValues) -> Option<ParameterConflict>,
    /// The rule of queueing theory that it follows with these parameters; `None` if theory has no
    /// figures for such a rule.
    pub(super) dispatch: fn(&ParameterValues) -> Option<DispatchRule>,
    /// Builds the policy of one agent.
    pub(super) build: fn(&ParameterValues, &mut Rng) -> Box<dyn Policy>,
}

/// Parameters that make no sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {expected}")]
pub struct ParameterConflict {
    /// The parameter that an error message should point at.
    pub parameter: &'static str,
    /// What is wrong.
    pub problem: &'static str,
    /// What to do about it.
    pub expected: &'static str,
}

/// A rule by which queueing theory sends jobs to equal servers of one slot. A policy follows it as long
/// as what it knows of its peers is up to date. `mesh-sim validate` compares simulations with the figures
/// of such rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DispatchRule {
    /// To each server in turn.
    InTurn,
    /// To the server with the fewest jobs among this many random ones; with 1, to a random server.
    ShortestOf(usize),
    /// To the server with the fewest jobs of all.
    ShortestOfAll,
    /// To an idle server; if there is none, to a random one.
    IdleOrRandom,
    /// To no server: all jobs wait in one queue, and each free server takes the first.
    OneQueue,
}

impl PolicyDescription {
    /// The policy with its default parameters.
    pub fn defaults(&'static self) -> PolicySettings {
        PolicySettings::defaults(self)
    }

    /// The value of `conflict` for a policy whose parameters can't contradict each other.
    pub(super) const fn no_conflict(_: &ParameterValues) -> Option<ParameterConflict> {
        None
    }

    /// The value of `dispatch` for a policy that follows no rule with known figures.
    pub(super) const fn no_theory(_: &ParameterValues) -> Option<DispatchRule> {
        None
    }
}
