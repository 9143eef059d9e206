//! How long a request takes if nothing is in its way: the network, and its own job.

use std::time::Duration;

use crate::dist::Distribution;
use crate::host::{HostId, IdMap};
use crate::network::{LinkQuality, SiteId, SiteMap, SiteNetwork};
use crate::scenario::{AgentSpec, JobKind, Scenario};

use super::job_cost::JobCost;

/// How many quantiles stand for a distribution. A job's time is the sum of two draws, so there are
/// as many sums as the square of this.
const QUANTILES: u32 = 64;

/// The median time that messages of a request take: from the client to its entry agent, on to the
/// agent that does the job, and both ways back. Links with a quality of their own, probes and new
/// connections are left out, so it is a lower bound.
pub(super) fn network(scenario: &Scenario) -> Duration {
    let median = |quality: &LinkQuality| quality.latency.quantile(0.5).as_secs_f64();
    let Some(sites) = &scenario.network.sites else {
        return Duration::from_secs_f64(4.0 * median(&scenario.network.quality));
    };
    let there = share_of_agents(sites);
    let client = sites.homes[HostId::CLIENT];
    let both = |a: SiteId, b: SiteId| median(&sites.links[a][b]) + median(&sites.links[b][a]);
    let mut mean = 0.0;
    for (entry, entries) in there.iter() {
        let onward: f64 = there.iter().map(|(worker, share)| share * both(entry, worker)).sum();
        mean += entries * (both(client, entry) + onward);
    }
    Duration::from_secs_f64(mean)
}

/// The share of all agents that lives at each site.
fn share_of_agents(sites: &SiteNetwork) -> SiteMap<f64> {
    let mut shares: SiteMap<f64> = IdMap::filled(0.0, sites.names.len());
    let each = 1.0 / sites.homes.agents().count() as f64;
    sites.homes.agents().for_each(|agent| shares[sites.homes[agent.host()]] += each);
    shares
}

/// The share of the jobs of a kind that take longer than `limit` by themselves, with the parts that
/// they have done, on an agent of middling speed among those that can do them.
pub(super) fn share_longer(scenario: &Scenario, kind: &JobKind, limit: Duration) -> f64 {
    let able = scenario.agents.iter().filter(|agent| agent.can_do(kind));
    let mut able: Vec<&AgentSpec> = able.collect();
    able.sort_by(|a, b| a.machine.speed.total_cmp(&b.machine.speed));
    let Some(agent) = able.get(able.len() / 2) else { return 0.0 };
    let machine = &agent.machine;
    let without_draws =
        JobKind { demand: Distribution::Constant { value: 0.0 }, wait: None, ..kind.clone() };
    let rest = JobCost::of(scenario, agent, &without_draws).hold;
    let none = Distribution::Constant { value: 0.0 };
    let works = quantiles(&kind.demand, machine.speed);
    let waits = quantiles(kind.wait.as_ref().unwrap_or(&none), machine.wait_speed);
    let limit = limit.as_secs_f64() - rest;
    let longer =
        works.iter().map(|work| waits.len() - waits.partition_point(|wait| work + wait <= limit));
    longer.sum::<usize>() as f64 / (works.len() * waits.len()) as f64
}

/// Equally likely draws, in seconds, in ascending order, at a speed.
fn quantiles(distribution: &Distribution, speed: f64) -> Vec<f64> {
    let at = |number: u32| (f64::from(number) + 0.5) / f64::from(QUANTILES);
    let draw = |number| distribution.quantile(at(number)).as_secs_f64() / speed;
    match distribution {
        Distribution::Constant { value } => vec![value / speed],
        _ => (0..QUANTILES).map(draw).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;

    #[test]
    fn half_of_the_jobs_are_longer_than_the_median() {
        let mut scenario = example::scenario(2, Duration::from_secs(10), &["random"]);
        scenario.workload.jobs[0].demand = Distribution::Constant { value: 0.5 };
        scenario.workload.jobs[0].wait = Some(Distribution::lognormal_by_median(4.0, 40.0));
        let longer = |ms: u64, scenario: &Scenario| {
            share_longer(scenario, &scenario.workload.jobs[0], Duration::from_millis(ms))
        };
        assert_eq!(longer(4_500, &scenario), 0.5);
        assert_eq!(longer(400, &scenario), 1.0);
        assert!(longer(40_500, &scenario) < 0.02);
        scenario.agents.iter_mut().for_each(|agent| agent.machine.wait_speed = 2.0);
        assert_eq!(longer(2_500, &scenario), 0.5);
    }

    #[test]
    fn a_request_crosses_the_network_four_times() {
        let mut scenario = example::scenario(2, Duration::from_secs(10), &["random"]);
        assert_eq!(network(&scenario), Duration::from_millis(4));
        let text = r#"
duration = "9s"
sites = [{ name = "a", one_way = "1ms" }, { name = "b", one_way = "1ms" }]
agents = [{ name = "x", site = "a" }, { name = "y", site = "b" }]
network = { between = [{ sites = ["a", "b"], one_way = "9ms" }] }
workload = { rate = 1, demand = "1ms" }
"#;
        scenario = Scenario::parse(text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
        // Half of the entry agents and half of the workers are at the other site: 2 x 5 + 2 x 5.
        assert_eq!(network(&scenario), Duration::from_millis(20));
    }
}
