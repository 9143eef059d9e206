use std::fs;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;

use crate::engine::{RunDetail, to_the_end};
use crate::experiment::{RanBy, Report};
use crate::report::write_all;
use crate::runner::RunPlan;
use crate::scenario::{EngineKind, Scenario};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::judge::Finding;
use crate::sweep::{Shard, Sweep, SweepFindings, SweepSpec, SweepTally};

/// The warm-up is for the agents to meet.
const SCENARIO: &str = r#"
name = "small"
description = "Two policies for a few seconds"
seeds = [1, 2]
duration = "3s"
drain = "1s"
warm_up = "1s"
agents = [{ name = "agent", count = 3, cores = 2 }]
policies = ["random", "round_robin"]

[workload]
arrivals = "poisson"
rate = 30
demand = { kind = "exponential", mean = "20ms" }
"#;

/// Results of a scenario in a directory of its own.
fn results(scenario: &Scenario, engine: EngineKind) -> ResultDirectory {
    let dir = TempDir::new().unwrap();
    write(dir.path(), scenario, engine);
    ResultDirectory::read(dir.path()).unwrap()
}

fn write(dir: &Path, scenario: &Scenario, engine: EngineKind) {
    let plan = RunPlan { scenario, engine, detail: RunDetail::Phases };
    let runs = plan.execute(to_the_end).unwrap();
    let (scenario, ran_by) = (scenario.clone(), RanBy::Engine(engine));
    write_all(dir, &Report { scenario, scenario_text: None, ran_by, runs }).unwrap();
}

fn scenario(change: (&str, &str)) -> Scenario {
    let text = SCENARIO.replacen(change.0, change.1, 1);
    assert!(change.0.is_empty() || text != SCENARIO);
    Scenario::parse(&text, "small.toml").unwrap()
}

const AS_IT_IS: (&str, &str) = ("", "");

fn all() -> CompareSpec {
    CompareSpec::default()
}

fn only(policy: &str) -> CompareSpec {
    CompareSpec { policies: vec![policy.to_owned()], ..all() }
}

fn figure<'a>(policy: &'a PolicyComparison, key: &str) -> &'a FigurePair {
    policy.figures.iter().find(|pair| pair.figure == key).unwrap()
}

#[test]
fn the_engines_are_within_the_resolution_of_turmoil() {
    let scenario = scenario(AS_IT_IS);
    let turmoil = results(&scenario, EngineKind::Turmoil);
    let event = results(&scenario, EngineKind::Event);
    let comparison = ResultComparison::of(&event, &turmoil, &all()).unwrap();
    assert_eq!(comparison.warnings, [""; 0]);
    assert_eq!(
        (comparison.a.engine, comparison.b.engine),
        (EngineName::Event, EngineName::Turmoil)
    );
    assert_eq!(comparison.cells[0].policies.len(), 2);
    for policy in &comparison.cells[0].policies {
        assert_eq!(policy.a_sent, policy.b_sent);
        let success = figure(policy, "success");
        assert_eq!((success.a, success.b), (Some(1.0), Some(1.0)));
        let mean = figure(policy, "mean");
        let (a, b) = (mean.a.unwrap(), mean.b.unwrap());
        // docs/engines.md: up to 1 ms for the send, 1 ms for the job and 1 ms for a connection.
        assert!(a < b && b < a + 3.0, "{policy:?}");
        let error = mean.error_percent.unwrap();
        assert!((error - (a - b) / b * 100.0).abs() < 1e-5, "{policy:?}");
    }
}

#[test]
fn figures_of_several_seeds_are_their_means() {
    let both = results(&scenario(AS_IT_IS), EngineKind::Event);
    let one = results(&scenario(("[1, 2]", "[1]")), EngineKind::Event);
    let other = results(&scenario(("[1, 2]", "[2]")), EngineKind::Event);
    let compared = ResultComparison::of(&one, &other, &all()).unwrap();
    let whole = ResultComparison::of(&both, &both, &all()).unwrap();
    for (seeds, whole) in compared.cells[0].policies.iter().zip(&whole.cells[0].policies) {
        assert_ne!(figure(seeds, "mean").a, figure(seeds, "mean").b);
        assert_eq!(seeds.a_sent + seeds.b_sent, whole.a_sent);
        for (seeds, whole) in seeds.figures.iter().zip(&whole.figures) {
            let mean = (seeds.a.unwrap() + seeds.b.unwrap()) / 2.0;
            assert!((mean - whole.a.unwrap()).abs() < 1e-5, "{seeds:?} {whole:?}");
            assert_eq!((whole.difference, whole.error_percent), (Some(0.0), Some(0.0)));
        }
    }
    let expected = ["the scenario files differ", "the seeds differ"];
    assert_eq!(compared.warnings.len(), expected.len());
    for (warning, expected) in compared.warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning}");
    }
}

