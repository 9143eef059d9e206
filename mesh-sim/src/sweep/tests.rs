use std::path::Path;
use std::time::Duration;

use mesh_core::time::Timestamp;
use serde_json::Value;

use super::part::SweepPart;
use super::*;
use crate::journal::{ConnectionFailure, RequestOutcome};
use crate::judge::{Finding, RunFigures};
use crate::record::{Recorder, RecorderConfig, RunRecord, Violation};

const SCENARIO: &str = r#"
name = "made-up"
description = "two policies"
duration = "2s"
drain = "1s"
policies = ["random", { name = "power_of_two" }]
expect = { "*" = { min_success = 0.95 } }
[[agents]]
name = "agent"
count = 2
[workload]
arrivals = "poisson"
rate = 8
demand = { kind = "constant", value = "1ms" }
"#;

fn spec(seeds: std::ops::RangeInclusive<u64>, vary: &[&str]) -> SweepSpec {
    SweepSpec {
        scenario: SCENARIO.to_owned(),
        engine: None,
        seeds: seeds.collect(),
        policies: Vec::new(),
        vary: vary.iter().map(|text| text.parse().unwrap()).collect(),
        baseline: None,
    }
}

fn sweep(seeds: std::ops::RangeInclusive<u64>, vary: &[&str]) -> Sweep {
    Sweep::new(spec(seeds, vary), "made-up.toml").unwrap()
}

/// A made-up run: `power_of_two` takes 5 to 7 ms less, which depends on the seed, and answers as
/// many requests.
fn record(sweep: &Sweep, number: usize) -> RunRecord {
    let run = sweep.runs()[number];
    let mut recorder =
        Recorder::new(RecorderConfig::new(run.scenario, &run.policy.label, run.seed));
    let faster = if run.policy.label == "random" { 0 } else { 5 + run.seed % 3 };
    for request in 0..16 {
        let due = Timestamp::from(Duration::from_millis(request * 100));
        let took = Duration::from_millis(20 + run.seed % 7 + request - faster);
        let lost = request == 3 && run.seed.is_multiple_of(2);
        let outcome = if lost {
            RequestOutcome::Lost(ConnectionFailure::Reset)
        } else {
            RequestOutcome::Answered
        };
        recorder.due(due);
        recorder.ended(due, 0, due + took, outcome);
    }
    recorder.finish(number as u64, 100, Vec::new())
}

fn tally(sweep: &Sweep, shard: Shard) -> SweepTally {
    let mut tally = SweepTally::new(sweep);
    // Backwards: threads finish in any order.
    for number in shard.runs(sweep.run_count()).collect::<Vec<_>>().into_iter().rev() {
        tally.add(sweep, number, &record(sweep, number));
    }
    tally
}

