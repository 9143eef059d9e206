//! The entry agents: those to which clients may send requests.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_core::Timestamp;
use mesh_core::seed::Rng;

use crate::host::{AgentId, IndexedId as _};
use crate::scenario::{AgentSpec, EntryChoice, ScaledAgent};

/// The agents to which clients may send requests, as a function of time: those that are planned to
/// have joined and not to have left, and that no autoscaler starts or drains. This depends on the scenario alone, so requests enter through
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
        let is_scaled = |agent: &AgentSpec| agent.scaled != ScaledAgent::No;
        if let [_] = times[..]
            && !agents.iter().any(is_scaled)
        {
            return Self::all(agents.len());
        }
        let is_there = |agent: &AgentSpec, at: Timestamp| {
            !is_scaled(agent)
                && Timestamp::from(agent.joins) <= at
                && agent.leaves.is_none_or(|leaves| at < Timestamp::from(leaves))
        };
        let members = |at: Timestamp| {
            let numbered = agents.iter().enumerate();
            let there = numbered.filter(|(_, agent)| is_there(agent, at));
            PresentAgents::These(there.map(|(index, _)| AgentId::from_index(index)).collect())
        };
        Self { spans: times.into_iter().map(|at| (at, members(at))).collect() }
    }

    /// The agents that are there at `at`.
    fn there(&self, at: Timestamp) -> &PresentAgents {
        let span = self.spans.partition_point(|(begins, _)| *begins <= at) - 1;
        &self.spans[span].1
    }
}

impl PresentAgents {
    fn count(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::These(agents) => agents.len(),
        }
    }

    fn at(&self, place: usize) -> AgentId {
        match self {
            Self::All(_) => AgentId::from_index(place),
            Self::These(agents) => agents[place],
        }
    }

    /// The place of an agent; if it is not there, the one that it would have.
    fn place(&self, agent: AgentId) -> Result<usize, usize> {
        match self {
            Self::All(count) if agent.index() < *count => Ok(agent.index()),
            Self::All(count) => Err(*count),
            Self::These(agents) => agents.binary_search(&agent),
        }
    }

    /// One of the agents without those in `without`; `None` if there is no other. `choose` is given
    /// how many are left.
    fn pick(
        &self,
        without: &BTreeSet<AgentId>,
        choose: impl FnOnce(usize) -> usize,
    ) -> Option<AgentId> {
        let left_out: Vec<usize> =
            without.iter().filter_map(|agent| self.place(*agent).ok()).collect();
        let left = self.count() - left_out.len();
        if left == 0 {
            return None;
        }
        let mut place = choose(left);
        // The places are in order, so each that is passed moves the rest by one.
        for out in left_out {
            place += usize::from(out <= place);
        }
        Some(self.at(place))
    }

    /// The agent whose turn is after that of `last`, without those in `without`.
    fn after(&self, last: AgentId, without: &BTreeSet<AgentId>) -> Option<AgentId> {
        let first = self.place(last).map_or_else(|place| place, |place| place + 1);
        let in_turn = (0..self.count()).map(|turn| self.at((first + turn) % self.count()));
        in_turn.into_iter().find(|agent| !without.contains(agent))
    }
}

/// Draws the entry agents of requests.
#[derive(Clone, Debug)]
pub(super) struct EntryDraws {
    choice: EntryChoice,
    entries: EntryAgents,
}

impl EntryDraws {
    pub(super) fn new(choice: &EntryChoice, entries: &EntryAgents) -> Self {
        Self { choice: choice.clone(), entries: entries.clone() }
    }

    /// The entry agent of a request that is due at `at`. `turn` chooses it if the agents take turns.
    pub(super) fn first(&self, at: Timestamp, turn: u64, rng: &mut Rng) -> AgentId {
        let there = self.entries.there(at);
        match &self.choice {
            EntryChoice::Random => there.at(rng.index(there.count())),
            EntryChoice::RoundRobin => there.at((turn % there.count() as u64) as usize),
            EntryChoice::Fixed(agent) => *agent,
            EntryChoice::Weighted(sums) => weighted(sums, rng),
        }
    }

    /// Draws the agent to which a request is sent at `at` after it was sent to `last`, in the same
    /// way, but none in `without`. `None` if there is no other.
    pub(super) fn another(
        &self,
        at: Timestamp,
        last: AgentId,
        without: &BTreeSet<AgentId>,
        rng: &mut Rng,
    ) -> Option<AgentId> {
        let there = self.entries.there(at);
        match &self.choice {
            EntryChoice::Random => there.pick(without, |count| rng.index(count)),
            EntryChoice::RoundRobin => there.after(last, without),
            EntryChoice::Fixed(agent) => (!without.contains(agent)).then_some(*agent),
            EntryChoice::Weighted(sums) => {
                let (mut sum, mut before) = (0.0, 0.0);
                let mut left = Vec::new();
                for (agent, up_to) in sums.iter() {
                    if !without.contains(agent) {
                        sum += up_to - before;
                        left.push((*agent, sum));
                    }
                    before = *up_to;
                }
                (!left.is_empty()).then(|| weighted(&left, rng))
            }
        }
    }
}

/// Draws one of these agents, each of which stands with the sum of the weights up to its own.
fn weighted(sums: &[(AgentId, f64)], rng: &mut Rng) -> AgentId {
    let whole = sums.last().map_or(0.0, |(_, sum)| *sum);
    let point = rng.unit() * whole;
    let place = sums.partition_point(|(_, sum)| *sum <= point);
    sums[place.min(sums.len() - 1)].0
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
            let there = entries.there(at);
            (0..there.count()).map(|place| there.at(place).index()).collect::<Vec<usize>>()
        };
        assert_eq!([there(0), there(19)], [[0, 1, 3], [0, 1, 3]]);
        assert_eq!([there(20), there(39)], [[0, 1, 2, 3], [0, 1, 2, 3]]);
        assert_eq!(there(40), [0, 1, 2]);
    }
}
