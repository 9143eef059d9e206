//! Random scenarios, made from a base scenario that a person wrote.
//!
//! This is swarm testing (A. Groce, C. Zhang, E. Eide, Y. Chen and J. Regehr, "Swarm Testing",
//! ISSTA 2012): each run leaves some kinds of faults out altogether. A run with a little of
//! everything rarely reaches the states for which one kind must happen often.

mod agents;
mod arrivals;
mod autoscale;
mod clients;
mod costs;
mod faults;
mod jobs;
mod latencies;
mod modifiers;
mod providers;
mod registries;

use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use toml::{Table, Value};

use crate::faults::Draw;
use crate::scenario::{Draft, EngineKind, ScenarioFile};

/// A scenario that was drawn, with one policy and one seed.
#[derive(Clone, Debug)]
pub(super) struct DrawnScenario {
    pub(super) draft: Draft,
    pub(super) policy: String,
    pub(super) seed: u64,
}

/// Draws the scenario of the run with this number: the base with other faults, latencies and
/// workload, one of its policies and another seed. Where the base says nothing of kinds of jobs,
/// sessions, skills, policies and errors of agents, or modifiers, some runs have them.
///
/// Every fault with a time ends in the first three quarters of the duration, so that the mesh can
/// heal in the rest.
pub(super) fn draw_scenario(
    base: &ScenarioFile,
    engine: EngineKind,
    seed: u64,
    number: usize,
) -> DrawnScenario {
    let seed = Seed::root(seed).child("explore").child(&number.to_string());
    let scenario = &base.scenario;
    let mut draft = base.draft();
    let stem: String = scenario.name.chars().take(40).collect();
    draft.set(&["name"], format!("{stem}-{number}"));
    draft.set(&["description"], format!("run {number} of an exploration of {}", scenario.name));
    let mut rng = seed.child("run").rng();
    let run_seed = rng.next_u64() >> 32;
    draft.set(&["seeds"], vec![Value::from(run_seed as i64)]);
    let chosen = rng.index(scenario.policies.len());
    let policy = scenario.policies[chosen].label.clone();
    if let Some(all) = draft.get(&["policies"]).and_then(Value::as_array) {
        let one = all[chosen].clone();
        draft.set(&["policies"], vec![one]);
    }
    keep_thresholds(&mut draft, &policy);
    let agents: Vec<Name> = scenario.agents.iter().map(|agent| agent.name.clone()).collect();
    let stream = |label| Draw::new(seed.child(label).rng(), &agents);
    let (count, has_store) =
        registries::registries(&mut draft, scenario, &mut stream("registries"));
    let stream = |label| stream(label).with_registries(count, has_store);
    latencies::network(&mut draft, engine, &mut stream("latencies"));
    latencies::between_sites(&mut draft, engine, &mut stream("sites"));
    let factor = arrivals::load(&mut draft, &mut stream("load"));
    let skills = agents::skills(&mut draft, scenario, &mut stream("skills"));
    let jobs = jobs::kinds(&mut draft, scenario, &skills, &mut stream("jobs"));
    jobs::sessions(&mut draft, scenario, &mut stream("sessions"));
    arrivals::arrivals(&mut draft, scenario, factor, jobs, &mut stream("arrivals"));
    clients::clients(&mut draft, &mut stream("clients"));
    costs::costs(&mut draft, engine, &mut stream("costs"));
    providers::providers(&mut draft, &mut stream("providers"));
    agents::policies(&mut draft, scenario, &mut stream("policies"));
    agents::errors(&mut draft, scenario, &mut stream("errors"));
    autoscale::autoscale(&mut draft, scenario, &mut stream("autoscale"));
    modifiers::modifiers(&mut draft, &mut stream("modifier"));
    let once = faults::with_times(scenario, engine, &mut stream("faults"));
    draft.set_faults(&once);
    let random = faults::at_random(scenario, engine, &once, &mut stream("random_faults"));
    draft.add_random_faults(random.as_slice());
    DrawnScenario { draft, policy, seed: run_seed }
}

/// Removes the thresholds of the policies that are left out, which the checks would refuse.
fn keep_thresholds(draft: &mut Draft, policy: &str) {
    let expect = draft.get(&["expect"]).and_then(Value::as_table).cloned().unwrap_or_default();
    let kept: Table = expect.into_iter().filter(|(of, _)| of == "*" || of == policy).collect();
    draft.remove(&["expect"]);
    if !kept.is_empty() {
        draft.set(&["expect"], kept);
    }
}

/// A table of a scenario file with these fields.
fn table<const N: usize>(fields: [(&str, Value); N]) -> Table {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
