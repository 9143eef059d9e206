use std::fs;
use std::path::Path;

use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::report::write_all;
use mesh_sim::runner::RunPlan;
use mesh_sim::scenario::{EngineKind, Scenario};
use serde_json::Value;
use tempfile::TempDir;

use super::*;

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
    let plan = RunPlan { scenario, engine, trace: false };
    let runs = plan.execute(|_| {}).unwrap();
    let (scenario, ran_by) = (scenario.clone(), RanBy::Engine(engine));
    write_all(dir, &Report { scenario, scenario_text: None, ran_by, runs }).unwrap();
}

fn scenario(change: (&str, &str)) -> Scenario {
    let text = SCENARIO.replacen(change.0, change.1, 1);
    assert!(change.0.is_empty() || text != SCENARIO);
    Scenario::parse(&text, "small.toml").unwrap()
}

const AS_IT_IS: (&str, &str) = ("", "");

#[test]
fn the_engines_are_within_the_resolution_of_turmoil() {
    let scenario = scenario(AS_IT_IS);
    let turmoil = results(&scenario, EngineKind::Turmoil);
    let event = results(&scenario, EngineKind::Event);
    let comparison = ResultComparison::of(&event, &turmoil, &[]).unwrap();
    assert_eq!(comparison.warnings, [""; 0]);
    assert_eq!(
        (comparison.a.engine, comparison.b.engine),
        (EngineName::Event, EngineName::Turmoil)
    );
    assert_eq!(comparison.policies.len(), 2);
    for policy in &comparison.policies {
        assert_eq!(policy.sent.a, policy.sent.b);
        assert_eq!(policy.success, BothSides { a: Some(1.0), b: Some(1.0) });
        let mean = &policy.latency[0];
        let (a, b) = (mean.a_ms.unwrap(), mean.b_ms.unwrap());
        // docs/engines.md: up to 1 ms for the send, 1 ms for the job and 1 ms for a connection.
        assert!(a < b && b < a + 3.0, "{policy:?}");
        let error = mean.error_percent.unwrap();
        assert!((error - (a - b) / b * 100.0).abs() < 1e-5, "{policy:?}");
        assert!((mean.ratio.unwrap() - a / b).abs() < 1e-5, "{policy:?}");
    }
}

#[test]
fn figures_of_several_seeds_are_their_means() {
    let both = results(&scenario(AS_IT_IS), EngineKind::Event);
    let one = results(&scenario(("[1, 2]", "[1]")), EngineKind::Event);
    let other = results(&scenario(("[1, 2]", "[2]")), EngineKind::Event);
    let compared = ResultComparison::of(&one, &other, &[]).unwrap();
    let whole = ResultComparison::of(&both, &both, &[]).unwrap();
    for (seeds, whole) in compared.policies.iter().zip(&whole.policies) {
        assert_ne!(seeds.latency[0].a_ms, seeds.latency[0].b_ms);
        assert_eq!(seeds.sent.a + seeds.sent.b, whole.sent.a);
        for (seeds, whole) in seeds.latency.iter().zip(&whole.latency) {
            let mean = (seeds.a_ms.unwrap() + seeds.b_ms.unwrap()) / 2.0;
            assert!((mean - whole.a_ms.unwrap()).abs() < 1e-5, "{seeds:?} {whole:?}");
            assert_eq!((whole.ratio, whole.error_percent), (Some(1.0), Some(0.0)));
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
    let all = results(&scenario(AS_IT_IS), EngineKind::Event);
    let one = results(&scenario((", \"round_robin\"", "")), EngineKind::Event);
    let other = results(&scenario(("\"random\", ", "")), EngineKind::Event);
    let comparison = ResultComparison::of(&one, &all, &[]).unwrap();
    assert_eq!(comparison.warnings[1..], ["only B has round_robin"]);
    let asked = ResultComparison::of(&one, &all, &["random".to_owned()]).unwrap();
    assert_eq!((asked.warnings.len(), asked.policies.len()), (1, 1));

    let error = ResultComparison::of(&one, &other, &[]).unwrap_err().to_string();
    assert_eq!(error, "no policy is in both results: A has random; B has round_robin");
    let error =
        ResultComparison::of(&all, &one, &["round_robin".to_owned()]).unwrap_err().to_string();
    let expected = format!("no policy `round_robin` in {}; there are: random", one.dir);
    assert_eq!(error, expected);
}

#[test]
fn a_policy_without_requests_has_no_figures() {
    let busy = results(&scenario(AS_IT_IS), EngineKind::Event);
    let idle = results(&scenario(("rate = 30", "rate = 0.001")), EngineKind::Event);
    let comparison = ResultComparison::of(&busy, &idle, &[]).unwrap();
    let policy = &comparison.policies[0];
    assert_eq!((policy.sent.b, policy.success.b), (0, None));
    assert!(policy.latency.iter().all(|figure| figure.a_ms.is_some() && figure.ratio.is_none()));
    let text = table::render(&comparison);
    let line = text.lines().find(|line| line.contains("p50")).unwrap();
    assert!(line.trim_end().ends_with("-            -"), "{line}");
}

#[test]
fn tables_fit_a_terminal_and_files_hold_every_figure() {
    let results = results(&scenario(AS_IT_IS), EngineKind::Event);
    let comparison = ResultComparison::of(&results, &results, &[]).unwrap();
    let text = table::render(&comparison);
    // The directories' names are as long as they are.
    assert!(text.lines().skip(2).all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains(" p99.9 "), "{text}");
    let json: Value = serde_json::from_str(&comparison.to_json()).unwrap();
    assert_eq!((&json["a"]["engine"], &json["a"]["clock"]), (&"event".into(), &"virtual".into()));
    let latency = json["policies"][1]["latency"].as_array().unwrap();
    let names: Vec<_> =
        latency.iter().map(|figure| figure["statistic"].as_str().unwrap()).collect();
    assert!(names.into_iter().eq(Figure::latencies().map(|figure| figure.key)));
}

#[test]
fn a_figure_agrees_if_it_is_near_or_in_the_interval() {
    let seeds = |seeds| results(&scenario(("[1, 2]", seeds)), EngineKind::Event);
    let (five, other) = (seeds("[1, 2, 3, 4, 5]"), seeds("[6]"));
    let comparison = ResultComparison::of(&other, &five, &[]).unwrap();
    let figures = comparison.policies.iter().flat_map(|policy| &policy.latency);
    for figure in figures {
        let (a, [low, high]) = (figure.a_ms.unwrap(), figure.b_interval_ms.unwrap());
        assert!(low <= figure.b_ms.unwrap() && figure.b_ms.unwrap() <= high, "{figure:?}");
        let is_near = figure.error_percent.unwrap().abs() <= 10.0;
        assert_eq!(figure.agrees, Some(is_near || (low <= a && a <= high)), "{figure:?}");
    }
    let few = ResultComparison::of(&five, &other, &[]).unwrap();
    assert!(few.policies[0].latency.iter().all(|figure| figure.b_interval_ms.is_none()));
}

#[test]
fn what_is_no_result_is_said_to_be_none() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(ResultDirectory::read(dir.path()), Err(ResultsError::File { .. })));
    write(dir.path(), &scenario(AS_IT_IS), EngineKind::Event);
    let file = dir.path().join("summary.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1)).unwrap();
    let error = anyhow::Error::from(ResultDirectory::read(dir.path()).unwrap_err());
    assert!(
        format!("{error:#}").contains("schema_version 2, and this program reads 1"),
        "{error:#}"
    );
}
