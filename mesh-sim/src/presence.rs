//! Agents that join and leave in the middle of a run.
//!
//! A scenario plans when its agents join and leave. The engines carry the plan out; they can do the
//! same at any other time, which is what something that scales a mesh needs.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_node::agent::LAST_ANSWERS_TIME;
use mesh_node::http::ServerLimits;

use crate::host::{AgentId, AgentMap, Id as _};
use crate::scenario::{AgentSpec, Scenario};

/// Where an agent is on its way through a run.
///
/// It goes from one state to the next and never back. The engine owns it. A crash does not change it:
/// an agent that is down is still a member, and starts again once its host is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Its process has not started: its host refuses connections.
    #[default]
    NotJoined,
    /// Its process runs, unless its host is down.
    Member,
    /// It has been told to shut down: it has ended its lease, takes no new requests, and finishes
    /// what is under way.
    Leaving,
    /// Its process has ended: its host refuses connections again.
    Gone,
}

impl Presence {
    /// Where an agent is at the start of the run.
    pub fn at_start(agent: &AgentSpec) -> Self {
        if agent.joins.is_zero() { Self::Member } else { Self::NotJoined }
    }

    /// What the event log calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJoined => "not_joined",
            Self::Member => "joined",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }

    /// Whether the agent's process runs or will run again: it is a member, or leaving.
    pub const fn has_process(self) -> bool {
        matches!(self, Self::Member | Self::Leaving)
    }
}

/// One agent that joins or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MembershipChange {
    /// When it starts, or is told to shut down.
    pub at: Timestamp,
    /// Who.
    pub agent: AgentId,
    /// True if it joins, false if it leaves.
    pub joins: bool,
}

/// What a scenario plans, in the order of time. Agents that are there from the start don't join.
pub fn planned_changes(scenario: &Scenario) -> Vec<MembershipChange> {
    let mut changes = Vec::new();
    for (index, spec) in scenario.agents.iter().enumerate() {
        let agent = AgentId::from_index(index);
        if !spec.joins.is_zero() {
            changes.push(MembershipChange { at: spec.joins.into(), agent, joins: true });
        }
        if let Some(leaves) = spec.leaves {
            changes.push(MembershipChange { at: leaves.into(), agent, joins: false });
        }
    }
    changes.sort_unstable();
    changes
}

/// How long an agent that leaves may take to finish what is under way: as live agents by default,
/// with the time for their last answers.
pub fn drain_limit() -> Duration {
    ServerLimits::default().drain + LAST_ANSWERS_TIME
}

/// Every agent's presence at the start of a run.
pub fn presence_at_start(scenario: &Scenario) -> AgentMap<Presence> {
    scenario.agents.iter().map(Presence::at_start).collect()
}
