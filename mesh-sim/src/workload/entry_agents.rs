//! The agents that requests enter the mesh through.

use std::sync::Arc;

use mesh_core::Timestamp;

use crate::host::{AgentId, Id as _};
use crate::scenario::AgentSpec;

/// The agents that clients may send requests to, as a function of time: those that have joined and are
/// not planned to have left. It depends on the scenario alone, so every policy sees the same entries.
#[derive(Clone, Debug)]
pub struct Entries {
    /// Of the spans between joins and leaves, in order: when each begins, and who is there. One span
    /// is the rule; then the agents are simply all.
    spans: Arc<[(Timestamp, Members)]>,
}

#[derive(Clone, Debug)]
enum Members {
    /// So many, numbered from 0.
    All(usize),
    These(Vec<AgentId>),
}

impl Entries {
    /// All of so many agents, at any time.
    pub fn all(agents: usize) -> Self {
        Self { spans: [(Timestamp::ZERO, Members::All(agents))].into() }
    }

    /// Those of a scenario's agents that are there at a time.
    pub fn of(agents: &[AgentSpec]) -> Self {
        let joins = agents.iter().map(|agent| agent.joins);
        let leaves = agents.iter().filter_map(|agent| agent.leaves);
        let mut times: Vec<Timestamp> = joins.chain(leaves).map(Timestamp::from).collect();
        times.push(Timestamp::ZERO);
        times.sort_unstable();
        times.dedup();
        if let [_] = times[..] {
            return Self::all(agents.len());
        }
        let is_there = |agent: &AgentSpec, at: Timestamp| {
            Timestamp::from(agent.joins) <= at
                && agent.leaves.is_none_or(|leaves| at < Timestamp::from(leaves))
        };
        let members = |at: Timestamp| {
            let numbered = agents.iter().enumerate();
            let there = numbered.filter(|(_, agent)| is_there(agent, at));
            Members::These(there.map(|(index, _)| AgentId::from_index(index)).collect())
        };
        Self { spans: times.into_iter().map(|at| (at, members(at))).collect() }
    }

    /// The agent at the place that `choose` picks, given how many are there at `at`.
    pub(super) fn pick(&self, at: Timestamp, choose: impl FnOnce(usize) -> usize) -> AgentId {
        let span = self.spans.partition_point(|(begins, _)| *begins <= at) - 1;
        match &self.spans[span].1 {
            Members::All(count) => AgentId::from_index(choose(*count)),
            Members::These(agents) => agents[choose(agents.len())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn only_those_who_are_there_are_picked() {
        let text = r#"
name = "x"
description = "x"
duration = "60s"
policies = ["random"]
[[agents]]
name = "a"
count = 2
[[agents]]
name = "late"
joins = "20s"
[[agents]]
name = "early"
leaves = "40s"
[workload]
arrivals = "constant"
rate = 1
demand = { kind = "constant", value = "1ms" }
"#;
        let scenario = Scenario::from_str(text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
        let entries = Entries::of(&scenario.agents);
        let there = |second: u64| {
            let at = Timestamp::from(std::time::Duration::from_secs(second));
            let mut count = 0;
            entries.pick(at, |agents| {
                count = agents;
                0
            });
            let picked = (0..count).map(|place| entries.pick(at, |_| place).index());
            picked.collect::<Vec<usize>>()
        };
        assert_eq!([there(0), there(19)], [[0, 1, 3], [0, 1, 3]]);
        assert_eq!([there(20), there(39)], [[0, 1, 2, 3], [0, 1, 2, 3]]);
        assert_eq!(there(40), [0, 1, 2]);
    }
}
