//! The entry agents: those to which clients may send requests.

use std::sync::Arc;

use mesh_core::Timestamp;

use crate::host::{AgentId, IndexedId as _};
use crate::scenario::AgentSpec;

/// The agents to which clients may send requests, as a function of time: those that are planned to
/// have joined and not to have left. This depends on the scenario alone, so requests enter through
/// the same agents under every policy.
#[derive(Clone, Debug)]
pub struct EntryAgents {
    /// The spans of time between joins and leaves, in order: when each begins, and which agents are
    /// there. Most scenarios have one span, with all agents.
    spans: Arc<[(Timestamp, PresentAgents)]>,
}

#[derive(Clone, Debug)]
enum PresentAgents {
    /// The agents 0 to n - 1.
    All(usize),
    /// Only these.
    These(Vec<AgentId>),
}

impl EntryAgents {
    /// The agents 0 to `agents` - 1, at any time.
    pub fn all(agents: usize) -> Self {
        Self { spans: [(Timestamp::ZERO, PresentAgents::All(agents))].into() }
    }

    /// The entry agents of a scenario with these agents.
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
            PresentAgents::These(there.map(|(index, _)| AgentId::from_index(index)).collect())
        };
        Self { spans: times.into_iter().map(|at| (at, members(at))).collect() }
    }

    /// Picks one of the agents that are there at `at`. `choose` is given how many there are and
    /// returns the position of one.
    pub(super) fn pick(&self, at: Timestamp, choose: impl FnOnce(usize) -> usize) -> AgentId {
        let span = self.spans.partition_point(|(begins, _)| *begins <= at) - 1;
        match &self.spans[span].1 {
            PresentAgents::All(count) => AgentId::from_index(choose(*count)),
            PresentAgents::These(agents) => agents[choose(agents.len())],
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
        let scenario = Scenario::parse(text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
        let entries = EntryAgents::of(&scenario.agents);
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
