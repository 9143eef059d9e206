//! The example that reads results in Python, on results of this program.
//!
//! Without Python, the tests say so and pass; with `MESH_REQUIRE_INTEROP` they fail.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::TestDir;

const PYTHON: &str = "python3";
/// As for the other tests with Python: if it is set, Python must be there.
const DEMANDED: &str = "MESH_REQUIRE_INTEROP";

/// Student's t at 97.5 % with 4 degrees of freedom: five seeds.
const T_OF_5: f64 = 2.776;

/// Whether Python is there. If it is not, this says that the test is left out.
pub(crate) fn has_python() -> bool {
    let version = Command::new(PYTHON).arg("--version").stdin(Stdio::null()).output();
    let reason = match version {
        Ok(output) if output.status.success() => return true,
        Ok(output) => output.status.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os(DEMANDED).is_none(), "{PYTHON}: {reason}");
    // Written directly, because the test harness hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED a test: no {PYTHON}: {reason}\n");
    false
}

fn read_results(dir: &Path) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/read_results.py");
    Command::new(PYTHON).arg(script).arg(dir).output().unwrap()
}

/// What the script prints of these results.
fn printed(dir: &Path) -> String {
    let output = read_results(dir);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The words of the first line after `heading` that begins with `first`.
fn row<'a>(text: &'a str, heading: &str, first: &str) -> Vec<&'a str> {
    let (_, below) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading}:\n{text}"));
    let mut lines = below.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = lines.find(|words| words.first() == Some(&first));
    found.unwrap_or_else(|| panic!("no {first} below {heading}:\n{text}"))
}

#[test]
fn a_runs_figures_are_read_with_their_intervals() {
    if !has_python() {
        return;
    }
    let test_dir = TestDir::new();
    let mut args = vec!["small.toml", "--engine", "event", "--out", "new"];
    ["1", "2", "3", "4", "5"].iter().for_each(|seed| args.extend(["--seed", seed]));
    assert_eq!(test_dir.ran(&args).0, 0);
    let text = printed(&test_dir.path("new"));
    let summary = json(test_dir.path("new/summary.json"));
    let order = summary["ranking"]["order"].as_array().unwrap();
    assert_eq!(order.len(), 2);
    for policy in order {
        let policy = policy.as_str().unwrap();
        let p50: Vec<f64> = summary["runs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|run| run["policy"] == policy)
            .map(|run| run["latency_ms"]["p50"].as_f64().unwrap())
            .collect();
        let mean = p50.iter().sum::<f64>() / 5.0;
        let variance = p50.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 4.0;
        let half = T_OF_5 * (variance / 5.0).sqrt();
        let found = row(&text, "Means over the seeds", policy);
        let number = |word: &str| word.trim_matches(['[', ']', ',']).parse::<f64>().unwrap();
        // The script's t is a little off, and it rounds to tenths of a millisecond.
        for (word, expected) in found[4..].iter().zip([mean, mean - half, mean + half]) {
            let off = (number(word) - expected).abs();
            assert!(off < 0.06 + half / 1000.0, "{policy}: {word}, not {expected}\n{text}");
        }
        assert_eq!(found.len(), 10, "{text}");
    }
}

#[test]
fn one_seed_has_no_intervals_and_its_time_line_shows_the_fault() {
    if !has_python() {
        return;
    }
    let test_dir = TestDir::new();
    let args = ["small.toml", "--engine", "event", "--seed", "7", "--out", "new"];
    assert_eq!(test_dir.ran(&args).0, 0);
    let text = printed(&test_dir.path("new"));
    assert!(text.starts_with("small: event, 1 seed, too few for intervals"), "{text}");
    assert_eq!(row(&text, "Means over the seeds", "random").len(), 4, "{text}");
    // With one seed, the median of the histogram is that of the run.
    let summary = json(test_dir.path("new/summary.json"));
    let run = &summary["runs"][0];
    assert_eq!(run["policy"], "random");
    let p50 = format!("{:.0}", run["latency_ms"]["p50"].as_f64().unwrap());
    assert_eq!(row(&text, "*.hgrm", "random")[1], p50, "{text}");

    let timeline = fs::read_to_string(test_dir.path("new/timeline.csv")).unwrap();
    let lines = timeline.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let second: Vec<_> = lines.filter(|fields| fields[0] == "random" && fields[2] == "1").collect();
    let heading = row(&text, "Answered per second", "time");
    let column = heading.iter().position(|word| *word == "random").unwrap();
    let found = row(&text, "Answered per second", "1-2");
    // The time has two words: "1-2 s".
    assert_eq!(found[column + 1], format!("{}.0", second[0][4]), "{text}");
    // Only Python 3.11 and later can read the scenario.
    let reads_toml = Command::new(PYTHON).args(["-c", "import tomllib"]).output().unwrap();
    assert_eq!(found.last() == Some(&"crash"), reads_toml.status.success(), "{text}");
}

#[test]
fn a_sweeps_cells_are_read_and_what_is_no_result_is_refused() {
    if !has_python() {
        return;
    }
    let test_dir = TestDir::new();
    let sweep = ["sweep", "small.toml", "--engine", "event", "--seeds", "1..5", "--out", "new"];
    assert_eq!(test_dir.ran(&[&sweep[..], &["--vary", "workload.rate=20,30"]].concat()).0, 0);
    let text = printed(&test_dir.path("new"));
    let results = json(test_dir.path("new/sweep.json"));
    let mut found = results["cells"][1]["comparisons"].as_array().unwrap().iter();
    let p99 = found.find(|comparison| comparison["metric"] == "p99_ms").unwrap();
    let difference = p99["difference"].as_f64().unwrap();
    let expected = format!("p99 of power_of_two - random: {difference:+.1} ms [");
    let (_, second) = text.split_once("cell 2: workload.rate = 30\n").expect("two cells");
    assert!(second.contains(&expected), "no {expected} in\n{text}");

    let refused = read_results(&test_dir.path("."));
    assert_eq!(refused.status.code(), Some(2));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(complaint.contains("neither a summary.json nor a sweep.json is in"), "{complaint}");
}
