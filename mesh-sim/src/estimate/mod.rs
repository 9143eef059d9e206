//! What can be said about a scenario before it runs: how much the agents can do, how much they are
//! asked to do, and what will be wrong with the figures.
//!
//! All of it is arithmetic with means. Policies, retries, hedges, faults and errors are left out, so
//! a load of 95 % may well be too much; a load above 100 % always is.

mod alone;
mod fleet;
mod job_cost;
mod offered;
mod providers;
mod seeds;
mod warnings;
mod words;

use std::collections::BTreeSet;
use std::time::Duration;

#[cfg(feature = "reports")]
pub(crate) use self::job_cost::{jobs_in_a_run, jobs_per_request};
#[cfg(feature = "reports")]
pub(crate) use self::offered::rate_at;
pub use self::seeds::usual_seeds;

use self::fleet::{Capacity, Fleet, FleetPart};
use self::offered::{RatePhase, mean_and_peak, phases};
use self::providers::ProviderLoad;
use crate::scenario::{Arrivals, OpenArrivals, Scenario};

/// What can be said about a scenario before it runs.
///
/// ```
/// use mesh_sim::estimate::Estimate;
/// use mesh_sim::scenario::Scenario;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scenario = Scenario::read("../scenarios/overload.toml".as_ref())?;
/// let estimate = Estimate::of(&scenario);
/// assert!(estimate.text().contains("capacity"));
/// assert!(estimate.warnings()[0].contains("148 %"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Estimate<'a> {
    scenario: &'a Scenario,
    fleet: Fleet<'a>,
    /// With all agents; `None` if nobody can do some of the jobs.
    capacity: Option<Capacity>,
    loads: Vec<PhaseLoad>,
    skills: Vec<SkillLoad>,
    providers: Vec<ProviderLoad>,
    /// How many requests per second count on average, in the part of the run that counts.
    counted_rate: f64,
    /// What is left of the work if every session stays at one agent, as a share.
    warm: f64,
}

/// The load in a part of the run.
#[derive(Clone, Copy, Debug)]
struct PhaseLoad {
    phase: RatePhase,
    /// That of the agents that are there, in requests per second.
    capacity: Option<f64>,
}

/// The load of the agents with a skill.
#[derive(Clone, Debug)]
struct SkillLoad {
    skill: String,
    /// How many agents have it.
    agents: usize,
    /// How many requests per second they can do their part of, if they do nothing else.
    capacity: f64,
}

impl PhaseLoad {
    /// The mean rate as a share of the capacity.
    fn share(&self) -> Option<f64> {
        self.capacity.map(|capacity| self.phase.rate / capacity)
    }

    /// The greatest rate of a curve as a share of the capacity.
    fn peak_share(&self) -> Option<f64> {
        self.capacity.map(|capacity| self.phase.peak / capacity)
    }
}

impl<'a> Estimate<'a> {
    /// The estimate for a scenario.
    pub fn of(scenario: &'a Scenario) -> Self {
        let fleet = Fleet::of(scenario);
        let capacity = fleet.capacity(scenario, FleetPart::default());
        let all = capacity.map(|capacity| capacity.requests_per_second);
        let (loads, counted_rate) = match scenario.workload.arrivals.open() {
            Some(open) => open_loads(scenario, &fleet, open, all),
            None => closed_load(scenario, &fleet, all),
        };
        let warm = scenario.workload.sessions.as_ref().map_or(1.0, |sessions| {
            // The first request of a session finds nothing warm.
            let later = 1.0 - 1.0 / sessions.length;
            1.0 - sessions.share * later * (1.0 - sessions.warm)
        });
        let skills = skill_loads(scenario, &fleet);
        let providers = providers::loads(scenario);
        Self { scenario, fleet, capacity, loads, skills, providers, counted_rate, warm }
    }

    /// What the scenario describes and how much work that is, line by line. Each line ends with a
    /// line feed and has at most 80 characters, unless a name is longer.
    pub fn text(&self) -> String {
        words::text(self)
    }

    /// What will be wrong with the figures, and how to mend it: a sentence or two for each reason.
    pub fn warnings(&self) -> Vec<String> {
        warnings::all(self)
    }