#[test]
fn policies_that_only_one_has_are_named() {
    let both = results(&scenario(AS_IT_IS), EngineKind::Event);
    let one = results(&scenario((", \"round_robin\"", "")), EngineKind::Event);
    let other = results(&scenario(("\"random\", ", "")), EngineKind::Event);
    let comparison = ResultComparison::of(&one, &both, &all()).unwrap();
    assert_eq!(comparison.warnings[1..], ["only B has round_robin"]);
    let asked = ResultComparison::of(&one, &both, &only("random")).unwrap();
    assert_eq!((asked.warnings.len(), asked.cells[0].policies.len()), (1, 1));

    let error = ResultComparison::of(&one, &other, &all()).unwrap_err().to_string();
    assert_eq!(error, "no policy is in both results: A has random; B has round_robin");
    let error = ResultComparison::of(&both, &one, &only("round_robin")).unwrap_err().to_string();
    let expected = format!("no policy `round_robin` in {}; there are: random", one.dir);
    assert_eq!(error, expected);
}

#[test]
fn a_policy_without_requests_has_no_figures() {
    let busy = results(&scenario(AS_IT_IS), EngineKind::Event);
    let idle = results(&scenario(("rate = 30", "rate = 0.001")), EngineKind::Event);
    let comparison = ResultComparison::of(&busy, &idle, &all()).unwrap();
    let policy = &comparison.cells[0].policies[0];
    assert_eq!(policy.b_sent, 0);
    assert!(policy.figures.iter().all(|figure| figure.a.is_some() && figure.b.is_none()));
    assert!(policy.figures.iter().all(|figure| figure.error_percent.is_none()));
    let text = table(&comparison);
    assert!(text.contains(" random            sent         130         0"), "{text}");
}

#[test]
fn tables_fit_a_terminal_and_files_hold_every_figure() {
    let results = results(&scenario(AS_IT_IS), EngineKind::Event);
    let comparison = ResultComparison::of(&results, &results, &all()).unwrap();
    let text = table(&comparison);
    // The directories' names are as long as they are.
    assert!(text.lines().skip(4).all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains(" p99.9 "), "{text}");
    let json: Value = serde_json::from_str(&comparison.to_json()).unwrap();
    assert_eq!((&json["a"]["engine"], &json["a"]["clock"]), (&"event".into(), &"virtual".into()));
    let figures = json["cells"][0]["policies"][1]["figures"].as_array().unwrap();
    let names = figures.iter().map(|figure| figure["figure"].as_str().unwrap());
    assert!(names.eq(FIGURES.iter().map(|figure| figure.key)));
    let schema = serde_json::to_value(schemars::schema_for!(ResultComparison)).unwrap();
    assert!(jsonschema::is_valid(&schema, &json));
}

#[test]
fn a_figure_agrees_if_it_is_near_or_in_the_interval() {
    let seeds = |seeds| results(&scenario(("[1, 2]", seeds)), EngineKind::Event);
    let (five, other) = (seeds("[1, 2, 3, 4, 5]"), seeds("[6]"));
    let comparison = ResultComparison::of(&other, &five, &all()).unwrap();
    let figures = comparison.cells[0].policies.iter().flat_map(|policy| &policy.figures);
    for figure in figures.filter(|figure| figure.figure != "success") {
        let is_near = figure.error_percent.unwrap().abs() <= 10.0;
        assert!(!is_near || figure.agrees == Some(true), "{figure:?}");
        assert_eq!((figure.interval, figure.finding), (None, Finding::TooFewSeeds));
    }
    assert!(table(&comparison).contains("too few seeds to tell luck"));
    let whole = ResultComparison::of(&five, &five, &all()).unwrap();
    let figures = &whole.cells[0].policies[0].figures;
    assert!(figures.iter().all(|figure| figure.interval == Some([0.0, 0.0])));
    assert!(figures.iter().all(|figure| figure.agrees == Some(true)));
}

