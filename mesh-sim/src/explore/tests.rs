use super::features::ALL_FEATURES;
use std::collections::BTreeSet;

use super::*;
use crate::minimize::{Effort, MinimizeTarget, minimize};
use crate::network::SiteId;
use crate::parallel::cores;
use crate::run_failure::Defect;
use crate::scenario::Scenario;

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
        || false,
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
    let real: Vec<&str> = none.never_met(EngineKind::Turmoil, true).collect();
    let more: Vec<&str> =
        none.never_met(EngineKind::Event, true).filter(|state| !real.contains(state)).collect();
    assert_eq!(more, ["registry heard a call twice"]);
}

#[test]
fn oracles_hold_and_states_are_met_under_random_faults() {
    let (totals, failed_runs) = explore(false, 2, 12);
    assert!(failed_runs.is_empty(), "{failed_runs:?}");
    assert!(totals.requests > 100 && totals.events > totals.requests);
    let met: Vec<&str> = totals.coverage.met().map(|(state, _)| state).collect();
    assert!(met.contains(&"lease of a crashed agent expired"), "{met:?}");
    let never = totals.coverage.never_met(EngineKind::Event, false);
    assert_eq!(met.len() + never.count(), 37, "without those of autoscalers");
}

#[test]
fn sites_stay_and_get_other_latencies() {
    let sites = "[[sites]]\nname = \"a\"\n[[sites]]\nname = \"b\"\n\
                 [network]\nround_trip = \"2ms\"\n\
                 [[network.between]]\nsites = [\"a\", \"b\"]\nround_trip = \"80ms\"\n[[agents]]";
    let agents = "site = \"a\"\neach = { \"agent-3\" = { site = \"b\" } }\ncount = 3";
    let text = SCENARIO.replace("[[agents]]", sites).replace("count = 3", agents);
    let base = ScenarioFile::parse(&text, "base.toml").unwrap_or_else(|error| panic!("{error}"));
    let homes = |scenario: &Scenario| -> BTreeMap<String, SiteId> {
        let homes = &scenario.network.sites.as_ref().expect("sites").homes;
        let faults = scenario.fault_schedule();
        // Some runs have more registries than the base.
        let hosts = faults.hosts().iter().filter(|(_, name)| !name.starts_with("registry-"));
        hosts.map(|(host, name)| (name.to_string(), homes[host])).collect()
    };
    let between = |file: ScenarioFile| {
        assert_eq!(homes(&file.scenario), homes(&base.scenario));
        format!("{:?}", file.scenario.network.sites.expect("sites").links)
    };
    let drawn: BTreeSet<String> = drawn(&base, 20).map(between).collect();
    assert!(drawn.len() > 15, "{drawn:?}");
}

/// The scenario that is drawn for the run with this number, which must be sound.
fn sound(base: &ScenarioFile, engine: EngineKind, number: usize) -> ScenarioFile {
    let drawn = draw_scenario(base, engine, 3, number);
    let file = drawn.draft.check("drawn.toml").unwrap_or_else(|error| panic!("{error}"));
    file.check_engine(engine).unwrap_or_else(|error| panic!("{error}"));
    file
}

/// Scenarios that are drawn from a base, for each engine in turn.
fn drawn(base: &ScenarioFile, count: usize) -> impl Iterator<Item = ScenarioFile> {
    let engine = |number: usize| [EngineKind::Turmoil, EngineKind::Event][number % 2];
    (0..count).map(move |number| sound(base, engine(number), number))
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
    let mut kinds = Vec::new();
    let mut beyond_turmoil = 0;
    for file in drawn(&base(), 200) {
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

#[test]
fn every_feature_is_drawn_in_some_runs_and_left_out_in_others() {
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for file in drawn(&base(), 200) {
        features(&file.scenario).for_each(|feature| *runs.entry(feature).or_default() += 1);
    }
    assert_eq!(runs.len(), ALL_FEATURES, "{runs:?}");
    assert!(runs.values().all(|count| (5..150).contains(count)), "{runs:?}");
}

#[test]
fn what_the_base_says_of_its_jobs_and_agents_stays() {
    let agents = "count = 3\nskills = [\"s\"]\npolicy = \"random\"\nbusy_hint = false\n\
                  errors = { answer = \"busy\" }";
    let text = SCENARIO.replace("count = 3", agents);
    let text = text.replace("demand = { kind = \"exponential\", mean = \"10ms\" }", "");
    let text = format!(
        "{text}[workload.sessions]\nlength = 3\npause = \"1s\"\nwarm = 0.5\n\
         [[workload.jobs]]\nname = \"a\"\nskill = \"s\"\nwait = \"9ms\"\n\
         calls = [{{ job = \"b\", count = 2 }}]\n\
         [[workload.jobs]]\nname = \"b\"\nshare = 0\ndemand = \"8ms\"\n"
    );
    let base = ScenarioFile::parse(&text, "base.toml").unwrap_or_else(|error| panic!("{error}"));
    let mut joins = BTreeSet::new();
    for file in drawn(&base, 40) {
        let (own, drawn) = (&base.scenario, &file.scenario);
        assert_eq!(own.agents, drawn.agents);
        assert_eq!(own.workload.sessions, drawn.workload.sessions);
        let jobs = |scenario: &Scenario| -> Vec<String> {
            let jobs = scenario.workload.jobs.iter();
            jobs.map(|job| format!("{:?}", (&job.name, &job.demand, &job.wait, &job.calls)))
                .collect()
        };
        assert_eq!(jobs(own), jobs(drawn));
        assert_eq!(drawn.workload.jobs[1].share, 0.0);
        joins.insert(drawn.workload.jobs[0].join);
    }
    assert_eq!(joins.into_iter().collect::<Vec<_>>(), [None, Some(1), Some(2)]);
}

#[test]
fn every_scenario_of_the_repository_can_be_explored() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../scenarios", "tests/scenarios/valid"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    let mut explored = 0;
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
        let base = ScenarioFile::read(&path).unwrap_or_else(|error| panic!("{error}"));
        for engine in [EngineKind::Turmoil, EngineKind::Event] {
            if base.check_engine(engine).is_ok() {
                explored += 1;
                (0..10).for_each(|number| drop(sound(&base, engine, number)));
            }
        }
    }
    assert!(explored > 20, "{explored}");
}