    /// How many requests per second keep the busiest agents busy all the time, if the work is spread
    /// as well as it can be. `None` if nothing limits the agents, or if nobody can do some of the
    /// jobs.
    pub fn capacity(&self) -> Option<f64> {
        let capacity = self.capacity.map(|capacity| capacity.requests_per_second);
        capacity.filter(|rate| rate.is_finite())
    }

    /// The load with which a run begins, as a share of the capacity; `None` without a capacity.
    pub fn load(&self) -> Option<f64> {
        self.loads.first().and_then(PhaseLoad::share).filter(|share| share.is_finite())
    }

    /// The text and the warnings.
    pub fn report(&self) -> String {
        let warnings = self.warnings().into_iter();
        self.text() + &warnings.map(|text| words::row("warning", &text)).collect::<String>()
    }

    /// How many requests count for each policy, over all seeds.
    fn counted_requests(&self) -> f64 {
        let Scenario { duration, warm_up, seeds, .. } = self.scenario;
        self.counted_rate * duration.saturating_sub(*warm_up).as_secs_f64() * seeds.len() as f64
    }

    /// The greatest mean rate of a phase, in requests per second.
    fn greatest_rate(&self) -> f64 {
        self.loads.iter().map(|load| load.phase.rate).fold(0.0, f64::max)
    }
}

fn open_loads(
    scenario: &Scenario,
    fleet: &Fleet<'_>,
    open: &OpenArrivals,
    all: Option<f64>,
) -> (Vec<PhaseLoad>, f64) {
    let comes_and_goes =
        scenario.agents.iter().any(|agent| !agent.joins.is_zero() || agent.leaves.is_some());
    let phases = phases(scenario, open);
    let single = phases.len() == 1;
    let load = |phase: RatePhase| {
        let at = FleetPart { at: Some(phase.begin), skill: None };
        let capacity = match comes_and_goes && !single {
            true => fleet.capacity(scenario, at).map(|capacity| capacity.requests_per_second),
            false => all,
        };
        PhaseLoad { phase, capacity }
    };
    let counted = mean_and_peak(open, scenario.warm_up, scenario.duration).0;
    (phases.into_iter().map(load).collect(), counted)
}

/// The load of a closed loop in which nobody waits for others: an upper bound, because clients that
/// wait longer send less.
fn closed_load(
    scenario: &Scenario,
    fleet: &Fleet<'_>,
    capacity: Option<f64>,
) -> (Vec<PhaseLoad>, f64) {
    let Arrivals::Closed { clients, think } = &scenario.workload.arrivals else {
        return (Vec::new(), 0.0);
    };
    let round = fleet.mean_job(scenario)
        + alone::network(scenario).as_secs_f64()
        + think.mean().as_secs_f64();
    let rate = f64::from(*clients) / round.max(1e-9);
    let phase = RatePhase { begin: Duration::ZERO, end: scenario.duration, rate, peak: rate };
    let counted = capacity.map_or(rate, |capacity| rate.min(capacity));
    (vec![PhaseLoad { phase, capacity }], counted)
}

/// The loads by skill; none if every agent can do every job.
fn skill_loads(scenario: &Scenario, fleet: &Fleet<'_>) -> Vec<SkillLoad> {
    let demanded: BTreeSet<&str> =
        scenario.workload.jobs.iter().filter_map(|job| job.skill.as_deref()).collect();
    let load = |skill: &str| {
        let agents = scenario.agents.iter().filter(|agent| agent.skills.have(skill)).count();
        let part = FleetPart { at: None, skill: Some(skill) };
        let capacity = fleet.capacity(scenario, part)?.requests_per_second;
        Some(SkillLoad { skill: skill.to_owned(), agents, capacity })
    };
    let loads: Vec<SkillLoad> = demanded.into_iter().filter_map(load).collect();
    let everybody_can = loads.iter().all(|load| load.agents == scenario.agents.len());
    // If all jobs demand the same skill, its load is that of the whole.
    let jobs = &scenario.workload.jobs;
    let is_only_one = jobs.iter().all(|job| job.skill == jobs[0].skill);
    if everybody_can || is_only_one { Vec::new() } else { loads }
}

#[cfg(test)]
mod tests;
