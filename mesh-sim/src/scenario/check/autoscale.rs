//! Checks of `[autoscale]`.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::protocol::Name;

use super::Checker;
use crate::faults::HostScope;
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{AgentSpec, AutoscaleSpec, ScaledAgent, raw};
use crate::units::format_duration;

/// The fewest decisions that take place in a run, so that there is something to see.
const FEWEST_DECISIONS: u32 = 2;

impl Checker<'_> {
    /// The set of agents that grows and shrinks. Marks its agents.
    pub(super) fn autoscale(
        &mut self,
        raw: Option<&raw::Autoscale>,
        agents: &mut [AgentSpec],
    ) -> Option<AutoscaleSpec> {
        let raw = raw?;
        let path = FieldPath::field("autoscale");
        let set = self.scaled_agents(raw, &path, agents);
        let mut rules = raw.rules.clone();
        if !self.source.states(&path, "max") {
            rules.max = (set.len() as u32).max(rules.min);
        }
        self.bounds_of_set(&path, &rules, raw.start, set.len());
        let (slots, queue) = capacity(&set, agents);
        for conflict in rules.conflicts(slots, queue) {
            self.conflict(&path, &conflict);
        }
        if raw.every.0.saturating_mul(FEWEST_DECISIONS) > self.last_arrival {
            let title = "hardly anything is decided in this run";
            let label = format!("`duration` is {}", format_duration(self.last_arrival));
            self.report(&path.key("every"), title, label);
        }
        let start = raw.start.unwrap_or(rules.min) as usize;
        for (place, agent) in set.iter().enumerate() {
            let is_there = place < start;
            let scaled = if is_there { ScaledAgent::FromStart } else { ScaledAgent::Later };
            agents[agent.index()].scaled = scaled;
        }
        let outages = raw
            .outages
            .iter()
            .enumerate()
            .map(|(number, outage)| self.outage(&path.key("outages").index(number), *outage));
        let outages = outages.collect();
        Some(AutoscaleSpec {
            agents: set.into_iter().collect(),
            rules,
            every: raw.every.0,
            start_up: raw.start_up.0,
            lag: raw.lag.0,
            loss: raw.loss,
            drain: raw.drain.0,
            outages,
        })
    }

    /// The agents of the set, in the order of the file. Reports those that can't belong to it.
    fn scaled_agents(
        &mut self,
        raw: &raw::Autoscale,
        path: &FieldPath,
        agents: &[AgentSpec],
    ) -> Vec<AgentId> {
        let path = path.key("agents");
        let numbers: BTreeMap<Name, usize> =
            agents.iter().enumerate().map(|(number, agent)| (agent.name.clone(), number)).collect();
        let named = self.hosts_by_pattern(&path, &raw.agents, HostScope::Agents);
        let mut set: Vec<usize> = named
            .into_iter()
            .flat_map(|(_, names)| names)
            .filter_map(|name| numbers.get(&name).copied())
            .collect();
        set.sort_unstable();
        set.dedup();
        let planned = |number: &&usize| {
            let agent = &agents[**number];
            !agent.joins.is_zero() || agent.leaves.is_some()
        };
        if let Some(number) = set.iter().find(planned) {
            let title = format!("{} joins or leaves at a planned time", agents[*number].name);
            self.report(&path, title, "expected agents that only the autoscaler starts and ends");
        }
        if set.len() == agents.len() && !agents.is_empty() {
            let title = "the set has all agents, so requests have no way in that is always there";
            self.report(&path, title, "expected at least one agent that is not in the set");
        }
        let differs = |number: &&usize| {
            let (first, other) = (&agents[set[0]], &agents[**number]);
            first.skills != other.skills || first.site != other.site
        };
        if let Some(number) = set.iter().find(differs) {
            let title = format!("{} has other skills or another site", agents[*number].name);
            self.report(&path, title, "expected agents that can take each other's place");
        }
        set.into_iter().map(AgentId::from_index).collect()
    }

    fn bounds_of_set(
        &mut self,
        path: &FieldPath,
        rules: &mesh_core::scaling::ScalingConfig,
        start: Option<u32>,
        size: usize,
    ) {
        if self.hosts_complete && rules.max as usize > size {
            let field = if self.source.states(path, "max") { "max" } else { "min" };
            let title = "the set has too few agents for that";
            self.report(&path.key(field), title, format!("expected at most {size}"));
        }
        if let Some(start) = start
            && !(rules.min..=rules.max).contains(&start)
        {
            let label = format!("expected {} to {}, `min` to `max`", rules.min, rules.max);
            self.report(&path.key("start"), "the set starts outside of its bounds", label);
        }
    }

    fn outage(&mut self, path: &FieldPath, outage: raw::ReportOutage) -> (Duration, Duration) {
        let (at, lasts) = (outage.at.0, outage.lasts.0);
        if at >= self.end {
            let label = format!("it would begin after the end, {}", format_duration(self.end));
            self.report(&path.key("at"), "outage never happens", label);
        }
        (at, at.saturating_add(lasts))
    }
}

/// How many jobs each agent of the set runs at once (`None`: any number), and queues, at most.
fn capacity(set: &[AgentId], agents: &[AgentSpec]) -> (Option<u32>, u32) {
    let admission = set.iter().map(|agent| agents[agent.index()].admission);
    let slots: Option<Vec<u32>> =
        admission.clone().map(|admission| admission.concurrency.limit()).collect();
    let queue = admission.map(|admission| admission.queue).max().unwrap_or_default();
    (slots.and_then(|slots| slots.into_iter().min()), queue)
}
