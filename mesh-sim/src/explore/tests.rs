use super::*;
use crate::failure::Defect;
use crate::minimize::{Effort, Target, minimize};
use crate::parallel::cores;

/// A small mesh; the demand that 99.9 % of requests be answered can't survive faults.
const SCENARIO: &str = r#"
name = "base"
description = "a base to explore"
duration = "6s"
drain = "2s"
policies = ["random", "power_of_two"]

[registry]
ttl = "1s"
heartbeat = "300ms"
sweep = "200ms"
refresh = "300ms"
timeout = "100ms"

[[agents]]
name = "agent"
count = 3

[workload]
arrivals = "poisson"
rate = 20
demand = { kind = "exponential", mean = "10ms" }
deadline = "600ms"

[delegation]
probe_timeout = "50ms"
connect_timeout = "100ms"

[expect."*"]
min_success = 0.999
"#;

fn base() -> Loaded {
    Loaded::from_text(SCENARIO, "base.toml").unwrap()
}

fn explore(thresholds: bool, threads: usize, runs: usize) -> (Explored, Vec<Found>) {
    let base = base();
    let exploration =
        Exploration { base: &base, engine: base.scenario.engine, seed: 1, thresholds };
    let mut all = Vec::new();
    let explored = exploration.execute(
        NonZero::new(threads).unwrap(),
        |number| number < runs,
        |news| {
            all.extend(news.found);
            ControlFlow::Continue(())
        },
    );
    (explored.unwrap(), all)
}

#[test]
fn a_broken_property_is_found_and_shrunk_whatever_the_threads() {
    let (explored, found) = explore(true, 2, 6);
    let (again, found_again) = explore(true, 1, 6);
    assert_eq!(format!("{explored:?}"), format!("{again:?}"));
    assert_eq!(format!("{found:?}"), format!("{found_again:?}"));
    assert_eq!(explored.runs, 6);
    let faults = |found: &&Found| found.draft.load("").unwrap().scenario.faults.len();
    let worst = found.iter().max_by_key(faults).unwrap();
    assert!(faults(&worst) >= 2, "{found:?}");

    let loaded = worst.draft.load("found.toml").unwrap();
    let target = Target {
        policy: worst.policy.clone(),
        seed: worst.seed,
        engine: loaded.scenario.engine,
        defect: None,
    };
    let effort = Effort { threads: cores(), max_tries: 25 };
    let minimal = minimize(&loaded, &target, effort, &mut |_| ()).unwrap();
    assert_eq!(minimal.failure.defect, worst.failures[0].defect);
    assert!(matches!(minimal.failure.defect, Defect::Threshold { field: "min_success", .. }));
    assert!(minimal.scenario.faults.len() < loaded.scenario.faults.len());
}

#[test]
fn what_an_engine_cannot_bring_about_is_not_missed() {
    let none = Coverage::default();
    let real: Vec<&str> = none.never_met(EngineKind::Turmoil).collect();
    let more: Vec<&str> =
        none.never_met(EngineKind::Event).filter(|state| !real.contains(state)).collect();
    assert_eq!(more, ["registry heard a call twice"]);
}

#[test]
fn oracles_hold_and_states_are_met_under_random_faults() {
    let (explored, found) = explore(false, 2, 12);
    assert!(found.is_empty(), "{found:?}");
    assert!(explored.requests > 100 && explored.events > explored.requests);
    let met: Vec<&str> = explored.coverage.met().map(|(state, _)| state).collect();
    assert!(met.contains(&"lease of a crashed agent expired"), "{met:?}");
    assert!(met.len() + explored.coverage.never_met(EngineKind::Event).count() == 30);
}

#[test]
fn every_drawn_scenario_is_sound_and_some_have_few_kinds_of_faults() {
    let base = base();
    let mut kinds = Vec::new();
    let mut beyond_turmoil = 0;
    for number in 0..200 {
        let engine = [EngineKind::Turmoil, EngineKind::Event][number % 2];
        let drawn = draw(&base, engine, 3, number);
        let loaded = drawn.draft.load("drawn.toml").unwrap_or_else(|error| panic!("{error}"));
        loaded.check_engine(engine).unwrap_or_else(|error| panic!("{error}"));
        beyond_turmoil += usize::from(loaded.check_engine(EngineKind::Turmoil).is_err());
        let mut of: Vec<&str> = loaded.scenario.faults.iter().map(|f| f.kind.name()).collect();
        let healed = loaded.scenario.duration * 3 / 4;
        let heals = |fault: &crate::scenario::Fault| fault.at + fault.lasts.unwrap() <= healed;
        assert!(loaded.scenario.faults.iter().all(heals));
        of.sort_unstable();
        of.dedup();
        kinds.push(of.len());
    }
    assert!(beyond_turmoil > 50, "{beyond_turmoil} of 100");
    assert!(kinds.contains(&1) && kinds.iter().any(|count| *count > 3));
}
