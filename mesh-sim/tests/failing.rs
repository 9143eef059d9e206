//! The search for failures as a user carries it out: explore, minimize and replay.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Three agents, one of which is down for a while: not all requests can be answered.
const SCENARIO: &str = include_str!("../../docs/demanding.toml");

/// A temporary working directory with `demanding.toml` in it.
struct TestDir(TempDir);

impl TestDir {
    fn new() -> Self {
        let test_dir = Self(tempfile::tempdir().unwrap());
        fs::write(test_dir.0.path().join("demanding.toml"), SCENARIO).unwrap();
        test_dir
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the program with these arguments; its exit code and everything that it prints.
    fn ran(&self, arguments: &str) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
        command.current_dir(self.path()).args(arguments.split_whitespace());
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}

/// What follows `mark` in the first line that has it.
fn printed_line<'a>(text: &'a str, mark: &str) -> &'a str {
    text.lines().find_map(|line| line.split_once(mark)).expect(mark).1.trim()
}

#[test]
fn the_printed_line_replays_a_missed_threshold() {
    let test_dir = TestDir::new();
    let (code, text) = test_dir.ran("demanding.toml --seed 3 --policy random");
    assert_eq!(code, 4, "{text}");
    let line = printed_line(&text, "mesh-sim ");
    assert!(line.starts_with("replay demanding.toml --seed 3 --policy random"), "{text}");
    let (code, text) = test_dir.ran(&format!("{line} --out replayed"));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(" missed: min_success"), "{text}");
    for part in ["  sends request ", "crash begins: agent-2", "### FAILED", "\n>> "] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let (_, story) = text.split_once(" missed: ").unwrap();
    let wide: Vec<&str> = story.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(test_dir.path().join("replayed/events.jsonl").exists());
    let page = || fs::read_to_string(test_dir.path().join("replayed/replay.html")).unwrap();
    let first = page();
    assert!(first.contains("class=\"failure-sign\"") && first.contains("class=\"fault-band\""));
    assert_eq!(test_dir.ran(&format!("{line} --out replayed")), (code, text));
    assert_eq!(page(), first, "the same bytes again");
}

#[test]
fn programs_get_a_failure_as_one_line_of_json() {
    let test_dir = TestDir::new();
    let replay = "replay demanding.toml --seed 3 --policy random --json";
    let (code, text) = test_dir.ran(&format!("{replay} --events 3"));
    assert_eq!((code, text.lines().count()), (0, 1), "{text}");
    let story: Value = serde_json::from_str(&text).unwrap();
    assert!(story["failure"].as_str().unwrap().starts_with("missed: min_success"), "{text}");
    let events = story["events"].as_array().unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!((&events[0]["event"], &events[0]["request"]), (&"due".into(), &story["request"]));
    let kinds = story["faults"].as_array().unwrap().iter().map(|fault| &fault["kind"]);
    assert!(kinds.eq(["slow-down", "crash"]), "{text}");

    fs::write(test_dir.path().join("sound.toml"), SCENARIO.replace("= 1.0", "= 0.01")).unwrap();
    let sound = replay.replace("demanding", "sound");
    assert_eq!(test_dir.ran(&format!("{sound} --out d")), (6, String::new()));
    assert!(!test_dir.path().join("d/replay.html").exists());
}

#[test]
fn a_failure_is_shrunk_to_a_file_that_fails_in_the_same_way() {
    let test_dir = TestDir::new();
    let (code, text) = test_dir.ran("minimize demanding.toml --seed 3 --policy random --tries 80");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 faults, 3 agents, 4s became 1 fault,"), "{text}");
    let (code, text) = test_dir.ran(printed_line(&text, "replay it: mesh-sim "));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("missed: min_success"), "{text}");
    let small = fs::read_to_string(test_dir.path().join("demanding.min.toml")).unwrap();
    assert!(small.contains("crash") && !small.contains("slow_down"), "{small}");
}

#[test]
fn what_does_not_fail_is_said_to_be_so() {
    let test_dir = TestDir::new();
    let sound = SCENARIO.replace("min_success = 1.0", "min_success = 0.01");
    fs::write(test_dir.path().join("sound.toml"), sound).unwrap();
    for command in ["replay", "minimize"] {
        let (code, text) = test_dir.ran(&format!("{command} sound.toml --seed 3 --policy random"));
        assert_eq!(code, 6, "{text}");
        assert!(text.contains("nothing fail"), "{text}");
    }
    let (code, text) = test_dir.ran("replay sound.toml --seed 3");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("choose a policy with --policy LABEL: random, round_robin"), "{text}");
}

#[test]
fn an_exploration_writes_what_fails_and_says_what_it_met() {
    let test_dir = TestDir::new();
    let explore = "explore demanding.toml --runs 12 --seed 4 --thresholds --out found";
    let (code, text) = test_dir.ran(explore);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("seed 4: 12 runs"), "{text}");
    assert!(text.contains(" times in ") && text.contains("never met"), "{text}");
    let file = printed_line(&text, " fails: ");
    assert!(file.starts_with("found/demanding-4-"), "{text}");
    let (code, replayed) = test_dir.ran(&format!("replay {file}"));
    assert_eq!(code, 0, "{replayed}");
    let (code, again) = test_dir.ran(explore);
    assert_eq!((code, again), (4, text), "a function of scenario and seed");

    let (code, text) = test_dir.ran("explore demanding.toml --runs 12 --seed 4 --out none");
    assert_eq!(code, 0, "no oracle is violated: {text}");
    assert!(!test_dir.path().join("none").exists());
}

/// Runs the commands of the session in `docs/exploring.md`. They must print every line that it
/// shows.
#[test]
fn the_documented_session_is_real() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exploring.md");
    let docs = fs::read_to_string(path).unwrap();
    let (_, rest) = docs.split_once("```console\n").unwrap();
    let (session, _) = rest.split_once("```").unwrap();
    let test_dir = TestDir::new();
    let (mut said, mut commands) = (String::new(), 0);
    for line in session.lines() {
        if let Some(arguments) = line.strip_prefix("$ mesh-sim ") {
            said = test_dir.ran(arguments).1;
            commands += 1;
        } else if line != " ..." {
            assert!(said.lines().any(|found| found == line), "{line:?} is not in:\n{said}");
        }
    }
    assert_eq!(commands, 3);
}
