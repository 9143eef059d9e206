//! Providers: services that agents use for their jobs, with limits that the agents share.

use std::collections::BTreeSet;

use mesh_core::protocol::Name;

use crate::host::AgentId;

/// A service that agents use for their jobs, like a model behind an API. Its limits hold for all of
/// them together.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSpec {
    /// What reports call it, unique in the scenario.
    pub name: Name,
    /// The agents that use it. An agent has at most one provider.
    pub agents: BTreeSet<AgentId>,
    /// How many jobs may use it.
    pub bounds: ProviderBounds,
    /// The kinds of jobs that use it, by their names; `None`: all.
    pub jobs: Option<Vec<Name>>,
}

impl ProviderSpec {
    /// Whether jobs of this kind use it.
    pub fn serves(&self, kind: &str) -> bool {
        self.jobs.as_ref().is_none_or(|jobs| jobs.iter().any(|job| **job == *kind))
    }
}

/// How many jobs may use a provider. At least one of the two bounds is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderBounds {
    /// How many jobs may begin in a time; `None`: any number.
    pub requests: Option<RequestBound>,
    /// How many jobs may use it at once; `None`: any number.
    pub concurrency: Option<u32>,
}

/// A token bucket: each job that begins takes a token, and tokens come evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBound {
    /// How many tokens come in a minute.
    pub per_minute: u32,
    /// How many tokens the bucket holds. It is full at the start.
    pub burst: u32,
}

impl RequestBound {
    /// The size of a bucket that has none of its own: the tokens of one second, at least one. Services
    /// that name a number per minute apply it to shorter times, and a bucket for a whole minute would
    /// hide the limit in a short run.
    pub const fn usual_burst(per_minute: u32) -> u32 {
        per_minute.div_ceil(60)
    }
}
