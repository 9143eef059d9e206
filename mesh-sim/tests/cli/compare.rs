//! `mesh-sim compare` from end to end, on the committed results.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn committed(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results").join(name)
}

fn compare(a: &str, b: &str, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
    command.arg("compare").args([committed(a), committed(b)]).args(options);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn prints_a_table_and_writes_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("comparison.json");
    let output = compare("baseline", "overload", &["--json", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("warning: the scenarios differ: baseline and overload"), "{table}");

    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let random = &json["cells"][0]["policies"][0];
    assert_eq!(random["policy"], "random");
    let p99 = &random["figures"][6];
    assert_eq!(p99["figure"], "p99");
    let (a, b) = (p99["a"].as_f64().unwrap(), p99["b"].as_f64().unwrap());
    assert!(a < b && (p99["difference"].as_f64().unwrap() - (a - b)).abs() < 1e-5, "{p99}");
}

#[test]
fn neither_a_reader_that_left_nor_a_full_disk_ends_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("comparison.json");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let left = || std::io::pipe().unwrap().1;
    let run = |stdout: Stdio, stderr: Stdio, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
        let output = command.args(args).stdout(stdout).stderr(stderr).output().unwrap();
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let (a, b) = (committed("baseline"), committed("overload"));
    let [a, b, json] = [&a, &b, &file].map(|path| path.to_str().unwrap());
    let args = ["compare", a, b, "--json", json];
    assert_eq!(run(left().into(), Stdio::piped(), &args), (Some(0), String::new()));
    std::fs::remove_file(&file).unwrap();
    let (code, error) = run(full().into(), Stdio::piped(), &args);
    assert_eq!(code, Some(1));
    assert!(error.starts_with("error: failed to write to standard output: "), "{error}");
    assert!(file.exists(), "the work was done");
    for stdout in [left().into(), full().into()] {
        assert_eq!(run(stdout, Stdio::piped(), &["compare", a, "nowhere"]).0, Some(2));
    }
    assert_eq!(run(left().into(), Stdio::piped(), &["--help"]).0, Some(0));
    assert_eq!(run(full().into(), Stdio::piped(), &["--help"]).0, Some(1));
    for stderr in [left().into(), full().into()] {
        let args = ["compare", a, b, "--policy", "p2c_stale"];
        assert_eq!(run(Stdio::null(), stderr, &args).0, Some(2));
    }
}

#[test]
fn a_result_with_itself_has_no_error() {
    let output = compare("baseline", "baseline", &["--policy", "p2c_own"]);
    let table = text(&output.stdout);
    assert!(!table.contains("warning") && !table.contains("random"), "{table}");
    let errors = table.lines().filter(|line| line.ends_with("+0.0 %"));
    assert_eq!(errors.count(), 6, "{table}");
}

#[test]
fn a_missing_policy_or_summary_is_named() {
    let output = compare("baseline", "overload", &["--policy", "p2c_stale"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("no policy `p2c_stale` in") && error.contains("overload"), "{error}");
    let output = compare("baseline", "nowhere", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there are no results in "), "{}", text(&output.stderr));
}
