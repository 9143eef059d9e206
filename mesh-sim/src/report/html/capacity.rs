//! How many jobs an agent can do: what its work is compared with, because agents may be unequal.

use std::time::Duration;

use crate::scenario::{AgentSpec, JobKind, Scenario};

/// The number of jobs that an agent can do in one run after the warm-up, if it always has some:
/// limited by its cores and by its slots. `None` if nothing limits it.
pub(super) fn jobs_in_a_run(scenario: &Scenario, agent: &AgentSpec) -> Option<f64> {
    let begins = agent.joins.max(scenario.warm_up);
    let ends = agent.leaves.unwrap_or(scenario.duration).min(scenario.duration);
    let seconds = ends.saturating_sub(begins).as_secs_f64();
    let able = |kind: &&JobKind| kind.skill.as_ref().is_none_or(|skill| agent.skills.have(skill));
    let kinds: Vec<&JobKind> = scenario.workload.jobs.iter().filter(able).collect();
    // Kinds that are only parts of other jobs have no share of their own.
    let has_shares = kinds.iter().any(|kind| kind.share > 0.0);
    let share = |kind: &JobKind| if has_shares { kind.share } else { 1.0 };
    let shares: f64 = kinds.iter().map(|kind| share(kind)).sum();
    let mean = |of: &dyn Fn(&JobKind) -> Duration| {
        let weighted = kinds.iter().map(|kind| share(kind) * of(kind).as_secs_f64());
        weighted.sum::<f64>() / shares.max(f64::MIN_POSITIVE)
    };
    let costs = &scenario.costs;
    let machine = &agent.machine;
    let own = costs.job.as_secs_f64() + costs.work.as_secs_f64();
    let work = (mean(&|kind| kind.demand.mean()) + own) / machine.speed;
    let wait =
        mean(&|kind| kind.wait.as_ref().map(crate::dist::Distribution::mean).unwrap_or_default());
    let wait = wait / machine.wait_speed + costs.job_delay.as_secs_f64();
    let by_cores = (work > 0.0).then(|| f64::from(machine.cores) / work);
    let slots = agent.admission.concurrency.limit().map(f64::from);
    let by_slots = slots.filter(|_| work + wait > 0.0).map(|slots| slots / (work + wait));
    let rate = [by_cores, by_slots].into_iter().flatten().reduce(f64::min)?;
    Some(rate * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;

    #[test]
    fn cores_or_slots_limit_an_agent() {
        let mut scenario = example::scenario(1, Duration::from_secs(10), &["random"]);
        let jobs = |scenario: &Scenario| jobs_in_a_run(scenario, &scenario.agents[0]).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        // Two cores, two slots, 30 ms each.
        close(jobs(&scenario), 10.0 * 2.0 / 0.03);
        scenario.agents[0].machine.speed = 2.0;
        close(jobs(&scenario), 10.0 * 4.0 / 0.03);
        scenario.workload.jobs[0].wait = Some(crate::dist::Distribution::Constant { value: 0.185 });
        close(jobs(&scenario), 10.0 * 2.0 / 0.2);
        scenario.agents[0].joins = Duration::from_secs(4);
        scenario.agents[0].leaves = Some(Duration::from_secs(9));
        close(jobs(&scenario), 5.0 * 2.0 / 0.2);
    }
}
