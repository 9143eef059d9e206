//! Where agents get their policies from.

use std::fmt;
use std::ptr;

use super::{Policy, PolicySettings, Signal};
use crate::seed::Rng;

/// Builds the routing policies of agents: one policy per agent, because a policy may remember what
/// it has seen.
///
/// An [`AgentConfig`](crate::agent::AgentConfig) holds a factory, and agents that are configured
/// alike share it. [`PolicySettings`] is the factory of the built-in policies; implement the trait to
/// route by a rule of your own, in the simulated engines and live alike.
pub trait PolicyFactory: fmt::Debug + Send + Sync {
    /// The policy's name in reports and logs.
    fn name(&self) -> &str;

    /// What the policies read of the peers, so that whoever runs agents provides it.
    fn needs(&self) -> PolicyNeeds;

    /// A policy for one agent. `rng` is the agent's own stream of random choices; the policy gets
    /// it again with each choice.
    fn build(&self, rng: &mut Rng) -> Box<dyn Policy>;

    /// Which built-in policy this is, and with which parameters. `None`: a policy of one's own,
    /// which nobody can start by its name on a command line.
    fn settings(&self) -> Option<&PolicySettings> {
        None
    }
}

/// Built-in policies are the same if their parameters are; others, if they are one object. So
/// configurations can be compared, and agents with equal ones share them.
impl PartialEq for dyn PolicyFactory {
    fn eq(&self, other: &Self) -> bool {
        match (self.settings(), other.settings()) {
            (Some(one), Some(other)) => one == other,
            _ => ptr::addr_eq(self, other),
        }
    }
}

/// What a policy reads of the peers that it chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyNeeds {
    /// Where it learns of the peers' load.
    pub signal: Signal,
    /// Whether it ranks peers by CPU or memory. Such a policy chooses by noise where jobs only
    /// sleep.
    pub utilisation: bool,
}
