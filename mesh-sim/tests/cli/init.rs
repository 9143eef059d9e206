//! `mesh-sim init`: what it writes is sound and runs.

use std::fs;
use std::path::Path;

use super::TestDir;

#[test]
fn a_fleet_is_written_checked_and_run() {
    let dir = TestDir::new();
    let flags = ["--agents", "6", "--p50", "1s", "--p99", "9s", "--rate", "2", "--sites", "2"];
    let (code, out, err) = dir.ran(&[&["init", "new/fleet.toml"][..], &flags].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    for part in
        ["written to new/fleet.toml", "capacity", "2 requests/s", "recommend new/fleet.toml"]
    {
        assert!(out.contains(part), "no {part} in {out}");
    }
    assert!(
        !out.contains("warning") && out.lines().all(|line| line.chars().count() <= 80),
        "{out}"
    );
    let (code, checked, err) = dir.ran(&["check", "new/fleet.toml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(!checked.contains("warning"), "{checked}");
    let policies = ["--policy", "random", "--policy", "power_of_two", "--out", "run"];
    let (code, table, err) = dir.ran(&[&["new/fleet.toml"][..], &policies].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{table}");
    assert!(table.starts_with("fleet: 6 agents, 2 requests/s"), "{table}");
}

#[test]
fn a_file_is_replaced_only_by_force() {
    let dir = TestDir::new();
    let before = fs::read_to_string(dir.path("small.toml")).unwrap();
    let (code, out, err) = dir.ran(&["init", "small.toml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("small.toml exists") && err.contains("--force"), "{err}");
    assert_eq!(fs::read_to_string(dir.path("small.toml")).unwrap(), before);
    assert_eq!(dir.ran(&["init", "small.toml", "--force"]).0, 0);
    assert!(fs::read_to_string(dir.path("small.toml")).unwrap().contains("mesh-sim init"));
}

#[test]
fn the_standard_output_gets_the_file_and_nothing_else() {
    let dir = TestDir::new();
    let (code, text, err) = dir.ran(&["init", "-", "--rate", "50", "--name", "crowded"]);
    assert_eq!(code, 0);
    assert!(err.starts_with("warning: more comes than all agents can do"), "{err}");
    dir.write("x.toml", &text);
    let (code, checked, _) = dir.ran(&["check", "x.toml"]);
    assert!(code == 0 && checked.contains("warning"), "{checked}");
    assert!(!Path::new("fleet.toml").exists() && !dir.path("fleet.toml").exists());
    let (code, out, err) = dir.ran(&["init", "-", "--name", "Not a name"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("`name`"), "{err}");
}

#[test]
fn answers_that_make_no_sense_are_exit_code_2() {
    let dir = TestDir::new();
    for (flags, says) in [
        (["--p50", "4s", "--p99", "2s"], "--p99 2s: expected more than 4s"),
        (["--rate", "lots", "--agents", "3"], "--rate lots: expected a number of jobs per second"),
    ] {
        let (code, out, err) = dir.ran(&[&["init", "y.toml"][..], &flags].concat());
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains(says), "{err}");
    }
    assert!(!dir.path("y.toml").exists());
}
