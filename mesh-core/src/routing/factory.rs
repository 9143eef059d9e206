//! Factories: where agents get their policies from.

use std::fmt;
use std::ptr;

use super::{Policy, PolicySettings, Signal};
use crate::seed::Rng;

/// Builds the routing policies of agents: one policy per agent, because a policy may remember what
/// it has seen.
///
/// An [`AgentConfig`](crate::agent::AgentConfig) holds a factory, and agents that are configured
/// alike share it. [`PolicySettings`] is the factory of the built-in policies. Implement the trait
/// to route by a rule of your own, both in the simulated engines and live.
pub trait PolicyFactory: fmt::Debug + Send + Sync {
    /// The policy's name in reports and logs.
    fn name(&self) -> &str;

    /// What the policies need to know of the peers. Whoever runs the agents has to provide it.
    fn needs(&self) -> PolicyNeeds;

    /// A policy for one agent. `rng` is the agent's own stream of random choices; the policy gets
    /// it again with each choice.
    fn build(&self, rng: &mut Rng) -> Box<dyn Policy>;

    /// The built-in policy that this factory builds, with its parameters. `None` for a policy of
    /// your own, which a command line can't start by its name.
    fn settings(&self) -> Option<&PolicySettings> {
        None
    }
}

/// Two built-in policies are equal if their names and parameters are; two others, only if they are
/// the same object. So configurations can be compared, and agents with equal ones share them.
impl PartialEq for dyn PolicyFactory {
    fn eq(&self, other: &Self) -> bool {
        match (self.settings(), other.settings()) {
            (Some(one), Some(other)) => one == other,
            _ => ptr::addr_eq(self, other),
        }
    }
}

/// What a policy needs to know of the peers that it chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyNeeds {
    /// Where it learns of the peers' load.
    pub signal: Signal,
    /// Whether it ranks peers by CPU or memory. Where jobs only sleep these figures are noise, and
    /// so are the choices of such a policy.
    pub utilisation: bool,
}