#[test]
fn what_is_worse_in_every_seed_is_a_regression_unless_it_is_tolerated() {
    let ten = (("[1, 2]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"), EngineKind::Event);
    let text = SCENARIO.replacen(ten.0.0, ten.0.1, 1);
    let of = |text: &str| results(&Scenario::parse(text, "small.toml").unwrap(), ten.1);
    let (fast, slow) = (of(&text), of(&text.replace("20ms", "25ms")));
    let compare = |a, b, tolerance_percent| {
        let spec = CompareSpec { tolerance_percent, ..all() };
        ResultComparison::of(a, b, &spec).unwrap()
    };
    let worse = compare(&slow, &fast, 0.0);
    let mean = figure(&worse.cells[0].policies[0], "mean");
    assert!(mean.is_regression && mean.finding == Finding::Worse, "{mean:?}");
    assert_eq!(mean.method, IntervalMethod::Paired);
    assert!(table(&worse).contains(" !\n"));
    assert_eq!(compare(&fast, &slow, 0.0).regressions, 0);
    assert_eq!(compare(&slow, &fast, 60.0).regressions, 0);
    // With other seeds there are no pairs, and the interval is wider.
    let other = of(&text.replace("[1, 2,", "[11, 12,"));
    let apart = compare(&slow, &other, 0.0);
    let apart = figure(&apart.cells[0].policies[0], "mean");
    let width = |figure: &FigurePair| figure.interval.map(|[low, high]| high - low).unwrap();
    assert_eq!(apart.method, IntervalMethod::Welch);
    assert!(width(apart) > width(mean), "{apart:?} {mean:?}");
}

#[test]
fn the_policies_of_one_result_are_compared_with_one_of_them() {
    let five = results(&scenario(("[1, 2]", "[1, 2, 3, 4, 5]")), EngineKind::Event);
    let found = ResultComparison::with_baseline(&five, "random", &all()).unwrap();
    let [policy] = &found.cells[0].policies[..] else { panic!("one other policy") };
    assert_eq!((&*policy.policy, policy.a_sent), ("round_robin", policy.b_sent));
    assert!(table(&found).contains(" B  random\n"));
    let error = |baseline: &str, spec| {
        ResultComparison::with_baseline(&five, baseline, &spec).unwrap_err().to_string()
    };
    assert!(error("pull", all()).contains("no policy `pull`"));
    assert!(error("random", only("random")).ends_with("has no policy but `random`"));
}

/// A sweep has the same runs as the scenario alone, so their figures are equal.
#[test]
fn sweeps_are_compared_cell_by_cell_and_with_runs() {
    let text = SCENARIO.replacen("[1, 2]", "[1, 2, 3, 4, 5]", 1);
    let spec = |vary: &str| SweepSpec {
        scenario: text.clone(),
        engine: Some("event".to_owned()),
        seeds: Vec::new(),
        policies: Vec::new(),
        vary: [vary].iter().filter(|v| !v.is_empty()).map(|v| v.parse().unwrap()).collect(),
        baseline: None,
    };
    let sweep = |vary: &str| {
        let sweep = Sweep::new(spec(vary), "small.toml").unwrap();
        let mut tally = SweepTally::new(&sweep);
        let news = |_| ControlFlow::Continue(());
        sweep.execute(Shard::WHOLE, NonZero::<usize>::MIN, &mut tally, news, |_| {}).unwrap();
        let dir = TempDir::new().unwrap();
        crate::sweep::write_all(dir.path(), &SweepFindings::of(&sweep, &tally)).unwrap();
        ResultDirectory::read(dir.path()).unwrap()
    };
    let runs = results(&Scenario::parse(&text, "small.toml").unwrap(), EngineKind::Event);
    let same = ResultComparison::of(&sweep(""), &runs, &all()).unwrap();
    let figures = same.cells[0].policies.iter().flat_map(|policy| &policy.figures);
    assert!(figures.clone().count() > 0);
    figures.for_each(|figure| assert_eq!(figure.difference, Some(0.0), "{figure:?}"));

    let (two, three) = (sweep("workload.rate=10,30"), sweep("workload.rate=30,50,70"));
    let shared = ResultComparison::of(&two, &three, &all()).unwrap();
    assert_eq!(shared.cells.len(), 1);
    assert_eq!(shared.cells[0].values["workload.rate"], "30");
    assert!(shared.warnings[0].starts_with("only A has 1 of its"), "{:?}", shared.warnings);
    let none = ResultComparison::of(&two, &runs, &all());
    assert_eq!(none, Err(CompareError::NoCellInCommon));
    assert!(table(&shared).contains(" workload.rate = 30\n"));
}

#[test]
fn what_is_no_result_is_said_to_be_none() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(ResultDirectory::read(dir.path()), Err(ResultsError::File { .. })));
    write(dir.path(), &scenario(AS_IT_IS), EngineKind::Event);
    let file = dir.path().join("summary.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"schema_version\": 2", "\"schema_version\": 9", 1)).unwrap();
    let error = ResultDirectory::read(dir.path()).unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.contains("schema_version 9, and this program reads 2"), "{error}");
}
