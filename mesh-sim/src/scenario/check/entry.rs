//! Checks of the entry agents.

use std::collections::BTreeMap;

use mesh_core::protocol::Name;

use super::Checker;
use crate::faults::HostScope;
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::text::did_you_mean;
use crate::scenario::{AgentSpec, EntryChoice, ScaledAgent, raw};

impl Checker<'_> {
    /// How the entry agent is chosen. Agents that are named must be there all the time.
    pub(super) fn entry(&mut self, raw: &raw::Entry, agents: &[AgentSpec]) -> EntryChoice {
        let path = FieldPath::field("workload").key("entry");
        let mut named: Vec<(Name, f64)> = Vec::new();
        match raw {
            raw::Entry::One(word) => match word.0.as_str() {
                "random" => return EntryChoice::Random,
                "round_robin" => return EntryChoice::RoundRobin,
                pattern => {
                    let names = self.entry_agents(&path, pattern, agents, true);
                    named.extend(names.into_iter().map(|name| (name, 1.0)));
                }
            },
            raw::Entry::Several(patterns) => {
                for (position, pattern) in patterns.iter().enumerate() {
                    let path = path.index(position);
                    let names = self.entry_agents(&path, &pattern.0, agents, false);
                    named.extend(names.into_iter().map(|name| (name, 1.0)));
                }
            }
            raw::Entry::Weighted(weights) => {
                if weights.is_empty() {
                    self.report(&path, "`entry` names no agent", "expected agents with weights");
                }
                for (pattern, weight) in weights {
                    let names = self.entry_agents(&path.key(pattern), pattern, agents, false);
                    let each = weight.0 / names.len() as f64;
                    named.extend(names.into_iter().map(|name| (name, each)));
                }
            }
        }
        self.weighted(&path, named, agents)
    }

    /// The agents that a pattern of `entry` names. `or_word`: one of the words may have been meant.
    fn entry_agents(
        &mut self,
        path: &FieldPath,
        pattern: &str,
        agents: &[AgentSpec],
        or_word: bool,
    ) -> Vec<Name> {
        // Without all agents in the directory every pattern would seem wrong.
        if !self.hosts_complete {
            return Vec::new();
        }
        if let Ok(names) = self.hosts.resolve(pattern, HostScope::Agents) {
            return names;
        }
        let words: &[&str] = if or_word { &["random", "round_robin"] } else { &[] };
        let names = agents.iter().take(1000).map(|agent| &*agent.name);
        let hint = did_you_mean(pattern, words.iter().copied().chain(names), '"');
        let title = format!("no agent is called {pattern:?}");
        let label = match or_word {
            true => format!("{hint}allowed: \"random\", \"round_robin\", an agent's name"),
            false => hint.trim_end().to_owned(),
        };
        let problem = self.problem(path, title, label);
        self.problems.push(problem.note(self.hosts.describe()));
        Vec::new()
    }

    /// The choice between agents with these weights. The weights of an agent that is named twice
    /// add up.
    fn weighted(
        &mut self,
        path: &FieldPath,
        named: Vec<(Name, f64)>,
        agents: &[AgentSpec],
    ) -> EntryChoice {
        let numbers: BTreeMap<&str, usize> =
            agents.iter().enumerate().map(|(number, agent)| (&*agent.name, number)).collect();
        let mut weights: BTreeMap<usize, f64> = BTreeMap::new();
        for (name, weight) in named {
            if let Some(number) = numbers.get(&*name) {
                *weights.entry(*number).or_default() += weight;
            }
        }
        let stays = |agent: &AgentSpec| {
            let is_fixed = agent.scaled == ScaledAgent::No;
            is_fixed && agent.joins.is_zero() && agent.leaves.is_none()
        };
        if let Some(number) = weights.keys().find(|number| !stays(&agents[**number])) {
            let title =
                format!("requests can't enter through {} all the time", agents[*number].name);
            let label = "expected an agent that is there during the whole run";
            self.report(path, title, label);
        }
        if weights.len() <= 1 {
            let only = weights.keys().next().copied().unwrap_or_default();
            return EntryChoice::Fixed(AgentId::from_index(only));
        }
        let mut sum = 0.0;
        let sums = weights.into_iter().map(|(number, weight)| {
            sum += weight;
            (AgentId::from_index(number), sum)
        });
        EntryChoice::Weighted(sums.collect())
    }
}
