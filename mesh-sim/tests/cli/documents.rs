//! What the documents say is true: their commands run and print what is shown, and their links lead
//! somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::python::has_python;

/// A command in a block that is marked as long is ended after this many seconds; it must not have
/// failed by then.
const LONG_SECONDS: u32 = 3;
/// Every other command ends by itself within this time.
const SECONDS: u32 = 240;
/// So many pages are gone through at the same time.
const WORKERS: usize = 2;
/// The exit code of `timeout` if it ended the command.
const ENDED: i32 = 124;
/// The programs whose commands are run. `cargo` is not among them: it would build.
const PROGRAMS: [&str; 4] = ["mesh-sim", "mesh", "mesh-bench", "python3"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages: those for users, which have commands.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("scenarios/README.md")];
    for folder in ["docs", "docs/evidence"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages.sort();
    pages
}

/// A command of a page, and the lines that it prints according to the page.
struct ShownCommand {
    command: String,
    is_long: bool,
    shown: Vec<String>,
}

/// The commands in the blocks of a page that are marked as `console`.
fn commands(page: &str) -> Vec<ShownCommand> {
    let mut found: Vec<ShownCommand> = Vec::new();
    let mut block: Option<bool> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(kind), None) => {
                block = kind.strip_prefix("console").map(|rest| rest.trim() == "long");
            }
            (None, Some(is_long)) => match line.strip_prefix("$ ") {
                Some(command) => {
                    let command = command.split("  #").next().unwrap_or(command).trim();
                    let command = command.replace("cargo run --release -p mesh-sim --", "mesh-sim");
                    let command = command.replace("cargo run --release -p mesh-node --", "mesh");
                    found.push(ShownCommand { command, is_long, shown: Vec::new() });
                }
                None => {
                    if let Some(last) = found.last_mut() {
                        last.shown.push(line.to_owned());
                    }
                }
            },
            (None, None) => {}
        }
    }
    found
}

/// The folder in which the commands of a page run: a copy of what they read, so that they may
/// write.
fn copy_of_the_project(page: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["scenarios", "examples", "docs", "results"] {
        let status = Command::new("cp")
            .arg("-r")
            .args([root().join(part), folder.path().join(part)])
            .status()
            .unwrap();
        assert!(status.success());
    }
    let made = |name: &str| page.contains(&format!("mesh-sim init {name}"));
    if !made("scenarios/mine.toml") {
        assert_eq!(code(&run(folder.path(), "mesh-sim init scenarios/mine.toml", SECONDS)), 0);
    }
    // Results that pages compare; they say so, and nobody waits for all of them.
    for name in ["old", "new", "sim", "live"] {
        if page.contains(&format!("results/runs/{name}")) {
            let command = format!("mesh-sim scenarios/slow-agent.toml --out results/runs/{name}");
            assert_eq!(code(&run(folder.path(), &command, SECONDS)), 0);
        }
    }
    if page.contains("results/runs/load-sweep-sweep") {
        let command = "mesh-sim sweep scenarios/load-sweep.toml --seeds 1..5";
        assert_eq!(code(&run(folder.path(), command, SECONDS)), 0);
    }
    folder
}

fn run(folder: &Path, command: &str, seconds: u32) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_mesh-sim")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    // The shell reads quotes, and `timeout` ends whatever the command has started.
    let script = format!("exec timeout --kill-after=5 {seconds} {command}");
    Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Whether the lines stand in the text, in this order. A line of three dots stands for any lines.
fn stands_in(shown: &[String], text: &str) -> Result<(), String> {
    let mut lines = text.lines();
    for line in shown.iter().filter(|line| line.trim() != "...") {
        if !lines.any(|found| found == line) {
            return Err(format!("{line:?} is not there, or not in its place"));
        }
    }
    Ok(())
}

/// What became of the commands of a page.
#[derive(Default)]
struct PageOutcome {
    /// How many ran.
    count: usize,
    /// The programs that are not there.
    missing: BTreeSet<String>,
}

/// Runs the commands of a page, one after the other.
fn run_page(path: &Path) -> PageOutcome {
    let mut outcome = PageOutcome::default();
    let programs = Path::new(env!("CARGO_BIN_EXE_mesh-sim")).parent().unwrap();
    let page = fs::read_to_string(path).unwrap();
    let mut folder = None;
    for ShownCommand { command, is_long, shown } in commands(&page) {
        let program = command.split(' ').next().unwrap_or_default();
        if !PROGRAMS.contains(&program) {
            continue;
        }
        let is_there = match program.starts_with("mesh") {
            true => programs.join(program).exists(),
            false => has_python(),
        };
        if !is_there {
            outcome.missing.insert(program.to_owned());
            continue;
        }
        let folder = folder.get_or_insert_with(|| copy_of_the_project(&page));
        let output = run(folder.path(), &command, if is_long { LONG_SECONDS } else { SECONDS });
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        let place = format!("{}: {command}\n{said}{complained}", path.display());
        let ended = code(&output);
        assert!(ended == 0 || ended > 2, "exit code {ended} of {place}");
        if ended == ENDED || ended == 137 {
            assert!(is_long, "took too long: {place}");
        } else if let Err(reason) = stands_in(&shown, &said) {
            panic!("{reason} in {place}");
        }
        outcome.count += 1;
    }
    outcome
}

#[test]
fn every_command_of_the_documents_runs_and_prints_what_they_show() {
    // The session of that page has a test of its own.
    let pages = pages().into_iter().filter(|path| !path.ends_with("docs/exploring.md"));
    let left = Mutex::new(pages);
    let next = || left.lock().unwrap().next();
    let worker = || std::iter::from_fn(next).map(|path| run_page(&path)).collect::<Vec<_>>();
    let outcomes: Vec<PageOutcome> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let count: usize = outcomes.iter().map(|outcome| outcome.count).sum();
    assert!(count > 20, "{count} commands");
    let missing: BTreeSet<String> = outcomes.into_iter().flat_map(|o| o.missing).collect();
    // The tests of the whole workspace build all programs, and CI has Python.
    if !missing.is_empty() {
        eprintln!("left out, because they are not built or not there: {missing:?}");
        assert!(std::env::var_os("MESH_TEST_PROGRAMS").is_none(), "CI has all programs");
    }
}

/// A heading as the target of a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut pages = pages();
    pages.push(root().join("ARCHITECTURE.md"));
    let mut links = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        for link in page.split("](").skip(1) {
            let link = link.split([')', '\n']).next().unwrap_or_default();
            if link.contains("://") || link.is_empty() {
                continue;
            }
            links += 1;
            let (file, target) = link.split_once('#').unwrap_or((link, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(file.exists(), "{}: {link}", path.display());
            if target.is_empty() || file.extension().is_none_or(|end| end != "md") {
                continue;
            }
            let there = fs::read_to_string(&file).unwrap();
            let headings = there.lines().filter(|line| line.starts_with('#'));
            let mut targets = headings.map(|line| anchor(line.trim_start_matches('#')));
            assert!(targets.any(|found| found == target), "{}: {link}", path.display());
        }
    }
    assert!(links > 100, "{links} links");
}
