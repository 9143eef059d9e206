use super::*;
use crate::minimize::{Effort, MinimizeTarget, minimize};
use crate::parallel::cores;
use crate::run_failure::Defect;

/// A small mesh. Under faults it misses the threshold that 99.9 % of the requests are answered.
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

fn base() -> ScenarioFile {
    ScenarioFile::parse(SCENARIO, "base.toml").unwrap()
}

fn explore(thresholds: bool, threads: usize, runs: usize) -> (ExplorationTotals, Vec<FailedRun>) {
    let base = base();
    let exploration =
        Exploration { base: &base, engine: base.scenario.engine, seed: 1, thresholds };
    let mut all = Vec::new();
    let totals = exploration.execute(
        NonZero::new(threads).unwrap(),
        |number| number < runs,
        |progress| {
            all.extend(progress.failed_run);
            ControlFlow::Continue(())
        },
    );
    (totals.unwrap(), all)
}

#[test]
fn a_broken_property_is_found_and_shrunk_whatever_the_threads() {
    let (totals, failed_runs) = explore(true, 2, 6);
    let (again, failed_runs_again) = explore(true, 1, 6);
    assert_eq!(format!("{totals:?}"), format!("{again:?}"));
    assert_eq!(format!("{failed_runs:?}"), format!("{failed_runs_again:?}"));
    assert_eq!(totals.runs, 6);
    let faults = |run: &&FailedRun| run.draft.check("").unwrap().scenario.faults.len();
    let worst = failed_runs.iter().max_by_key(faults).unwrap();
    assert!(faults(&worst) >= 2, "{failed_runs:?}");

    let file = worst.draft.check("found.toml").unwrap();
    let target = MinimizeTarget {
        policy: worst.policy.clone(),
        seed: worst.seed,
        engine: file.scenario.engine,
        defect: None,
    };
    let effort = Effort { threads: cores(), max_tries: 25 };
    let minimal = minimize(&file, &target, effort, &mut |_| ()).unwrap();
    assert_eq!(minimal.failure.defect, worst.failures[0].defect);
    assert!(matches!(minimal.failure.defect, Defect::Threshold { field: "min_success", .. }));
    assert!(minimal.scenario.faults.len() < file.scenario.faults.len());
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
    let (totals, failed_runs) = explore(false, 2, 12);
    assert!(failed_runs.is_empty(), "{failed_runs:?}");
    assert!(totals.requests > 100 && totals.events > totals.requests);
    let met: Vec<&str> = totals.coverage.met().map(|(state, _)| state).collect();
    assert!(met.contains(&"lease of a crashed agent expired"), "{met:?}");
    assert!(met.len() + totals.coverage.never_met(EngineKind::Event).count() == 35);
}

#[test]
fn sites_stay_and_get_other_latencies() {
    let sites = "[[sites]]\nname = \"a\"\n[[sites]]\nname = \"b\"\n\
                 [network]\nround_trip = \"2ms\"\n\
                 [[network.between]]\nsites = [\"a\", \"b\"]\nround_trip = \"80ms\"\n[[agents]]";
    let agents = "site = \"a\"\neach = { \"agent-3\" = { site = \"b\" } }\ncount = 3";
    let text = SCENARIO.replace("[[agents]]", sites).replace("count = 3", agents);
    let base = ScenarioFile::parse(&text, "base.toml").unwrap_or_else(|error| panic!("{error}"));
    let between = |number: usize| {
        let engine = [EngineKind::Turmoil, EngineKind::Event][number % 2];
        let drawn = draw_scenario(&base, engine, 3, number);
        let file = drawn.draft.check("drawn.toml").unwrap_or_else(|error| panic!("{error}"));
        file.check_engine(engine).unwrap_or_else(|error| panic!("{error}"));
        let sites = file.scenario.network.sites.expect("sites");
        assert_eq!(sites.homes, base.scenario.network.sites.as_ref().expect("sites").homes);
        format!("{:?}", sites.links)
    };
    let drawn: std::collections::BTreeSet<String> = (0..20).map(between).collect();
    assert!(drawn.len() > 15, "{drawn:?}");
}

#[test]
fn providers_stay_and_get_other_limits_and_some_runs_have_one() {
    let drawn = |text: &str, number| {
        let base = ScenarioFile::parse(text, "base.toml").unwrap_or_else(|error| panic!("{error}"));
        let drawn = draw_scenario(&base, EngineKind::Event, 3, number).draft.check("drawn.toml");
        drawn.unwrap_or_else(|error| panic!("{error}")).scenario.providers
    };
    let with_one = (0..80).filter(|number| !drawn(SCENARIO, *number).is_empty()).count();
    assert!((10..=30).contains(&with_one), "{with_one} of 80");
    let own = "[[providers]]\nname = \"model\"\nagents = \"agent-2\"\nconcurrency = 1\nburst = 9\n\
               requests_per_minute = 90\n[[agents]]";
    let text = SCENARIO.replace("[[agents]]", own);
    let limits = (0..20).map(|number| {
        let [provider] = &drawn(&text, number)[..] else { panic!("one provider") };
        assert_eq!((&*provider.name, provider.agents.len()), ("model", 1));
        format!("{:?}", provider.bounds)
    });
    assert!(limits.collect::<std::collections::BTreeSet<_>>().len() > 15);
}

#[test]
fn every_drawn_scenario_is_sound_and_some_have_few_kinds_of_faults() {
    let base = base();
    let mut kinds = Vec::new();
    let mut beyond_turmoil = 0;
    for number in 0..200 {
        let engine = [EngineKind::Turmoil, EngineKind::Event][number % 2];
        let drawn = draw_scenario(&base, engine, 3, number);
        let file = drawn.draft.check("drawn.toml").unwrap_or_else(|error| panic!("{error}"));
        file.check_engine(engine).unwrap_or_else(|error| panic!("{error}"));
        beyond_turmoil += usize::from(file.check_engine(EngineKind::Turmoil).is_err());
        let mut of: Vec<&str> = file.scenario.faults.iter().map(|f| f.kind.name()).collect();
        let healed = file.scenario.duration * 3 / 4;
        let heals = |fault: &crate::faults::Fault| fault.at + fault.lasts.unwrap() <= healed;
        assert!(file.scenario.faults.iter().all(heals));
        of.sort_unstable();
        of.dedup();
        kinds.push(of.len());
    }
    assert!(beyond_turmoil > 50, "{beyond_turmoil} of 100");
    assert!(kinds.contains(&1) && kinds.iter().any(|count| *count > 3));
}
