//! The program from end to end: what it prints and writes, and its exit codes.

#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/folders.rs"]
mod folders;
#[cfg(unix)]
#[path = "cli/interrupt.rs"]
mod interrupt;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[path = "cli/documents.rs"]
mod documents;
#[path = "cli/init.rs"]
mod init;
#[path = "cli/near_misses.rs"]
mod near_misses;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/playback.rs"]
mod playback;

#[path = "cli/python.rs"]
mod python;

/// Two agents, two policies, some seconds.
const SCENARIO: &str = r#"
name = "small"
description = "Two policies for a few seconds"
duration = "3s"
drain = "1s"
agents = [{ name = "agent", count = 3, cores = 2 }]
policies = ["random", "power_of_two"]
seeds = [42]

[workload]
arrivals = "poisson"
rate = 30
steps = [{ at = "2s", rate = 20 }]
demand = { kind = "exponential", mean = "20ms" }

[[faults]]
kind = "crash"
at = "1s"
for = "500ms"
hosts = "agent-2"
"#;

/// A temporary working directory with `small.toml` in it.
struct TestDir(TempDir);

impl TestDir {
    fn new() -> Self {
        let test_dir = Self(tempfile::tempdir().unwrap());
        test_dir.write("small.toml", SCENARIO);
        test_dir
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
        command.args(args).current_dir(self.0.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the program with these arguments; its exit code, standard output and standard error.
    fn ran(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.run(args);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_prints_a_table_and_writes_its_results() {
    let test_dir = TestDir::new();
    let (code, out, err) = test_dir.ran(&["small.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "no progress bar in a pipe");
    for expected in [
        "small: 3 agents, 30 requests/s (10 % busy), 3 s simulated, seed 42\n",
        " from 2s: 20 requests/s\n",
        " crash 1-1.5 s: agent-2\n",
        "\n random ",
        "\n power_of_two ",
        "Where requests failed, and why",
        " written to results/runs/small/1 (latest):\n   report.html ",
    ] {
        assert!(out.contains(expected), "no {expected:?} in\n{out}");
    }
    let long: Vec<&str> = out.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "{long:#?}");
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "no escapes in a pipe");
    let files = names(&test_dir.path("results/runs/small/latest"));
    let expected = ["latency.csv", "power_of_two.hgrm", "random.hgrm", "report.html"];
    assert_eq!(files[..4], expected);
    assert_eq!(files[4..], ["scenario.toml", "summary.json", "timeline.csv"]);
}

#[test]
fn json_is_the_summary_and_nothing_else() {
    let test_dir = TestDir::new();
    let args = ["small.toml", "--json", "--policy", "random", "--seed", "9", "--seed", "7"];
    let (code, out, err) = test_dir.ran(&[&args[..], &["--out", "here/it/is"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, fs::read_to_string(test_dir.path("here/it/is/summary.json")).unwrap());
    let summary: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["seeds"], serde_json::json!([7, 9]));
    let runs = summary["runs"].as_array().unwrap();
    let run = |run: &Value| (run["policy"].clone(), run["seed"].clone());
    let expected = [("random".into(), 7.into()), ("random".into(), 9.into())];
    assert_eq!(runs.iter().map(run).collect::<Vec<_>>(), expected);
    assert!(!test_dir.path("here/it/is/power_of_two.hgrm").exists());
}

#[test]
fn a_file_without_seeds_runs_with_as_many_as_are_cheap() {
    let test_dir = TestDir::new();
    test_dir.write("short.toml", &SCENARIO.replace("seeds = [42]\n", ""));
    let (code, out, _) = test_dir.ran(&["short.toml"]);
    assert_eq!(code, 0);
    assert!(out.contains("seeds 42..51"), "{out}");
    assert!(out.contains("Each line adds up 10 seeds."), "{out}");
}

#[test]
fn a_trace_has_every_event() {
    let test_dir = TestDir::new();
    let (code, out, _) = test_dir.ran(&["small.toml", "--trace", "--out", "t"]);
    assert_eq!(code, 0);
    assert!(out.contains("events.jsonl"), "{out}");
    let events = fs::read_to_string(test_dir.path("t/events.jsonl")).unwrap();
    let summary = fs::read_to_string(test_dir.path("t/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let counts = summary["runs"].as_array().unwrap().iter().map(|run| run["events"].as_u64());
    assert_eq!(counts.sum::<Option<u64>>(), Some(events.lines().count() as u64));
    let crashed = |line: &str| line.contains("\"agent-2\",\"event\":\"crashed\"");
    assert_eq!(events.lines().filter(|line| crashed(line)).count(), 2);
}

#[test]
fn determinism_is_checked_without_leaving_a_trace() {
    let test_dir = TestDir::new();
    let args = ["small.toml", "--check-determinism", "--policy", "random", "--out", "d"];
    let (code, out, err) = test_dir.ran(&args);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("every run was repeated, and every event was the same"), "{out}");
    assert!(!test_dir.path("d/events.jsonl").exists());
}

#[test]
fn a_missed_threshold_is_exit_code_4_with_the_command_that_replays_it() {
    let test_dir = TestDir::new();
    let expect = "\n[expect.random]\nmax_p50 = \"1ms\"\n";
    test_dir.write("strict.toml", &format!("{SCENARIO}{expect}"));
    let (code, out, _) = test_dir.ran(&["strict.toml", "--out", "s"]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains(" missed: random: p50 is "), "{out}");
    let replay = out.lines().find(|line| line.starts_with("   mesh-sim ")).unwrap();
    assert_eq!(replay, "   mesh-sim replay strict.toml --seed 42 --policy random");
}

#[test]
fn bad_usage_is_exit_code_2() {
    let test_dir = TestDir::new();
    let unknown = ["small.toml", "--policy", "randon"];
    let seed = ["small.toml", "--seed", "9007199254740992"];
    for (args, says) in [
        (&[][..], "Usage"),
        (&["--no-such-option"], "--no-such-option"),
        (
            &unknown,
            "no policy `randon` here; did you mean `random`? there are: random, power_of_two",
        ),
        (&seed, "9007199254740992"),
        (&["nowhere.toml"], "nowhere.toml"),
        (&["check"], "FILE"),
    ] {
        let (code, out, err) = test_dir.ran(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
    assert!(!test_dir.path("results").exists());
}

#[test]
fn a_bad_scenario_is_exit_code_2_with_every_problem_in_its_place() {
    let test_dir = TestDir::new();
    let bad = SCENARIO.replace("rate = 30", "rat = 30").replace("\"3s\"", "\"3 parsecs\"");
    test_dir.write("bad.toml", &bad);
    let (code, out, err) = test_dir.ran(&["bad.toml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("bad.toml:4:12"), "{err}");
    assert!(err.contains("bad.toml:12:1"), "{err}");
    assert!(err.contains("`rate`"), "{err}");
}

#[test]
fn what_the_engine_cannot_do_is_exit_code_2() {
    let test_dir = TestDir::new();
    let crowd = SCENARIO.replace("count = 3", "count = 300");
    test_dir.write("crowd.toml", &crowd);
    test_dir.write("asked.toml", &format!("engine = \"turmoil\"\n{crowd}"));
    for args in
        [&["asked.toml"][..], &["crowd.toml", "--engine", "turmoil"], &["check", "asked.toml"]]
    {
        let (code, out, err) = test_dir.ran(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains("engine turmoil can't run 300 agents"), "{err}");
    }
}

#[test]
fn results_that_cannot_be_written_are_exit_code_1() {
    let test_dir = TestDir::new();
    let (code, _, err) = test_dir.ran(&["small.toml", "--policy", "random", "--out", "small.toml"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: failed to write the results to small.toml: "), "{err}");
}

#[test]
fn check_looks_at_every_file() {
    let test_dir = TestDir::new();
    test_dir.write("bad.toml", &SCENARIO.replace("rate = 30", ""));
    let (code, out, err) = test_dir.ran(&["check", "small.toml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let first = "small.toml: ok, 2 runs (2 policies x 1 seed, engine event)\n";
    assert!(out.starts_with(first), "{out}");
    for expected in [
        "\n  capacity   300 requests/s; cores limit it\n",
        "\n  load       0 to 2 s: 30 requests/s, 10 % of the capacity\n",
        "\n  warning    about 80 requests count",
    ] {
        assert!(out.contains(expected), "{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let (code, again, err) = test_dir.ran(&["check", "bad.toml", "small.toml"]);
    assert_eq!((code, again), (2, out));
    assert!(err.contains("bad.toml"), "{err}");
    assert_eq!(names(test_dir.0.path()), ["bad.toml", "small.toml"], "nothing is run");
}

#[test]
fn schema_is_the_committed_one() {
    let (code, out, _) = TestDir::new().ran(&["schema"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema.json");
    assert_eq!(code, 0);
    assert!(out == fs::read_to_string(file).unwrap(), "renew it: mesh-sim schema > its path");
}

/// The scenario on the event engine, which takes the least time.
fn on_event() -> String {
    format!("engine = \"event\"\n{SCENARIO}")
}

/// A pipe whose reader has left.
fn left() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

#[test]
fn who_stops_reading_ends_the_printing_only() {
    let test_dir = TestDir::new();
    let small = on_event();
    test_dir.write("small.toml", &small);
    test_dir.write("bad.toml", &small.replace("rate = 30", ""));
    test_dir.write("strict.toml", &format!("{small}\n[expect.random]\nmax_p50 = \"1ms\"\n"));
    let lines = [
        "small.toml --policy random --out OUT",
        "strict.toml --policy random --out OUT",
        "strict.toml --policy random --json --out OUT",
        "check small.toml bad.toml",
        "check small.toml",
        "schema",
        "sweep strict.toml --policy random --seeds 1..2 --out OUT",
        "sweep strict.toml --policy random --seeds 1..2 --shard 1/1 --out OUT",
        "replay strict.toml --policy random --out OUT",
        "replay small.toml --policy random --out OUT",
        "minimize small.toml --policy random",
        "minimize strict.toml --policy random --tries 2 --out OUT/min.toml",
        "explore strict.toml --runs 2 --thresholds --out OUT",
        "nowhere.toml",
        "--help",
        "sweep --help",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let run = |out: &str, stdout: Option<Stdio>| {
            let line = line.replace("OUT", out);
            let mut command = test_dir.command(&line.split(' ').collect::<Vec<_>>());
            stdout.map(|stdout| command.stdout(stdout));
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let files = Some(test_dir.path(out)).filter(|out| out.exists()).map(|out| names(&out));
            (output.status.code().unwrap(), said, files)
        };
        let with = |kind: &str| format!("{number}-{kind}");
        let read = run(&with("read"), None);
        assert_eq!(run(&with("left"), Some(left())), read, "{line}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (code, said, files) = run(&with("full"), Some(full.into()));
        assert_eq!((code, files), (if read.0 == 0 { 1 } else { read.0 }, read.2), "{line}: {said}");
        let mut stderr =
            test_dir.command(&line.replace("OUT", "stderr").split(' ').collect::<Vec<_>>());
        assert_eq!(stderr.stderr(left()).output().unwrap().status.code(), Some(read.0), "{line}");
    }
}

#[test]
fn results_that_do_not_fit_on_the_disk_leave_everything_as_it_was() {
    let test_dir = TestDir::new();
    test_dir.write("small.toml", &on_event());
    let (code, _, _) = test_dir.ran(&["small.toml", "--out", "kept", "--policy", "random"]);
    assert_eq!(code, 0);
    let summary = fs::read(test_dir.path("kept/summary.json")).unwrap();
    let before = (names(test_dir.0.path()), names(&test_dir.path("kept")));
    let program = env!("CARGO_BIN_EXE_mesh-sim");
    for out in ["kept", "fresh/one"] {
        // Blocks of `ulimit -f` have 512 or 1,024 bytes; some of the files are smaller.
        let script = format!("ulimit -f 4; exec {program} small.toml --out {out}");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(test_dir.0.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let expected = format!("error: failed to write the results to {out}: File too large");
        assert!(said.starts_with(&expected), "{said}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("\n power_of_two "), "the table is shown all the same: {shown}");
    }
    assert_eq!((names(test_dir.0.path()), names(&test_dir.path("kept"))), before);
    assert_eq!(fs::read(test_dir.path("kept/summary.json")).unwrap(), summary);
}

#[test]
fn runs_at_the_same_time_never_mix_their_results() {
    let test_dir = TestDir::new();
    test_dir.write("small.toml", &on_event());
    let start = |seed: u64| {
        let seed = seed.to_string();
        let mut command = test_dir.command(&["small.toml", "--seed", &seed, "--out", "shared"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs: Vec<_> = (1..=6).map(start).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let summary = fs::read_to_string(test_dir.path("shared/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let seed = summary["seeds"][0].to_string();
    let alone = test_dir.ran(&["small.toml", "--seed", &seed, "--out", "alone"]);
    assert_eq!(alone.0, 0);
    assert_eq!(names(&test_dir.path("shared")), names(&test_dir.path("alone")));
    for name in names(&test_dir.path("alone")) {
        let file = |dir: &str| fs::read(test_dir.path(dir).join(&name)).unwrap();
        assert!(file("shared") == file("alone"), "{name} is another run's");
    }
}

#[test]
fn a_recommendation_answers_first_and_checks_what_is_deployed() {
    let dir = TestDir::new();
    let arguments = ["recommend", "small.toml", "--quick", "--policy", "random"];
    let arguments = [&arguments[..], &["--policy", "power_of_two"]].concat();
    let (code, text, news) = dir.ran(&arguments);
    assert_eq!(code, 0, "{text}");
    assert!(news.starts_with("this may take up to "), "{news}");
    assert!(text.starts_with(" Take "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let out = dir.path("results/runs/small-recommend/1");
    for name in
        ["recommendation.json", "situations/calm-100.toml", "situations/as-written-100.toml"]
    {
        assert!(out.join(name).exists(), "{name}");
    }
    let situation = out.join("situations/crashed-peer-100.toml");
    assert!(dir.run(&["check", situation.to_str().unwrap()]).status.success());
    let json = dir.run(&[&arguments[..], &["--json", "--current", "random"]].concat());
    let found: Value = serde_json::from_slice(&json.stdout).unwrap();
    let code = if found["beats_current"] == true { 7 } else { 0 };
    assert_eq!(json.status.code(), Some(code));
    assert_eq!(dir.run(&["recommend", "small.toml", "--policy", "mine"]).status.code(), Some(2));
}
