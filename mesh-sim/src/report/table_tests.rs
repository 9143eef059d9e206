use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::Timestamp;

use super::*;
use crate::experiment::example;
use crate::figures::{Expect, FigureLimit};
use crate::machine::ProviderCounts;
use crate::record::{OutcomeCounts, Violation};
use crate::report::example::realistic;
use crate::scenario::{ProviderBounds, ProviderSpec};

const POLICIES: [&str; 5] = ["random", "round_robin", "least_loaded", "weighted", "power_of_two"];

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn a_first_users_table() {
    let text = render(&realistic(&POLICIES, &[42]), "scenarios/partition.toml");
    assert_fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn seeds_violations_and_several_reasons() {
    let text = render(&example::small(), "scenarios/small.toml");
    assert_fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn no_line_passes_80_columns_whatever_the_labels_and_figures() {
    let labels =
        ["a_policy_with_a_name_that_no_one_would_type_twice", "x", "power_of_two/probes=3"];
    let mut report = realistic(&labels, &[42, 43]);
    let strict = Expect::default()
        .with("min_success", FigureLimit::Share(0.999_99))
        .with("max_mean", FigureLimit::Latency(Duration::from_nanos(1)))
        .with("max_p50", FigureLimit::Latency(Duration::from_micros(1)))
        .with("max_p99_9", FigureLimit::Latency(Duration::from_micros(1_234_567)));
    report.scenario.expect = BTreeMap::from([("*".to_owned(), strict)]);
    for run in &mut report.runs {
        run.requests.sent *= 1_000;
        run.requests.answered = run.requests.sent;
        run.latency.record(86_400_000_000_000);
        run.violations.push(Violation::new(
            "routed_to_the_dead",
            Timestamp::from_nanos(12_345_678_901_234),
            "agent-1 was sent request 7 long after its lease had ended ".repeat(3),
        ));
    }
    let file = "a/rather/long/directory/of/scenarios/with/levels/partition.toml";
    let text = render(&report, file);
    assert_fits(&text);
    assert!(text.contains("replay \\\n     a/rather/long/"), "{text}");
}

#[test]
fn a_policy_without_requests_has_no_figures_and_no_marks() {
    let mut report = example::small();
    for run in &mut report.runs[..2] {
        run.requests = OutcomeCounts::default();
        run.latency.reset();
    }
    let text = render(&report, "x.toml");
    let random = text.lines().find(|line| line.contains("random")).unwrap();
    let cells: Vec<_> = random.split_whitespace().collect();
    assert_eq!(cells, ["random", "0", "-", "-", "-", "-", "-", "-", "-"]);
}

#[test]
fn equal_figures_are_not_marked() {
    let mut report = example::small();
    report.runs.truncate(2);
    assert!(!render(&report, "x.toml").contains('*'));
}

#[test]
fn what_clients_sent_again_is_told_if_there_was_any() {
    let mut report = example::small();
    assert!(!render(&report, "x.toml").contains("sent again"));
    for run in report.runs.iter_mut().filter(|run| run.policy == "random") {
        run.sent_again = SentAgainCounts { failovers: 700, retries: 2 };
    }
    let text = render(&report, "x.toml");
    assert_fits(&text);
    let expected = "\n Requests that clients sent again\n   \
                    power_of_two: 0 to another entry agent, 0 after a pause\n   \
                    random: 1,400 to another entry agent, 4 after a pause\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn copies_are_told_if_there_were_any() {
    let mut report = example::small();
    assert!(!render(&report, "x.toml").contains("one more peer"));
    for run in report.runs.iter_mut().filter(|run| run.policy == "random") {
        run.copies = CopyCounts { sent: 700, won: 2, cancelled: 600 };
    }
    let text = render(&report, "x.toml");
    assert_fits(&text);
    let expected = "\n Jobs that agents sent to one more peer (hedging)\n   \
                    power_of_two: 0 sent, 0 won, 0 calls cancelled\n   \
                    random: 1,400 sent, 4 won, 1,200 calls cancelled\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_a_provider_refused_is_told_apart_by_its_limits() {
    let mut report = example::small();
    report.scenario.providers = vec![ProviderSpec {
        name: "model".into(),
        agents: BTreeSet::new(),
        bounds: ProviderBounds { requests: None, concurrency: Some(1) },
        jobs: None,
    }];
    let counts = ProviderCounts { asked: 100, over_rate: 20, over_concurrency: 5 };
    report.runs.iter_mut().for_each(|run| run.providers = vec![counts]);
    let text = render(&report, "x.toml");
    assert_fits(&text);
    let table = text.split("By provider\n").nth(1).unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().skip(1).take(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["model", "200", "25.00", "20.00", "5.00", "power_of_two"]);
    assert_eq!(rows[1], ["200", "25.00", "20.00", "5.00", "random"]);
}
