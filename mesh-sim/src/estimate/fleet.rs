//! How much the agents can do together, if their work is spread as well as it can be.

use std::time::Duration;

use super::job_cost::{JobCost, Room, jobs_per_request};
use super::providers;
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::{AgentSpec, EntryChoice, JobKind, Scenario};

/// How often the spread of the work is improved. Each round brings the most and the least busy
/// agents about half as close to each other; half of these leave less than can be seen.
const ROUNDS: usize = 60;

/// Neighbours among the agents that are equal but for their names.
#[derive(Clone, Debug)]
pub(super) struct AgentGroup<'a> {
    /// The agents, at least one.
    pub(super) agents: &'a [AgentSpec],
    room: Room,
    /// What a job of each kind costs, in the scenario's order; `None` if they can't do it.
    costs: Vec<Option<JobCost>>,
    /// How many of the agents take jobs of requests. One that all requests enter through has them
    /// done by the others.
    takers: f64,
}

/// The agents of a scenario in groups.
#[derive(Clone, Debug)]
pub(super) struct Fleet<'a> {
    pub(super) groups: Vec<AgentGroup<'a>>,
    /// How many jobs of each kind there are for a request.
    jobs: Vec<f64>,
}

/// What limits a fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    /// How many requests per second keep the busiest agents busy all the time. Infinite if nothing
    /// limits them.
    pub(super) requests_per_second: f64,
    pub(super) limited_by: Limit,
}

/// What is scarcest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Cores,
    /// How many jobs agents take at once.
    Slots,
    /// What the providers allow that agents use.
    Providers,
}

/// Which agents are there, and which kinds of jobs count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FleetPart<'a> {
    /// Only agents that are there at this time; all if `None`.
    pub(super) at: Option<Duration>,
    /// Only jobs that demand this skill; all if `None`.
    pub(super) skill: Option<&'a str>,
}

impl FleetPart<'_> {
    /// Whether the agent is there.
    pub(super) fn has(&self, agent: &AgentSpec) -> bool {
        self.at.is_none_or(|at| agent.joins <= at && agent.leaves.is_none_or(|end| at < end))
    }
}

impl<'a> Fleet<'a> {
    pub(super) fn of(scenario: &'a Scenario) -> Self {
        let alike =
            |a: &AgentSpec, b: &AgentSpec| AgentSpec { name: b.name.clone(), ..a.clone() } == *b;
        let gate = match scenario.workload.entry {
            EntryChoice::Fixed(id) => Some(id),
            _ => None,
        };
        let mut first = 0;
        let mut groups = Vec::new();
        for agents in scenario.agents.chunk_by(alike) {
            let has_gate =
                gate.is_some_and(|id: AgentId| (first..first + agents.len()).contains(&id.index()));
            first += agents.len();
            let jobs = &scenario.workload.jobs;
            let cost = |kind: &JobKind| {
                agents[0].can_do(kind).then(|| JobCost::of(scenario, &agents[0], kind))
            };
            groups.push(AgentGroup {
                agents,
                room: Room::of(scenario, &agents[0]),
                costs: jobs.iter().map(cost).collect(),
                takers: agents.len() as f64 - if has_gate { 1.0 } else { 0.0 },
            });
        }
        Self { groups, jobs: jobs_per_request(scenario) }
    }

    /// The capacity of a part of the fleet for its part of the jobs. `None` if it has no such jobs,
    /// or nobody for them.
    pub(super) fn capacity(&self, scenario: &Scenario, part: FleetPart<'_>) -> Option<Capacity> {
        let counts = |skill: Option<&str>| part.skill.is_none_or(|wanted| skill == Some(wanted));
        let mut jobs = self.jobs.clone();
        for (number, kind) in jobs.iter_mut().zip(&scenario.workload.jobs) {
            *number = if counts(kind.skill.as_deref()) { *number } else { 0.0 };
        }
        let groups: Vec<&AgentGroup<'_>> = self
            .groups
            .iter()
            .filter(|group| group.takers > 0.0 && part.has(&group.agents[0]))
            .collect();
        let spread = Spread::even(&groups, &jobs)?;
        let busy = spread.settled(&groups, &jobs);
        let (share, cost, room) = busy.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        let (own, allowed) = (1.0 / share, providers::allowed(scenario, part));
        let limited_by = match cost.hold / room.slots > cost.work / room.cores {
            // What is a hair less comes from rounding.
            _ if allowed < own * (1.0 - 1e-9) => Limit::Providers,
            true => Limit::Slots,
            false => Limit::Cores,
        };
        Some(Capacity { requests_per_second: own.min(allowed), limited_by })
    }
}

