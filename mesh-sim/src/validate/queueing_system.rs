//! A scenario in the terms of queueing theory.

use super::closed_forms::TwoPoint;
use crate::dist::Distribution;
use crate::host::IndexedId as _;
use crate::scenario::{
    AgentSpec, Arrivals, BatchSize, EntryChoice, JobKind, ProviderBounds, Scenario,
};

/// A dispatcher with Poisson arrivals, and equal servers behind it. The dispatcher is the entry
/// agent, the servers are the other agents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct QueueingSystem {
    /// The number of servers.
    pub(super) servers: u32,
    /// The number of cores of each server.
    pub(super) cores: u32,
    /// How many jobs may run at once on a server; `None` if there is no limit.
    pub(super) slots: Option<u32>,
    /// How many jobs may be on a server at once, running or waiting, if `slots` has a limit.
    pub(super) places: u32,
    /// The mean service time in seconds.
    pub(super) service: f64,
    /// The squared coefficient of variation of the service times.
    pub(super) scv: f64,
    /// The load per core, from 0 to 1.
    pub(super) load: f64,
    /// How many jobs arrive at once.
    pub(super) batch: BatchSize,
    /// How many jobs arrive per second.
    pub(super) rate: f64,
    /// The limits of the provider of all servers, if they have one.
    pub(super) provider: Option<ProviderBounds>,
}

impl QueueingSystem {
    /// The system that a scenario describes.
    ///
    /// # Errors
    /// What in the scenario is different from such a system.
    pub(super) fn of(scenario: &Scenario) -> Result<Self, &'static str> {
        let EntryChoice::Fixed(dispatcher) = scenario.workload.entry else {
            return Err("requests enter through more than one agent");
        };
        let Arrivals::Poisson(open) = &scenario.workload.arrivals else {
            return Err("arrivals are not Poisson");
        };
        let rate = open.steady_rate().ok_or("the rate changes")?;
        if scenario.agents.iter().any(|agent| agent.policy.is_some()) {
            return Err("agents have policies of their own");
        }
        let stays = |agent: &AgentSpec| agent.joins.is_zero() && agent.leaves.is_none();
        if !scenario.agents.iter().all(stays) {
            return Err("agents join or leave");
        }
        let servers: Vec<&AgentSpec> = scenario
            .agents
            .iter()
            .enumerate()
            .filter_map(|(index, agent)| (index != dispatcher.index()).then_some(agent))
            .collect();
        let [first, others @ ..] = &servers[..] else { return Err("there is no server") };
        let like = |agent: &&&AgentSpec| {
            (&agent.machine, agent.admission) == (&first.machine, first.admission)
        };
        if !others.iter().all(|agent| like(&agent)) || scenario.delegation.to_self {
            return Err("the servers differ");
        }
        let [JobKind { demand, wait: None, .. }] = &scenario.workload.jobs[..] else {
            return Err("there are several kinds of jobs, or jobs wait");
        };
        let service = demand.mean().as_secs_f64() / first.machine.speed;
        let cores = servers.len() as f64 * f64::from(first.machine.cores);
        let load = rate * service / cores;
        if load >= 1.0 {
            return Err("the load is more than can be done");
        }
        let provider = match &scenario.providers[..] {
            [] => None,
            [only] if only.agents.len() == servers.len() && only.jobs.is_none() => {
                Some(only.bounds)
            }
            _ => return Err("the servers have several providers"),
        };
        let slots = first.admission.concurrency.limit();
        Ok(Self {
            servers: servers.len() as u32,
            cores: first.machine.cores,
            slots,
            places: slots.unwrap_or_default().saturating_add(first.admission.queue),
            service,
            scv: scv(demand).ok_or("the variance of the demand is not known")?,
            load,
            batch: open.batch,
            rate,
            provider,
        })
    }

    /// Whether jobs are served first come first served, with a core for each running job.
    pub(super) fn is_fcfs(&self) -> bool {
        self.slots == Some(self.cores)
    }
}

/// The service times of a demand that takes one of two values, in units of their mean.
///
/// # Errors
/// If the demand may take other values.
pub(super) fn two_point(demand: &Distribution) -> Result<TwoPoint, &'static str> {
    let Distribution::Bimodal { low, high, high_ratio } = *demand else {
        return Err("the demand does not take one of two values");
    };
    let mean = low + (high - low) * high_ratio;
    Ok(TwoPoint { low: low / mean, high: high / mean, high_ratio })
}

/// The squared coefficient of variation of a distribution; `None` if there is no simple formula.
fn scv(distribution: &Distribution) -> Option<f64> {
    match *distribution {
        Distribution::Constant { .. } => Some(0.0),
        Distribution::Exponential { .. } => Some(1.0),
        Distribution::Lognormal { sigma, .. } => Some(libm::expm1(sigma * sigma)),
        Distribution::Bimodal { low, high, high_ratio } => {
            let mean = low + (high - low) * high_ratio;
            let square = low * low + (high * high - low * low) * high_ratio;
            Some(square / (mean * mean) - 1.0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_of_bimodal_service() {
        // Mean 1, mean square 0.95 x 0.25 + 0.05 x 110.25 = 5.75.
        let bimodal = Distribution::Bimodal { low: 0.5, high: 10.5, high_ratio: 0.05 };
        assert!((scv(&bimodal).unwrap() - 4.75).abs() < 1e-12);
        let doubled = Distribution::Bimodal { low: 1.0, high: 21.0, high_ratio: 0.05 };
        assert!((scv(&doubled).unwrap() - 4.75).abs() < 1e-12);
        let lognormal = Distribution::Lognormal { median: 3.0, sigma: 1.0 };
        assert!((scv(&lognormal).unwrap() - 1.718_281_8).abs() < 1e-6);
    }
}
