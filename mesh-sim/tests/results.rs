//! The shipped scenarios give the committed results, byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_sim::engine::{RunDetail, to_the_end};
use mesh_sim::estimate::usual_seeds;
use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::judge::Verdict;
use mesh_sim::report::files;
use mesh_sim::runner::RunPlan;
use mesh_sim::scenario::ScenarioFile;

/// The page for people is made from the same records, and too large to be committed; the scenario
/// is committed where it belongs.
const NOT_COMMITTED: [&str; 2] = ["report.html", "scenario.toml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Stems of the scenario files, in order.
fn scenarios() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("scenarios")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml"));
    files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// The names in a directory of `results/`, in order.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !NOT_COMMITTED.contains(&&**name)).collect()
}

#[test]
fn every_scenario_has_results_and_every_result_a_scenario() {
    let mut results = names(&root().join("results"));
    // The first two are the user's own and not committed; the others are written by
    // mesh-bench/library.sh and mesh-bench/prequal.sh.
    ["runs", "explore", "library", "prequal"].iter().for_each(|own| _ = results.remove(*own));
    assert_eq!(results, scenarios());
}

#[test]
fn every_scenario_gives_its_committed_results() {
    let differences: Vec<String> = scenarios().iter().filter_map(|stem| difference(stem)).collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Runs a scenario. Returns the first difference from its committed results and the command that
/// renews them; `None` if there is no difference.
fn difference(stem: &str) -> Option<String> {
    let file = root().join("scenarios").join(format!("{stem}.toml"));
    let loaded =
        ScenarioFile::read(&file).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let scenario_text = Some(loaded.whole_text().to_owned());
    let seeds = usual_seeds(&loaded, loaded.scenario.engine);
    let scenario = loaded.scenario.select(&seeds, &[]).unwrap();
    assert_eq!(scenario.name, stem, "the file is named as its scenario");
    let engine = scenario.engine;
    let plan = RunPlan { scenario: &scenario, engine, detail: RunDetail::Phases };
    let runs = plan.execute(to_the_end).unwrap();
    let report = Report { runs, ran_by: RanBy::Engine(engine), scenario, scenario_text };
    let unexpected: Vec<_> =
        report.verdicts().into_iter().filter(|v| v.verdict() != Verdict::Pass).collect();
    assert!(unexpected.is_empty(), "{stem} misses its own expectations: {unexpected:#?}");

    let dir = root().join("results").join(stem);
    let mut new = files(&report).unwrap();
    new.retain(|(name, _)| !NOT_COMMITTED.contains(&&**name));
    let found = new.iter().find_map(|(name, content)| {
        let committed = fs::read(dir.join(name)).unwrap_or_default();
        first_different_line(&committed, content).map(|text| format!("{stem}/{name} {text}"))
    });
    let expected: BTreeSet<String> = new.into_iter().map(|(name, _)| name).collect();
    let stale = || {
        let stale: Vec<String> = names(&dir).difference(&expected).cloned().collect();
        (!stale.is_empty()).then(|| format!("{stem}: nothing writes {}", stale.join(", ")))
    };
    let command = format!("mesh-sim scenarios/{stem}.toml --out results/{stem}");
    found.or_else(stale).map(|text| format!("results/{text}\n  renew with: {command}"))
}

/// The first line that differs in two texts; `None` if they are equal.
fn first_different_line(committed: &[u8], new: &[u8]) -> Option<String> {
    if committed == new {
        return None;
    }
    let (committed, new) = (String::from_utf8_lossy(committed), String::from_utf8_lossy(new));
    let (mut old_lines, mut new_lines) = (committed.split('\n'), new.split('\n'));
    for line in 1.. {
        let (old, new) = (old_lines.next(), new_lines.next());
        if old != new || old.is_none() {
            let show = |text: Option<&str>| text.unwrap_or("(the end)").to_owned();
            let (old, new) = (show(old), show(new));
            return Some(format!("line {line}:\n  committed: {old}\n  now:       {new}"));
        }
    }
    None
}

#[test]
fn the_first_difference_is_named() {
    assert_eq!(first_different_line(b"a\nb\n", b"a\nb\n"), None);
    let text = first_different_line(b"a\nb\n", b"a\nc\n").unwrap();
    assert_eq!(text, "line 2:\n  committed: b\n  now:       c");
    let text = first_different_line(b"a", b"a\nc").unwrap();
    assert_eq!(text, "line 2:\n  committed: (the end)\n  now:       c");
}
