//! How much the limits of providers allow.

use super::job_cost::{JobCost, jobs_per_request};
use crate::scenario::{ProviderSpec, Scenario};

/// What a provider allows, and how much of it requests need.
#[derive(Clone, Debug)]
pub(super) struct ProviderLoad {
    pub(super) name: String,
    /// The jobs per second that its limits allow.
    pub(super) jobs_per_second: f64,
    /// How many jobs of each request use it; `None` if other agents can do some of these jobs.
    pub(super) jobs_per_request: Option<f64>,
}

/// Those of a scenario, in its order.
pub(super) fn loads(scenario: &Scenario) -> Vec<ProviderLoad> {
    scenario.providers.iter().map(|provider| load(scenario, provider)).collect()
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
        let id = crate::host::AgentId::new(number as u32);
        !provider.agents.contains(&id) && served.iter().any(|(kind, _)| agent.can_do(kind))
    });
    ProviderLoad {
        name: provider.name.to_string(),
        jobs_per_second: [by_rate, by_slots].into_iter().flatten().fold(f64::INFINITY, f64::min),
        jobs_per_request: (!has_others).then_some(number),
    }
}
