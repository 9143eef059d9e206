//! What an autoscaler may never do: leave its bounds, change its mind faster than its settings say,
//! or lose a job by ending an agent before its time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::scaling::{ScalingAction, ScalingConfig, ScalingDecision};

use super::FoundViolations;
use crate::host::AgentId;
use crate::journal::{Fact, JournalEntry};
use crate::presence::Presence;
use crate::record::Violation;
use crate::scenario::{ScaledAgent, Scenario};

const BOUNDS: &str = "an autoscaled set stays within its bounds";
const PATIENCE: &str = "an autoscaler takes its time";
const LOST: &str = "no job is lost by scaling in";

/// Watches the set of an autoscaler.
#[derive(Debug)]
pub(super) struct ScalingOracle {
    rules: ScalingConfig,
    drain: Duration,
    /// The agents of the set that take part in the mesh.
    members: BTreeSet<AgentId>,
    set: BTreeSet<AgentId>,
    /// Since when agents drain.
    draining: BTreeMap<AgentId, Timestamp>,
    /// The jobs that each agent has begun or queued, and not ended: request and attempt.
    jobs: BTreeMap<AgentId, BTreeSet<(u64, u32)>>,
    /// When the set was last changed by its load.
    changed: Option<Timestamp>,
}

impl ScalingOracle {
    /// For a scenario with an autoscaler; `None` for others.
    pub(super) fn of(scenario: &Scenario) -> Option<Self> {
        let spec = scenario.autoscale.as_ref()?;
        let is_there = |id: &&AgentId| scenario.agent(**id).scaled == ScaledAgent::FromStart;
        Some(Self {
            rules: spec.rules.clone(),
            drain: spec.drain,
            members: spec.agents.iter().filter(is_there).copied().collect(),
            set: spec.agents.clone(),
            draining: BTreeMap::new(),
            jobs: BTreeMap::new(),
            changed: None,
        })
    }

    pub(super) fn observe(&mut self, entry: &JournalEntry, found: &mut FoundViolations) {
        let at = entry.at;
        match (&entry.fact, entry.host.agent()) {
            (Fact::Scaled(decision), _) => self.scaled(at, decision, found),
            (Fact::AgentNoted(note), Some(agent)) => self.noted(at, agent, note),
            (&Fact::PresenceChanged(presence), Some(agent)) => {
                self.presence_changed(at, agent, presence, found);
            }
            (Fact::HostCrashed(_), Some(agent)) => self.crashed(agent),
            _ => {}
        }
    }

    fn scaled(&mut self, at: Timestamp, decision: &ScalingDecision, found: &mut FoundViolations) {
        let ScalingConfig { min, max, .. } = self.rules;
        if !(min..=max).contains(&decision.desired) {
            let detail = format!("{decision}; the bounds are {min} to {max}");
            found.add(Violation::new(BOUNDS, at, detail));
        }
        // What only keeps the bounds needs no patience.
        let Some(ratios) = decision.ratios else { return };
        let patience = match &decision.action {
            ScalingAction::Shrink { .. } if ratios.decisive < 1.0 => self.rules.calm,
            ScalingAction::Grow { .. } if ratios.decisive > 1.0 => self.rules.panic_window,
            _ => return,
        };
        let since = self.changed.replace(at).map(|last| at.since(last));
        if since.is_some_and(|since| since < patience) {
            let detail = format!("{decision}, {since:?} after the last change");
            found.add(Violation::new(PATIENCE, at, detail));
        }
    }

    fn noted(&mut self, at: Timestamp, agent: AgentId, note: &Note) {
        if !self.set.contains(&agent) {
            return;
        }
        match *note {
            Note::Draining { .. } => {
                self.draining.insert(agent, at);
            }
            Note::DrainCancelled => {
                self.draining.remove(&agent);
            }
            Note::JobQueued { request, attempt } | Note::JobStarted { request, attempt } => {
                self.jobs.entry(agent).or_default().insert((request, attempt));
            }
            Note::JobEnded { request, attempt, .. } => {
                self.jobs.entry(agent).or_default().remove(&(request, attempt));
            }
            _ => {}
        }
    }

    fn presence_changed(
        &mut self,
        at: Timestamp,
        agent: AgentId,
        presence: Presence,
        found: &mut FoundViolations,
    ) {
        if !self.set.contains(&agent) {
            return;
        }
        match presence {
            Presence::Member => {
                self.members.insert(agent);
            }
            Presence::NotJoined => {}
            Presence::Leaving => {
                self.members.remove(&agent);
            }
            Presence::Gone => {
                self.members.remove(&agent);
                let lost = self.jobs.remove(&agent).unwrap_or_default();
                let since = self.draining.remove(&agent);
                let had_time = since.is_none_or(|since| at.since(since) >= self.drain);
                if !lost.is_empty() && !had_time {
                    let detail = format!("agent {agent:?} ended while it drained, with {lost:?}");
                    found.add(Violation::new(LOST, at, detail));
                }
            }
        }
        let count = self.members.len();
        if count > self.rules.max as usize {
            let detail = format!("{count} agents, and {} are the most", self.rules.max);
            found.add(Violation::new(BOUNDS, at, detail));
        }
    }

    /// The process on a host has ended in a crash, with all of its jobs.
    fn crashed(&mut self, agent: AgentId) {
        self.jobs.remove(&agent);
        self.draining.remove(&agent);
    }
}
