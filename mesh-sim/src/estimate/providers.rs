//! How much the limits of providers allow.

use super::fleet::FleetPart;
use super::job_cost::{JobCost, jobs_per_request, jobs_per_second};
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::{ProviderSpec, Scenario};

/// What a provider allows, and how much of it requests need.
#[derive(Clone, Debug)]
pub(super) struct ProviderLoad {
    pub(super) name: String,
    /// The jobs per second that its limits allow.
    pub(super) jobs_per_second: f64,
    /// How many jobs may begin at once after a pause; `None` without a limit on their rate.
    pub(super) burst: Option<u32>,
    /// How many jobs of each request use it; `None` if other agents can do some of these jobs.
    pub(super) jobs_per_request: Option<f64>,
}

/// Those of a scenario, in its order.
pub(super) fn loads(scenario: &Scenario) -> Vec<ProviderLoad> {
    scenario.providers.iter().map(|provider| load(scenario, provider)).collect()
}

/// How many requests per second the providers allow: agents of a provider do at most as many jobs
/// as its limits allow, the others as many as they can. Infinite if that is no bound: for a single
/// skill, or if a provider serves only some of the jobs.
pub(super) fn allowed(scenario: &Scenario, part: FleetPart<'_>) -> f64 {
    let needed = jobs_per_request(scenario);
    let kinds = scenario.workload.jobs.iter().zip(&needed).filter(|(_, number)| **number > 0.0);
    let serves_all =
        |provider: &ProviderSpec| kinds.clone().all(|(kind, _)| provider.serves(&kind.name));
    let is_bound = part.skill.is_none() && !scenario.providers.is_empty();
    if !is_bound || !scenario.providers.iter().all(serves_all) {
        return f64::INFINITY;
    }
    let jobs = |id: AgentId| {
        let agent = scenario.agent(id);
        if part.has(agent) { jobs_per_second(scenario, agent) } else { 0.0 }
    };
    let mut all = 0.0;
    let mut has_provider = vec![false; scenario.agents.len()];
    for provider in &scenario.providers {
        provider.agents.iter().for_each(|id| has_provider[id.index()] = true);
        let own: f64 = provider.agents.iter().map(|id| jobs(*id)).sum();
        all += own.min(load(scenario, provider).jobs_per_second);
    }
    let others = has_provider.iter().enumerate().filter(|(_, has)| !**has);
    all += others.map(|(number, _)| jobs(AgentId::new(number as u32))).sum::<f64>();
    all / needed.iter().sum::<f64>()
}

fn load(scenario: &Scenario, provider: &ProviderSpec) -> ProviderLoad {
    let kinds = scenario.workload.jobs.iter().zip(jobs_per_request(scenario));
    let served: Vec<_> = kinds.filter(|(kind, _)| provider.serves(&kind.name)).collect();
    let number: f64 = served.iter().map(|(_, number)| number).sum();
    let first = provider.agents.first().map(|id| scenario.agent(*id));
    let hold = |agent| {
        let hold = served.iter().map(|(kind, n)| n * JobCost::of(scenario, agent, kind).hold);
        hold.sum::<f64>() / number.max(f64::MIN_POSITIVE)
    };
    let by_rate = provider.bounds.requests.map(|bound| f64::from(bound.per_minute) / 60.0);
    let at_once = provider.bounds.concurrency.map(f64::from);
    let by_slots = at_once.zip(first).map(|(slots, agent)| slots / hold(agent));
    let has_others = scenario.agents.iter().enumerate().any(|(number, agent)| {
        let id = AgentId::new(number as u32);
        !provider.agents.contains(&id) && served.iter().any(|(kind, _)| agent.can_do(kind))
    });
    ProviderLoad {
        name: provider.name.to_string(),
        burst: provider.bounds.requests.map(|bound| bound.burst),
        jobs_per_second: [by_rate, by_slots].into_iter().flatten().fold(f64::INFINITY, f64::min),
        jobs_per_request: (!has_others).then_some(number),
    }
}
