//! The scenario library: every file of `scenarios/library/` shows the effect that it is about, and
//! stands with an up-to-date thumbnail in `scenarios/README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_sim::engine::{RunDetail, to_the_end};
use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::judge::Verdict;
use mesh_sim::report::thumbnail;
use mesh_sim::runner::RunPlan;
use mesh_sim::scenario::{EngineKind, ScenarioFile};

/// Renews the thumbnails and the list, if it is set.
const UPDATE: &str = "UPDATE_LIBRARY";
const RENEW: &str = "renew with: UPDATE_LIBRARY=1 cargo test -p mesh-sim --test library";
const MOST_BYTES: usize = 10_000;
/// The parts of the comment at the top of a file, in their order.
const PARTS: [&str; 4] = ["What it shows", "Expected", "Source", "Found"];
const MARKS: [&str; 2] = ["<!-- library: derived from the files -->", "<!-- end of library -->"];

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// The files of the library, in the order of their names.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(scenarios().join("library")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The parts of the comment at the top of a file, each as one line.
fn parts(file: &Path) -> [String; PARTS.len()] {
    let text = fs::read_to_string(file).unwrap();
    let comment = text.lines().skip_while(|line| line.starts_with("#:"));
    let comment = comment.map_while(|line| line.strip_prefix('#'));
    let words: Vec<&str> = comment.flat_map(str::split_whitespace).collect();
    let comment = words.join(" ");
    let mut starts: Vec<usize> = Vec::new();
    for part in PARTS {
        let at = comment.find(&format!("{part}: "));
        starts.push(at.unwrap_or_else(|| panic!("{}: no `# {part}:`", file.display())));
    }
    assert!(starts.is_sorted(), "{}: the order of {PARTS:?}", file.display());
    std::array::from_fn(|part| {
        let end = starts.get(part + 1).copied().unwrap_or(comment.len());
        comment[starts[part] + PARTS[part].len() + 2..end].trim().to_owned()
    })
}

/// Runs an experiment. Returns it, and what is wrong with it.
fn run(file: &Path) -> (Report, Vec<String>) {
    let loaded = ScenarioFile::read(file);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let (scenario, engine) = (loaded.scenario, EngineKind::Event);
    assert_eq!((&scenario.name, scenario.engine), (&stem(file), engine), "{}", file.display());
    let plan = RunPlan { scenario: &scenario, engine, detail: RunDetail::Phases };
    let runs = plan.execute(to_the_end).unwrap();
    let report = Report { runs, ran_by: RanBy::Engine(engine), scenario, scenario_text: None };
    let name = &report.scenario.name;
    let mut wrong = Vec::new();
    for verdict in report.verdicts() {
        if verdict.verdict() != Verdict::Pass {
            let missed = verdict.missed.iter().map(|miss| miss.threshold.to_string());
            let missed: Vec<String> = missed.collect();
            let violated = verdict.violated.iter().map(|run| run.oracle.detail.clone());
            let all: Vec<String> = missed.into_iter().chain(violated).collect();
            wrong.push(format!("{name}: {}: {}", verdict.policy, all.join("; ")));
        }
    }
    let thresholds = || report.scenario.expect.values().flat_map(|expect| expect.iter());
    let (bad, good) = (
        thresholds().any(|(threshold, _)| threshold.demands_worse()),
        thresholds().any(|(threshold, _)| !threshold.demands_worse()),
    );
    if !(bad && good) {
        wrong.push(format!("{name}: nothing in [expect] fails if the effect is gone"));
    }
    (report, wrong)
}

/// Compares a generated text with a file, or writes it.
fn compare(path: &Path, expected: &str, wrong: &mut Vec<String>) {
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path, expected).unwrap();
    } else if fs::read_to_string(path).unwrap_or_default() != expected {
        wrong.push(format!("{} is out of date; {RENEW}", path.display()));
    }
}

/// Runs one after the other, because each uses all cores.
#[test]
fn every_experiment_shows_its_effect_and_has_its_picture() {
    let (mut wrong, mut times) = (Vec::new(), Vec::new());
    let mut pictures = Vec::new();
    for file in files() {
        let (report, problems) = run(&file);
        wrong.extend(problems);
        let events: u64 = report.runs.iter().map(|run| run.steps).sum();
        times.push((events, stem(&file)));
        let svg = thumbnail(&report);
        assert!(svg.len() < MOST_BYTES, "{}: {} bytes", file.display(), svg.len());
        let path = scenarios().join(format!("library/{}.svg", stem(&file)));
        compare(&path, &svg, &mut wrong);
        pictures.push(path);
    }
    let entries = fs::read_dir(scenarios().join("library")).unwrap();
    let svg = entries.map(|entry| entry.unwrap().path());
    let svg = svg.filter(|path| path.extension().is_some_and(|extension| extension == "svg"));
    wrong.extend(
        svg.filter(|path| !pictures.contains(path)).map(|p| format!("stale: {}", p.display())),
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // The whole library is to take at most 3 minutes of CI, that is some 20 s of these events on
    // each of two cores.
    let all: u64 = times.iter().map(|(events, _)| events).sum();
    times.sort_unstable();
    assert!(all < 60_000_000, "{all} events, most of them in {:?}", times.last());
}

#[test]
fn the_list_has_every_experiment() {
    let mut list = String::new();
    for file in files() {
        let (name, [shows, expected, source, found]) = (stem(&file), parts(&file));
        let _ = writeln!(
            list,
            "### [{name}](library/{name}.toml)\n\n{shows}\n\n![{name}](library/{name}.svg)\n\n\
             - **Expected**: {expected}\n- **Source**: {source}\n- **Found**: {found}\n"
        );
    }
    let path = scenarios().join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).expect("the mark of the list");
    let (_, after) = rest.split_once(MARKS[1]).expect("the mark of its end");
    let mut wrong = Vec::new();
    compare(&path, &format!("{before}{}\n\n{list}{}{after}", MARKS[0], MARKS[1]), &mut wrong);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
