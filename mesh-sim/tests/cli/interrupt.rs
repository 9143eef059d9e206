//! Signals during the runs: what is complete is written, and a sweep goes on from there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::park_timeout;
use std::time::Duration;

use serde_json::Value;

use super::{TestDir, names, on_event};

/// Longer than anything takes that goes well, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(5);

/// A scenario each run of which takes longer than anybody waits: 86 million requests.
pub(crate) fn endless() -> String {
    let long = on_event().replace("\"3s\"", "\"24h\"");
    long.replace("rate = 30", "rate = 1000").replace("rate = 20", "rate = 1000")
}

fn start(test_dir: &TestDir, line: &str) -> Child {
    let mut command = test_dir.command(&line.split(' ').collect::<Vec<_>>());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    // The process may have ended just now.
    Command::new("kill").args(["-s", name, &id]).stderr(Stdio::null()).status().unwrap();
}

fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if is_there() {
            return;
        }
        park_timeout(STEP);
    }
    panic!("no {what}");
}

/// The exit code, standard output and standard error.
fn end(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_interrupted_run_keeps_the_seeds_that_are_complete() {
    let test_dir = TestDir::new();
    test_dir.write("small.toml", &on_event().replace("\"3s\"", "\"100s\""));
    let seeds: String = (1..=300).map(|seed| format!(" --seed {seed}")).collect();
    // How long a seed takes depends on the machine.
    let mut pause = Duration::from_millis(300);
    let (out, err) = loop {
        let child = start(&test_dir, &format!("small.toml{seeds}"));
        park_timeout(pause);
        signal(&child, "INT");
        let (code, out, err) = end(child);
        assert_eq!(code, Some(130), "{err}");
        if err.contains("of 300 seeds are complete") {
            break (out, err);
        }
        assert!(err.ends_with("so nothing is written\n"), "{err}");
        assert!(!test_dir.path("results").exists());
        pause *= 2;
    };
    assert!(out.contains(" written to results/runs/small/1 (latest):\n"), "{out}");
    let dir = test_dir.path("results/runs/small/1");
    let summary = fs::read_to_string(dir.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let done: Vec<String> =
        summary["seeds"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let said = format!("interrupted: {} of 300 seeds are complete", done.len());
    assert!(err.contains(&said), "{err}");
    // It is the same as if only these seeds had been asked for.
    let seeds: String = done.iter().map(|seed| format!(" --seed {seed}")).collect();
    assert_eq!(end(start(&test_dir, &format!("small.toml{seeds} --out alone"))).0, Some(0));
    assert_same(&dir, &test_dir.path("alone"));
}

#[test]
fn runs_are_abandoned_at_once_and_nothing_is_left() {
    for (line, name, says) in [
        ("endless.toml", "INT", "interrupted: no seed is complete"),
        ("endless.toml --json --check-determinism", "TERM", "interrupted: no seed is complete"),
        ("endless.toml --out o", "HUP", "interrupted: no seed is complete"),
        ("sweep endless.toml", "INT", "interrupted: no run has ended, so nothing is written"),
        ("sweep endless.toml --shard 1/2", "INT", "interrupted: no run has ended"),
        ("recommend endless.toml", "INT", "interrupted: nothing is written"),
        ("explore endless.toml --runs 9", "INT", "interrupted: what the runs so far have found"),
    ] {
        let test_dir = TestDir::new();
        test_dir.write("endless.toml", &endless());
        let child = start(&test_dir, line);
        until("folder", || ["results", "o"].iter().any(|dir| test_dir.path(dir).exists()));
        signal(&child, name);
        let (code, out, err) = end(child);
        assert_eq!(code, Some(130), "{line}: {out}{err}");
        assert!(err.contains(says), "{line}: {err}");
        assert_eq!(names(test_dir.0.path()), ["endless.toml", "small.toml"], "{line}");
    }
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let test_dir = TestDir::new();
    // So many requests that a quarter of a simulated second, within which a run notices the signal,
    // takes longer than the pause below.
    test_dir.write("heavy.toml", &endless().replace("rate = 1000\n", "rate = 1000000\n"));
    let child = start(&test_dir, "heavy.toml");
    until("folder", || test_dir.path("results").exists());
    signal(&child, "INT");
    park_timeout(Duration::from_millis(300));
    signal(&child, "INT");
    let (code, _, err) = end(child);
    assert_eq!(code, Some(130));
    assert!(!err.contains("interrupted"), "it had no time to say so: {err}");
}

#[test]
fn what_ignores_a_hangup_goes_on() {
    let test_dir = TestDir::new();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_mesh-sim");
    test_dir.write("small.toml", &on_event().replace("\"3s\"", "\"1h\""));
    let script = format!("trap '' HUP; exec {program} small.toml --policy random --seed 1");
    command.args(["-c", &script]).current_dir(test_dir.0.path()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    until("folder", || test_dir.path("results").exists());
    signal(&child, "HUP");
    let (code, out, err) = end(child);
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Every file of a folder, with its path from there and its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        match path.is_dir() {
            true => found.extend(files(&path).into_iter().map(|(p, text)| (name.join(p), text))),
            false => found.push((name, fs::read(path).unwrap())),
        }
    }
    found.sort();
    found
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names = |files: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{} differs", name.display());
    }
}

const SWEEP: &str = "sweep small.toml --seeds 1..60 --vary workload.rate=20,30";

/// How many runs there are in a file of an unfinished sweep.
fn ended(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap_or_default();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    json["numbers"].as_array().map_or(0, Vec::len)
}

/// Starts a sweep, and sends the signal once so many of its runs are on the disk.
fn interrupt(test_dir: &TestDir, line: &str, file: &str, runs: usize, name: &str) {
    let child = start(test_dir, line);
    until("unfinished sweep", || ended(&test_dir.path(file)) >= runs);
    signal(&child, name);
    let (code, out, err) = end(child);
    if name == "KILL" {
        assert_eq!(code, None);
        return;
    }
    assert_eq!(code, Some(130), "{out}{err}");
    let on_disk = ended(&test_dir.path(file));
    assert!(err.contains(&format!("interrupted: {on_disk} of ")), "{err}");
    assert!(err.contains(file) && err.contains("--resume"), "{err}");
}

#[test]
fn a_resumed_sweep_gives_the_bytes_of_one_that_was_not_interrupted() {
    let test_dir = TestDir::new();
    test_dir.write("small.toml", &on_event().replace("\"3s\"", "\"100s\""));
    let run = |line: &str| end(start(&test_dir, line));
    assert_eq!(run(&format!("{SWEEP} --out whole")).0, Some(0));
    let whole = test_dir.path("whole");

    let file = "results/runs/small-sweep/1/unfinished.json";
    interrupt(&test_dir, &format!("{SWEEP} --jobs 1"), file, 1, "INT");
    assert!(!test_dir.path("results/runs/small-sweep/latest").exists());
    let resumed = format!("{SWEEP} --resume");
    interrupt(&test_dir, &format!("{resumed} --jobs 3"), file, 60, "TERM");
    interrupt(&test_dir, &format!("{resumed} --jobs 1"), file, 120, "KILL");
    let (code, out, err) = run(&resumed);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(" written to results/runs/small-sweep/1 (latest):\n"), "{out}");
    assert_same(&test_dir.path("results/runs/small-sweep/1"), &whole);
    let (code, _, err) = run(&resumed);
    let nothing = "error: there is no unfinished.json in results/runs/small-sweep: \
                   leave out --resume to begin anew\n";
    assert_eq!((code, &*err), (Some(2), nothing));

    // A folder that is named, and parts.
    interrupt(&test_dir, &format!("{SWEEP} --out named"), "named/unfinished.json", 50, "INT");
    assert_eq!(run(&format!("{SWEEP} --out named --resume")).0, Some(0));
    assert_same(&test_dir.path("named"), &whole);
    let part = |number| format!("{SWEEP} --shard {number}/2");
    let file = "results/runs/small-parts/shard-1-of-2.unfinished.json";
    interrupt(&test_dir, &part(1), file, 20, "INT");
    assert_eq!(run(&part(2)).0, Some(0));
    assert_eq!(run("merge results/runs/small-parts").0, Some(2), "a part is missing");
    assert_eq!(run(&format!("{} --resume", part(2))).0, Some(2), "it has ended");
    assert_eq!(run(&format!("{} --resume", part(1))).0, Some(0));
    assert_eq!(run("merge results/runs/small-parts --out merged").0, Some(0));
    assert_same(&test_dir.path("merged"), &whole);
}

#[test]
fn another_sweep_is_not_resumed() {
    let test_dir = TestDir::new();
    let scenario = on_event().replace("\"3s\"", "\"100s\"");
    test_dir.write("small.toml", &scenario);
    let file = "results/runs/small-sweep/1/unfinished.json";
    interrupt(&test_dir, SWEEP, file, 1, "INT");
    let before = fs::read_to_string(test_dir.path(file)).unwrap();
    let refused = |line: &str, says: &str| {
        let (code, out, err) = end(start(&test_dir, line));
        assert_eq!((code, &*out), (Some(2), ""), "{err}");
        assert!(err.starts_with(&format!("error: failed to resume from {file}: ")), "{err}");
        assert!(err.contains(says) && err.contains("--resume"), "{err}");
    };
    let resumed = format!("{SWEEP} --resume");
    refused(&resumed.replace("1..60", "1..61"), "the seeds differ");
    refused(&resumed.replace("20,30", "20,40"), "the varied values differ");
    refused(&format!("{resumed} --baseline power_of_two"), "the baselines differ");
    test_dir.write("small.toml", &scenario.replace("20ms", "21ms"));
    refused(&resumed, "the scenario files differ");
    test_dir.write("small.toml", &scenario);
    test_dir.write(file, &before.replacen("\"program_version\":\"", "\"program_version\":\"9", 1));
    refused(&resumed, "of the program wrote it, and this is version");
    test_dir.write(file, &before.replacen("\"numbers\":[", "\"numbers\":[999,", 1));
    refused(&resumed, "it does not hold the runs of its part");
    test_dir.write(file, &before[..before.len() / 2]);
    refused(&resumed, "EOF");
}