/// Every file below `dir` with its content, but no files of parts.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            if path.is_dir() {
                open.push(path);
            } else if !name.starts_with("shard-") {
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn write_parts(dir: &Path, sweep: &Sweep, of: usize) {
    for number in 1..=of {
        let shard = Shard::new(number, of).unwrap();
        write_part(dir, sweep, shard, &tally(sweep, shard)).unwrap();
    }
}

#[test]
fn cells_are_all_combinations_and_runs_have_their_places() {
    let sweep = sweep(1..=3, &["workload.rate=8,16", "agents.0.count=2,4,6"]);
    assert_eq!(sweep.cells.len(), 6);
    assert_eq!(sweep.cells[1].values, ["8", "4"]);
    assert_eq!(sweep.cells[5].scenario.agents.len(), 6);
    let runs = sweep.runs();
    assert_eq!(runs.len(), sweep.run_count());
    for (number, run) in runs.iter().enumerate() {
        let RunPosition { cell, policy, seed } = sweep.position(number);
        assert_eq!(run.scenario, &sweep.cells[cell].scenario);
        assert_eq!(run.policy.label, sweep.policies[policy]);
        assert_eq!(run.seed, sweep.seeds[seed]);
    }
}

#[test]
fn a_bad_value_is_shown_as_in_a_file() {
    let refused = |vary: &str| Sweep::new(spec(1..=2, &[vary]), "s.toml").unwrap_err().to_string();
    insta::assert_snapshot!(refused("workload.rate=8,-1"), @r#"
    error: -1 is out of range for `rate`
      --> s.toml with workload.rate=-1:13:8
       |
    13 | rate = -1
       |        ^^ expected a number above 0, at most 1000000
    "#);
    assert!(refused("workload.rat=1").contains("did you mean `rate`?"));
    assert!(refused("agents.7.count=1").contains("has no item 7: it has"));
    assert!(refused("policies.1.label=a,b").contains("cell 2 has the policies random, b"));
}

#[test]
fn what_is_asked_for_must_be_there() {
    let with = |change: &dyn Fn(&mut SweepSpec)| {
        let mut spec = spec(1..=2, &[]);
        change(&mut spec);
        Sweep::new(spec, "s.toml")
    };
    let sweep = with(&|spec| {
        spec.policies = vec!["power_of_two".to_owned()];
        spec.engine = Some("turmoil".to_owned());
    });
    let sweep = sweep.unwrap();
    assert_eq!(sweep.policies, ["power_of_two"]);
    assert!(sweep.cells[0].text.contains("engine = \"turmoil\""));
    let error = with(&|spec| spec.baseline = Some("best".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "no policy `best` here; there are: random, power_of_two");
    let left_out = with(&|spec| {
        spec.policies = vec!["power_of_two".to_owned()];
        spec.baseline = Some("random".to_owned());
    });
    assert!(matches!(left_out, Err(SweepError::BaselineLeftOut(label)) if label == "random"));
    let twice = with(&|spec| spec.vary = vec!["workload.rate=1".parse().unwrap(); 2]);
    assert!(matches!(twice, Err(SweepError::VariedTwice(_))));
    let many = with(&|spec| spec.seeds = (0..6_000_000).collect());
    assert!(matches!(many, Err(SweepError::TooMany(_))));
}

#[test]
fn parts_join_to_the_bytes_of_the_whole() {
    let sweep = sweep(1..=5, &["workload.rate=8,16"]);
    let whole = tempfile::tempdir().unwrap();
    write_all(whole.path(), &SweepFindings::of(&sweep, &tally(&sweep, Shard::WHOLE))).unwrap();
    // 20 runs: even and uneven parts, and more parts than runs.
    for of in [1, 2, 3, 23] {
        let parts = tempfile::tempdir().unwrap();
        write_parts(parts.path(), &sweep, of);
        let (joined, tally) = merge(&[parts.path().to_owned()]).unwrap();
        write_all(parts.path(), &SweepFindings::of(&joined, &tally)).unwrap();
        assert_eq!(files(parts.path()), files(whole.path()), "{of} parts");
    }
    assert_eq!(files(whole.path()).len(), 2 * 3 + 5);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = [one.path().to_owned(), two.path().to_owned()];
    let sweep_of = |vary: &str| sweep(1..=3, &[vary]);
    let write = |dir: &Path, vary: &str, number, of| {
        let sweep = sweep_of(vary);
        let shard = Shard::new(number, of).unwrap();
        write_part(dir, &sweep, shard, &tally(&sweep, shard)).unwrap()
    };
    let reason = || merge(&dirs).unwrap_err().to_string();
    write(&dirs[0], "workload.rate=8", 1, 3);
    assert!(reason().starts_with("find a shard-K-of-N.json in "), "{}", reason());
    write(&dirs[1], "workload.rate=8", 1, 3);
    assert!(reason().starts_with("join parts that overlap: part 1/3 is "), "{}", reason());
    std::fs::remove_file(dirs[1].join("shard-1-of-3.json")).unwrap();
    write(&dirs[1], "workload.rate=9", 2, 3);
    assert!(reason().ends_with("the varied values differ"), "{}", reason());
    write(&dirs[1], "workload.rate=8", 2, 3);
    assert_eq!(reason(), "join an incomplete sweep: missing 3/3");
    write(&dirs[1], "workload.rate=8", 2, 4);
    assert!(reason().ends_with("a sweep in 3 parts and one in 4"), "{}", reason());
}

#[test]
fn a_part_that_was_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = sweep(1..=2, &[]);
    let path = write_part(dir.path(), &sweep, Shard::WHOLE, &tally(&sweep, Shard::WHOLE)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(SweepPart::parse(&text).unwrap().render(), text);
    let changes = [
        ("\"sent\":16", "\"sent\":17", "its latencies and counts disagree"),
        ("\"part\":1", "\"part\":2", "it is another part than its name says"),
        ("\"program_version\":\"", "\"program_version\":\"9", "of the program wrote it"),
        ("\"runs\":", "\"sprints\":", "unknown field"),
    ];
    for (old, new, expected) in changes {
        std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
        let reason = merge(&[dir.path().to_owned()]).unwrap_err().to_string();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_difference_that_all_seeds_show_is_found_and_none_is_not() {
    let sweep = sweep(1..=12, &[]);
    let tally = tally(&sweep, Shard::WHOLE);
    let comparisons = &SweepFindings::of(&sweep, &tally).cells[0].comparisons;
    let by = |key| &comparisons.iter().find(|c| c.paired.metric.key == key).unwrap().paired;
    let success = by("success");
    assert_eq!((success.pairs, success.finding), (12, Finding::NoDifference));
    let p50 = by("p50");
    // 5, 6 and 7 ms less with four seeds each: the histogram keeps three digits.
    assert!((p50.difference + 6e6).abs() < 5e4, "{p50:?}");
    assert_eq!(p50.finding, Finding::Better);
    let interval = p50.interval.unwrap();
    assert!(interval.low < p50.difference && p50.difference < interval.high);
}

#[test]
fn the_baseline_decides_the_sign_and_few_seeds_say_so() {
    let mut other = spec(1..=12, &[]);
    other.baseline = Some("power_of_two".to_owned());
    let other = Sweep::new(other, "s.toml").unwrap();
    let all = tally(&other, Shard::WHOLE);
    let comparisons = &SweepFindings::of(&other, &all).cells[0].comparisons;
    assert_eq!(comparisons[2].paired.finding, Finding::Worse);

    let few = sweep(1..=4, &[]);
    let tally = tally(&few, Shard::WHOLE);
    let findings = SweepFindings::of(&few, &tally);
    let comparisons = &findings.cells[0].comparisons;
    assert!(comparisons.iter().all(|c| c.paired.finding == Finding::TooFewSeeds));
    assert!(comparisons.iter().all(|c| c.paired.interval.is_none()));
    assert!(table(&findings, Path::new("out")).contains("4 seeds cannot compare policies"));
}

/// All runs, of which the last violated an oracle.
fn tally_with_a_violation(sweep: &Sweep) -> SweepTally {
    let mut all = tally(sweep, Shard::WHOLE);
    let last = sweep.run_count() - 1;
    let mut violating = record(sweep, last);
    violating.violations = vec![Violation::new(
        "ends_once",
        Timestamp::from_nanos(1_500_000_000),
        "request 7 ended twice".to_owned(),
    )];
    all.runs.insert(last, RunFigures::of(&violating));
    assert!(all.violates_oracles());
    all
}

#[test]
fn a_part_shows_how_to_replay_where_it_was_run() {
    let sweep = sweep(1..=6, &["workload.rate=8,16"]);
    let all = tally_with_a_violation(&sweep);
    let dir = tempfile::tempdir().unwrap();
    write_part(dir.path(), &sweep, Shard::WHOLE, &all).unwrap();
    let file = |cell: &SweepCell| dir.path().join(Shard::WHOLE.cell_name(cell));
    assert!(!file(&sweep.cells[0]).exists());
    assert_eq!(std::fs::read_to_string(file(&sweep.cells[1])).unwrap(), sweep.cells[1].text);
    let text = part_violations(&sweep, &all, file);
    let first =
        " violated: cell 2 power_of_two seed 6: ends_once at 1.5 s: request 7 ended twice\n";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("shard-1-of-1-cell-2.toml"), "{text}");

    let notes = dir.path().join("shard-1-of-1-cell-two.toml");
    std::fs::write(&notes, "mine").unwrap();
    write_part(dir.path(), &sweep, Shard::WHOLE, &tally(&sweep, Shard::WHOLE)).unwrap();
    assert!(!file(&sweep.cells[1]).exists(), "nothing is violated any more");
    assert!(notes.exists());
}

#[test]
fn the_table_fits_and_shows_how_to_replay() {
    let sweep = sweep(1..=6, &["workload.rate=8,16", "registry.refresh=500ms"]);
    let all = tally_with_a_violation(&sweep);
    let text = table(&SweepFindings::of(&sweep, &all), Path::new("out"));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn real_output_is_valid_under_the_committed_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sweep.schema.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, results_schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == results_schema(),
        "docs/sweep.schema.json has drifted; run the tests with UPDATE_SCHEMAS=1 to renew it"
    );
    let schema: Value = serde_json::from_str(&committed).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for seeds in [1..=2, 1..=6] {
        let sweep = sweep(seeds, &["workload.rate=8,16"]);
        let text = results_json(&SweepFindings::of(&sweep, &tally(&sweep, Shard::WHOLE)));
        let mut results: Value = serde_json::from_str(&text).unwrap();
        validator.validate(&results).unwrap();
        // The schema must be able to say no.
        results["cells"][0]["comparisons"][0]["finding"] = Value::from("perhaps");
        assert!(!validator.is_valid(&results));
    }
}

#[test]
fn tables_for_programs_have_the_same_figures() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = sweep(1..=5, &["workload.rate=8"]);
    write_all(dir.path(), &SweepFindings::of(&sweep, &tally(&sweep, Shard::WHOLE))).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    insta::assert_snapshot!(read("comparison.csv"));
    assert_eq!(read("sweep.csv").lines().count(), 1 + 10);
    assert!(read("sweep.csv").starts_with("cell,workload.rate,policy,seed,sent,"));
}

#[test]
fn results_of_an_earlier_sweep_do_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let write = |vary: &[&str]| {
        let sweep = sweep(1..=2, vary);
        write_all(dir.path(), &SweepFindings::of(&sweep, &tally(&sweep, Shard::WHOLE))).unwrap();
    };
    write(&["workload.rate=8,16,32"]);
    std::fs::write(dir.path().join("cell-3/notes.txt"), "mine").unwrap();
    write(&[]);
    let names: Vec<String> = files(dir.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "cell-1/power_of_two.hgrm",
            "cell-1/random.hgrm",
            "cell-1/scenario.toml",
            "cell-3/notes.txt",
            "comparison.csv",
            "scenario.toml",
            "sweep.csv",
            "sweep.html",
            "sweep.json",
        ]
    );
    assert!(!dir.path().join("cell-2").exists());
}

