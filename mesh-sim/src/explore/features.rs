//! What explored scenarios have, so that a report can say in how many runs it was tried.

use mesh_core::resilience::ModifierConfig;

use crate::scenario::{AgentSpec, BatchSize, Costs, JobKind, OpenArrivals, Scenario};

/// Whether a scenario has a feature.
type IsInScenario = fn(&Scenario) -> bool;

/// The number of features.
pub(super) const ALL_FEATURES: usize = 21;

/// Everything that is looked for, and how to see whether a scenario has it.
const FEATURES: [(&str, IsInScenario); ALL_FEATURES] = [
    ("rate steps", |scenario| open(scenario, |open| open.rates.len() > 1)),
    ("bursts", |scenario| open(scenario, |open| !open.bursts.is_empty())),
    ("rate curve", |scenario| open(scenario, |open| open.curve.is_some())),
    ("on/off arrivals", |scenario| open(scenario, |open| open.on_off.is_some())),
    ("batches", |scenario| open(scenario, |open| open.batch != BatchSize::Fixed(1))),
    ("kinds of jobs", |scenario| scenario.workload.jobs.len() > 1),
    ("waits", |scenario| job(scenario, |job| job.wait.is_some())),
    ("skills", |scenario| job(scenario, |job| job.skill.is_some())),
    ("calls", |scenario| job(scenario, |job| !job.calls.is_empty())),
    ("calls in turn", |scenario| job(scenario, |job| job.in_turn && job.calls.len() > 1)),
    ("join of some calls", |scenario| job(scenario, waits_for_some)),
    ("own deadlines", |scenario| {
        let first = scenario.workload.job(0).deadline;
        job(scenario, |job| job.deadline != first)
    }),
    ("sessions", |scenario| scenario.workload.sessions.is_some()),
    ("providers", |scenario| !scenario.providers.is_empty()),
    ("costs", |scenario| scenario.costs != Costs::default()),
    ("own policies", |scenario| agent(scenario, |agent| agent.policy.is_some())),
    ("erring agents", |scenario| agent(scenario, |agent| agent.errors.is_some())),
    ("modifiers", has_modifiers),
    ("registries", |scenario| scenario.registries.are_several()),
    ("stores", |scenario| scenario.registries.store.is_some()),
    ("faults at random", |scenario| !scenario.random_faults.is_empty()),
];

/// What a scenario has of it.
pub(super) fn features(scenario: &Scenario) -> impl Iterator<Item = &'static str> {
    FEATURES.iter().filter(|(_, has)| has(scenario)).map(|(name, _)| *name)
}

fn has_modifiers(scenario: &Scenario) -> bool {
    scenario.delegation.modifiers != ModifierConfig::default()
        || agent(scenario, |agent| agent.admission.busy_hint)
}

fn open(scenario: &Scenario, has: impl Fn(&OpenArrivals) -> bool) -> bool {
    scenario.workload.arrivals.open().is_some_and(has)
}

fn job(scenario: &Scenario, has: impl Fn(&JobKind) -> bool) -> bool {
    scenario.workload.jobs.iter().any(has)
}

fn waits_for_some(job: &JobKind) -> bool {
    job.join.is_some_and(|join| (join as usize) < job.calls.len())
}

fn agent(scenario: &Scenario, has: impl Fn(&AgentSpec) -> bool) -> bool {
    scenario.agents.iter().any(has)
}
