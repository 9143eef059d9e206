//! Sweeps as a user runs them: the documented shell loop, any number of threads, and mistakes on
//! the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SCENARIO: &str = r#"
name = "tiny"
description = "two agents for a second"
duration = "1s"
warm_up = "300ms"
drain = "1s"
policies = ["random", "round_robin"]
[registry]
ttl = "2s"
heartbeat = "500ms"
refresh = "100ms"
[[agents]]
name = "agent"
count = 2
[workload]
arrivals = "constant"
rate = 20
demand = { kind = "exponential", mean = "10ms" }
deadline = "500ms"
"#;

fn mesh_sim(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
    command.current_dir(dir).args(arguments).output().expect("mesh-sim runs")
}

fn tiny(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("tiny.toml"), text).expect("a file");
    dir
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let dir = tiny(SCENARIO);
    let sweep = |engine: &str, jobs: &str, out: &str| {
        let vary = "agents.0.count=2,3";
        let mut arguments = vec!["sweep", "tiny.toml", "--seeds", "1..2", "--vary", vary];
        arguments.extend(["--engine", engine, "--jobs", jobs, "--out", out]);
        let output = mesh_sim(dir.path(), &arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "", "no bar in a pipe");
        ["sweep.json", "sweep.csv", "comparison.csv", "cell-2/random.hgrm"]
            .map(|name| fs::read(dir.path().join(out).join(name)).expect(name))
    };
    for engine in ["turmoil", "event"] {
        assert_eq!(sweep(engine, "1", "one"), sweep(engine, "3", "three"), "{engine}");
    }
}

/// The first shell block of `docs/sweeps.md`, word for word.
#[cfg(unix)]
#[test]
fn the_documented_shell_loop_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_to_string(root.join("docs/sweeps.md")).expect("the documentation");
    let (_, rest) = docs.split_once("```sh\n").expect("a shell block");
    let (script, _) = rest.split_once("```").expect("the end of the block");
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("scenarios")).expect("a directory");
    let shipped = "scenarios/load-sweep.toml";
    fs::copy(root.join(shipped), dir.path().join(shipped)).expect("the scenario");
    let binaries = Path::new(env!("CARGO_BIN_EXE_mesh-sim")).parent().expect("a directory");
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    let output = shell.current_dir(dir.path()).env("PATH", path).args(["-euc", script]).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(dir.path().join("joined/sweep.json").exists());
    assert!(dir.path().join("parts/shard-3-of-3.json").exists());
    fs::remove_file(dir.path().join("parts/shard-2-of-3.json")).expect("a part");
    let merge = mesh_sim(dir.path(), &["merge", "parts"]);
    assert_eq!(merge.status.code(), Some(2));
    assert_eq!(stderr(&merge), "error: failed to join an incomplete sweep: missing 2/3\n");
}

#[test]
fn thresholds_are_held_against_the_whole() {
    let text = format!("{SCENARIO}\n[expect.random]\nmax_mean = \"1us\"\n");
    let dir = tiny(&text);
    let sweep = ["sweep", "tiny.toml", "--policy", "random", "--seeds", "1..2"];
    let part =
        |shard| mesh_sim(dir.path(), &[&sweep[..], &["--shard", shard, "--out", "p"]].concat());
    assert_eq!(part("1/2").status.code(), Some(0));
    assert_eq!(part("2/2").status.code(), Some(0));
    let merged = mesh_sim(dir.path(), &["merge", "p", "--out", "p"]);
    assert_eq!(merged.status.code(), Some(4), "{}", stderr(&merged));
    let text = String::from_utf8_lossy(&merged.stdout);
    assert!(text.contains("missed: cell 1 random: mean is "), "{text}");
    assert!(text.contains("mesh-sim replay p/cell-1/scenario.toml --seed "), "{text}");
}

#[test]
fn what_is_wrong_on_the_command_line_is_2() {
    let dir = tiny(SCENARIO);
    for arguments in [
        &["sweep", "tiny.toml", "--vary", "workload.rate=-1"][..],
        &["sweep", "tiny.toml", "--vary", "agents.3.count=1"],
        &["sweep", "tiny.toml", "--vary", "seeds=1,2"],
        &["sweep", "tiny.toml", "--baseline", "best"],
        &["sweep", "tiny.toml", "--policy", "best"],
        &["sweep", "tiny.toml", "--seeds", "9..1"],
        &["sweep", "tiny.toml", "--shard", "3/2"],
        &["sweep", "none.toml"],
        &["merge", "none"],
        &["merge", "."],
    ] {
        let output = mesh_sim(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("error: "), "{arguments:?}");
    }
}