#[test]
fn a_sweep_goes_on_from_any_set_of_its_runs() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = sweep(1..=3, &["workload.rate=8,16"]);
    let whole = results_json(&SweepFindings::of(&sweep, &tally(&sweep, Shard::WHOLE)));
    // Every third run, the last ones, none, all.
    let sets: [fn(usize) -> bool; 4] = [|n| n.is_multiple_of(3), |n| n > 6, |_| false, |_| true];
    for has in sets {
        let mut ended = SweepTally::new(&sweep);
        (0..sweep.run_count()).filter(|n| has(*n)).for_each(|number| {
            ended.add(&sweep, number, &record(&sweep, number));
        });
        write_unfinished(dir.path(), &sweep, Shard::WHOLE, &ended).unwrap();
        let mut resumed = read_unfinished(dir.path(), &sweep, Shard::WHOLE).unwrap();
        assert_eq!(resumed.ended(), ended.ended());
        let rest = (0..sweep.run_count()).rev().filter(|number| !has(*number));
        assert_eq!(sweep.rest(Shard::WHOLE, &resumed).len(), rest.clone().count());
        rest.for_each(|number| resumed.add(&sweep, number, &record(&sweep, number)));
        assert!(results_json(&SweepFindings::of(&sweep, &resumed)) == whole);
    }
    assert!(matches!(merge(&[dir.path().to_owned()]), Err(MergeError::NoParts(_))));
    write_all(dir.path(), &SweepFindings::of(&sweep, &tally(&sweep, Shard::WHOLE))).unwrap();
    assert!(!dir.path().join("unfinished.json").exists());
}

#[test]
fn what_is_unfinished_is_no_part() {
    let dir = tempfile::tempdir().unwrap();
    let sweep = sweep(1..=3, &[]);
    let mut some = tally(&sweep, Shard::WHOLE);
    some.runs.pop_last();
    let unfinished = write_unfinished(dir.path(), &sweep, Shard::WHOLE, &some).unwrap();
    std::fs::rename(unfinished, dir.path().join(Shard::WHOLE.file_name())).unwrap();
    let reason = merge(&[dir.path().to_owned()]).unwrap_err().to_string();
    assert!(reason.ends_with("it does not hold the runs of its part"), "{reason}");
}
