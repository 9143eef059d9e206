//! Command lines that are almost right: they are understood, or the error names what was meant.

use std::io::Write as _;
use std::process::Stdio;

use super::{SCENARIO, TestDir};

#[test]
fn the_error_names_what_was_probably_meant() {
    let test_dir = TestDir::new();
    std::fs::create_dir_all(test_dir.path("results/runs/small")).unwrap();
    for (args, expected) in [
        (&["smal.toml"][..], "; did you mean small.toml?"),
        (&["check", "Small.tml"], "; did you mean small.toml?"),
        (&["."], "; name a file in it, such as ./small.toml"),
        (&["chekc", "small.toml"], "`chekc`; did you mean `mesh-sim check`?"),
        (&["small.toml", "--policy", "rnadom"], "did you mean `random`? there are: random, power"),
        (&["sweep", "small.toml", "--vary", "raet=1"], "; did you mean workload.rate?"),
        (
            &["sweep", "small.toml", "--vary", "at=1s"],
            "any of faults.0.at, workload.steps.0.at: name",
        ),
        (
            &["sweep", "small.toml", "--vary", "rate=1"],
            "`rate` may be any of workload.rate, workload.steps.0.rate: name the whole path",
        ),
        (&["compare", "smal", "x"], "no results in smal; did you mean results/runs/small?"),
        (&["replay", "small.toml", "--seed", "1..2"], "expected a single seed, like 7"),
    ] {
        let (code, out, err) = test_dir.ran(args);
        assert_eq!((code, &*out), (2, ""), "{args:?}: {err}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn what_is_clear_is_understood() {
    let test_dir = TestDir::new();
    let args = ["run", "small.toml", "--policy", "Power-of-Two", "--seeds", "1..2,5", "--json"];
    let (code, out, err) = test_dir.ran(&[&args[..], &["--engine", "Event"]].concat());
    assert_eq!((code, &*err), (0, ""));
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(summary["seeds"], serde_json::json!([1, 2, 5]));
    assert_eq!(summary["runs"][0]["policy"], "power_of_two");
    let sweep = ["sweep", "small.toml", "--vary", "mean=10ms,20ms", "--engine", "event"];
    let (code, out, _) =
        test_dir.ran(&[&sweep[..], &["--seed", "1..2", "--baseline", "RANDOM"]].concat());
    assert_eq!(code, 0);
    assert!(out.contains("cell 2: workload.demand.mean = 20ms\n"), "{out}");
}

#[test]
fn a_scenario_may_come_from_standard_input() {
    let test_dir = TestDir::new();
    let piped = |args: &[&str], text: &str| {
        let mut command = test_dir.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = piped(&["check", "-"], SCENARIO);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("<stdin>: ok, 2 runs ("), "{out}");
    let (code, _, err) = piped(&["run", "-"], &SCENARIO.replace("drain", "drian"));
    assert_eq!(code, Some(2));
    assert!(err.contains("--> <stdin>:5:1"), "{err}");
    let (code, out, err) = piped(&["-", "--policy", "random", "--engine", "event"], SCENARIO);
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(out.starts_with("small: 3 agents"), "{out}");
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let test_dir = TestDir::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, out, _) = test_dir.ran(&["completions", shell]);
        assert!(code == 0 && out.contains("recommend"), "{shell}: {out}");
    }
    let (code, out, _) = test_dir.ran(&["man"]);
    assert!(code == 0 && out.contains(".TH mesh-sim 1"), "{out}");
    let (code, _, _) = test_dir.ran(&["man", "pages/here"]);
    assert_eq!(code, 0);
    let page = std::fs::read_to_string(test_dir.path("pages/here/mesh-sim-sweep.1")).unwrap();
    assert!(page.contains("\\-\\-vary"), "{page}");
    test_dir.write("file", "");
    let (code, _, err) = test_dir.ran(&["man", "file/in/a/file"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: failed to write the pages: "), "{err}");
}
