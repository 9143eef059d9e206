//! Agents that join and leave in the middle of a run.
//!
//! A scenario plans when its agents join and leave, and the engines carry the plan out; so they do
//! with what an autoscaler decides during the run.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_node::agent::LAST_ANSWERS_TIME;
use mesh_node::http::ServerLimits;

use crate::host::{AgentId, AgentMap, IndexedId as _};
use crate::scenario::{AgentSpec, ScaledAgent, Scenario};

/// Whether an agent takes part in the mesh: not yet, now, or not any more.
///
/// The engine keeps it for every agent and moves it from one state to the next. Only an agent of a
/// set that an autoscaler owns may come back after it has gone, as another process. A crash
/// does not change it: an agent that is down is still a member, and starts again once its host is
/// up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// The agent's process has not started; its host refuses connections.
    #[default]
    NotJoined,
    /// The agent's process runs, unless its host is down.
    Member,
    /// The agent has been told to shut down: it ends its lease, takes no new requests, and finishes
    /// the jobs and requests that it has.
    Leaving,
    /// The agent's process has ended; its host refuses connections again.
    Gone,
}

impl Presence {
    /// The presence of an agent at the start of the run.
    pub fn at_start(agent: &AgentSpec) -> Self {
        let is_there = agent.joins.is_zero() && agent.scaled != ScaledAgent::Later;
        if is_there { Self::Member } else { Self::NotJoined }
    }

    /// The name of the state in the event log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJoined => "not_joined",
            Self::Member => "joined",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }

    /// Whether the agent has a process, be its host up or down: it is a member, or leaving.
    pub const fn has_process(self) -> bool {
        matches!(self, Self::Member | Self::Leaving)
    }
}

/// An agent that joins or leaves at a planned time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedChange {
    /// When the agent starts, or is told to shut down.
    pub at: Timestamp,
    /// The agent.
    pub agent: AgentId,
    /// True if it joins, false if it leaves.
    pub joins: bool,
}

/// The joins and leaves that a scenario plans, in the order of time. An agent that is there from
/// the start does not join.
pub fn planned_changes(scenario: &Scenario) -> Vec<PlannedChange> {
    let mut changes = Vec::new();
    for (index, spec) in scenario.agents.iter().enumerate() {
        let agent = AgentId::from_index(index);
        if !spec.joins.is_zero() {
            changes.push(PlannedChange { at: spec.joins.into(), agent, joins: true });
        }
        if let Some(leaves) = spec.leaves {
            changes.push(PlannedChange { at: leaves.into(), agent, joins: false });
        }
    }
    changes.sort_unstable();
    changes
}

/// How long an agent that leaves may take to finish its jobs and requests. It is the default of
/// live agents, with the time that they have for their last answers.
pub fn drain_limit() -> Duration {
    ServerLimits::default().drain + LAST_ANSWERS_TIME
}

/// The presence of every agent at the start of a run.
pub fn presence_at_start(scenario: &Scenario) -> AgentMap<Presence> {
    scenario.agents.iter().map(Presence::at_start).collect()
}
