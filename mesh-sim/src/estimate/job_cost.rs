//! What jobs cost an agent: cores for their work, and a slot for as long as they last.

use std::time::Duration;

use crate::dist::Distribution;
use crate::scenario::{AgentSpec, JobKind, Scenario};

/// What a job takes of an agent on average, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct JobCost {
    /// How long it needs a core.
    pub(crate) work: f64,
    /// How long it keeps a slot: it works, waits, and has its parts done.
    pub(crate) hold: f64,
}

impl JobCost {
    /// The cost of a job of this kind on an agent. How long its parts take is a lower bound: they
    /// find an agent that is free, and equal to this one.
    pub(super) fn of(scenario: &Scenario, agent: &AgentSpec, kind: &JobKind) -> Self {
        let (costs, machine) = (&scenario.costs, &agent.machine);
        let own = costs.job.as_secs_f64() + costs.work.as_secs_f64();
        let work = (kind.demand.mean().as_secs_f64() + own) / machine.speed;
        let wait = kind.wait.as_ref().map(Distribution::mean).unwrap_or_default();
        let wait = wait.as_secs_f64() / machine.wait_speed + costs.job_delay.as_secs_f64();
        let part = |kind: &u16| Self::of(scenario, agent, scenario.workload.job(*kind)).hold;
        let mut parts: Vec<f64> = kind.calls.iter().map(part).collect();
        parts.sort_by(f64::total_cmp);
        parts.truncate(kind.join.map_or(parts.len(), |join| join as usize));
        let parts = match kind.in_turn {
            true => parts.iter().sum(),
            false => parts.last().copied().unwrap_or_default(),
        };
        Self { work, hold: work + wait + parts }
    }
}

/// How many jobs there are for each request on average, by kind: its own and their parts.
pub(crate) fn jobs_per_request(scenario: &Scenario) -> Vec<f64> {
    let jobs = &scenario.workload.jobs;
    let shares: f64 = jobs.iter().map(|job| job.share).sum();
    let mut layer: Vec<f64> = jobs.iter().map(|job| job.share / shares).collect();
    let mut all = layer.clone();
    // No kind leads to itself, so parts are at most as deep as there are kinds.
    while layer.iter().any(|jobs| *jobs > 0.0) {
        let mut parts = vec![0.0; jobs.len()];
        for (job, number) in jobs.iter().zip(&layer) {
            job.calls.iter().for_each(|kind| parts[usize::from(*kind)] += number);
        }
        all.iter_mut().zip(&parts).for_each(|(all, parts)| *all += parts);
        layer = parts;
    }
    all
}

/// The share of all cores that is left to the agent on average, in the part of the run that counts.
fn cores_left(scenario: &Scenario, agent: &AgentSpec) -> f64 {
    let (begin, end) = (scenario.warm_up, scenario.duration.max(scenario.warm_up));
    let steps = &agent.machine.background;
    let mut taken = 0.0;
    for (position, step) in steps.iter().enumerate() {
        let until = steps.get(position + 1).map_or(Duration::MAX, |next| next.at);
        let held = until.min(end).saturating_sub(step.at.max(begin));
        taken += step.value * held.as_secs_f64();
    }
    1.0 - taken / (end - begin).as_secs_f64().max(f64::MIN_POSITIVE)
}

/// What an agent has for jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Room {
    /// Its cores, without what other programs take.
    pub(crate) cores: f64,
    /// How many jobs it does at once; infinite if nothing limits it.
    pub(crate) slots: f64,
}

impl Room {
    pub(super) fn of(scenario: &Scenario, agent: &AgentSpec) -> Self {
        let slots = agent.admission.concurrency.limit().map_or(f64::INFINITY, f64::from);
        Self { cores: f64::from(agent.machine.cores) * cores_left(scenario, agent), slots }
    }

    /// How busy an agent is with jobs of this total cost per second, as a share of what it can do:
    /// cores and slots both limit it, and what is scarcer counts.
    pub(super) fn share_busy(self, cost: JobCost) -> f64 {
        (cost.work / self.cores).max(cost.hold / self.slots)
    }
}

/// How many jobs per second an agent can do, if it always has some, of the kinds that it is able to
/// do, in their shares. Infinite if nothing limits it, zero if it can do none.
pub(crate) fn jobs_per_second(scenario: &Scenario, agent: &AgentSpec) -> f64 {
    let shares = jobs_per_request(scenario);
    let kinds = scenario.workload.jobs.iter().zip(shares).filter(|(kind, _)| agent.can_do(kind));
    let (mut number, mut sum) = (0.0, JobCost { work: 0.0, hold: 0.0 });
    for (kind, share) in kinds {
        let cost = JobCost::of(scenario, agent, kind);
        number += share;
        sum = JobCost { work: sum.work + share * cost.work, hold: sum.hold + share * cost.hold };
    }
    match number > 0.0 {
        true => number / Room::of(scenario, agent).share_busy(sum),
        false => 0.0,
    }
}

/// The number of jobs that an agent can do in one run after the warm-up, if it always has some.
/// `None` if nothing limits it.
#[cfg(feature = "reports")]
pub(crate) fn jobs_in_a_run(scenario: &Scenario, agent: &AgentSpec) -> Option<f64> {
    let begins = agent.joins.max(scenario.warm_up);
    let ends = agent.leaves.unwrap_or(scenario.duration).min(scenario.duration);
    let seconds = ends.saturating_sub(begins).as_secs_f64();
    Some(jobs_per_second(scenario, agent))
        .filter(|rate| rate.is_finite())
        .map(|rate| rate * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;
    use crate::scenario::ScheduleStep;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn cores_or_slots_limit_an_agent() {
        let mut scenario = example::scenario(1, Duration::from_secs(10), &["random"]);
        let rate = |scenario: &Scenario| jobs_per_second(scenario, &scenario.agents[0]);
        // Two cores, two slots, 30 ms each.
        close(rate(&scenario), 2.0 / 0.03);
        scenario.agents[0].machine.speed = 2.0;
        close(rate(&scenario), 4.0 / 0.03);
        scenario.workload.jobs[0].wait = Some(Distribution::Constant { value: 0.185 });
        close(rate(&scenario), 2.0 / 0.2);
        scenario.workload.jobs[0].wait = None;
        let half = [(0, 0.0), (5, 1.0)]
            .map(|(at, value)| ScheduleStep { at: Duration::from_secs(at), value });
        scenario.agents[0].machine.background = half.to_vec();
        close(rate(&scenario), 2.0 / 0.03);
    }

    #[test]
    fn parts_are_jobs_and_keep_a_slot_busy() {
        let mut scenario = example::scenario(1, Duration::from_secs(10), &["random"]);
        let part = JobKind { name: "part".into(), share: 0.0, ..scenario.workload.jobs[0].clone() };
        scenario.workload.jobs.push(part);
        scenario.workload.jobs[0].calls = vec![1, 1, 1];
        assert_eq!(jobs_per_request(&scenario), [1.0, 3.0]);
        let hold = |scenario: &Scenario| {
            JobCost::of(scenario, &scenario.agents[0], &scenario.workload.jobs[0]).hold
        };
        close(hold(&scenario), 0.06);
        scenario.workload.jobs[0].in_turn = true;
        close(hold(&scenario), 0.12);
        scenario.workload.jobs[0].join = Some(2);
        close(hold(&scenario), 0.09);
    }
}