impl Fleet<'_> {
    /// What a job of a kind costs the first agent that can do it.
    pub(super) fn cost_somewhere(&self, kind: usize) -> Option<JobCost> {
        self.groups.iter().find_map(|group| group.costs[kind])
    }

    /// How long the job of a request lasts on average, in seconds, at the first agent that can do it.
    pub(super) fn mean_job(&self, scenario: &Scenario) -> f64 {
        let jobs = &scenario.workload.jobs;
        let shares: f64 = jobs.iter().map(|job| job.share).sum();
        let hold = |kind| self.cost_somewhere(kind).map_or(0.0, |cost| cost.hold);
        jobs.iter().enumerate().map(|(kind, job)| job.share / shares * hold(kind)).sum()
    }
}

/// How the jobs of one request per second are spread over groups: for each kind, the jobs per
/// second of each group.
struct Spread(Vec<Vec<f64>>);

impl Spread {
    /// Each agent that can do a kind gets the same share of it. `None` if there are no jobs, or if
    /// nobody can do some of them.
    fn even(groups: &[&AgentGroup<'_>], jobs: &[f64]) -> Option<Self> {
        let mut spread = Vec::new();
        for (kind, number) in jobs.iter().enumerate() {
            let takers = |group: &&AgentGroup<'_>| match group.costs[kind] {
                Some(_) => group.takers,
                None => 0.0,
            };
            let row = normalized(groups.iter().map(takers).collect(), *number)?;
            spread.push(row);
        }
        jobs.iter().any(|number| *number > 0.0).then_some(Self(spread))
    }

    /// Moves jobs from busy groups to idle ones until all groups that can do a kind are equally
    /// busy, as far as that is possible. Returns how busy an agent of each group then is, with what
    /// its jobs cost in a second and what it has for them.
    fn settled(mut self, groups: &[&AgentGroup<'_>], jobs: &[f64]) -> Vec<(f64, JobCost, Room)> {
        for _ in 0..ROUNDS {
            let busy = self.busy(groups);
            for (row, number) in self.0.iter_mut().zip(jobs) {
                // A share falls with the square root of how busy its group is.
                let moved = row.iter().zip(&busy);
                let moved = moved.map(|(jobs, busy)| jobs / busy.0.max(1e-12).sqrt()).collect();
                if let Some(moved) = normalized(moved, *number) {
                    *row = moved;
                }
            }
        }
        self.busy(groups)
    }

    fn busy(&self, groups: &[&AgentGroup<'_>]) -> Vec<(f64, JobCost, Room)> {
        let busy = |(position, group): (usize, &&AgentGroup<'_>)| {
            let mut sum = JobCost { work: 0.0, hold: 0.0 };
            for (row, cost) in self.0.iter().zip(&group.costs) {
                let Some(cost) = cost else { continue };
                let each = row[position] / group.takers;
                sum.work += each * cost.work;
                sum.hold += each * cost.hold;
            }
            (group.room.share_busy(sum), sum, group.room)
        };
        groups.iter().enumerate().map(busy).collect()
    }
}

/// The numbers in the same proportion with the sum `sum`; `None` if that can't be.
fn normalized(numbers: Vec<f64>, sum: f64) -> Option<Vec<f64>> {
    let whole: f64 = numbers.iter().sum();
    match whole > 0.0 {
        true => Some(numbers.into_iter().map(|number| number / whole * sum).collect()),
        false => (sum == 0.0).then_some(numbers),
    }
}
