//! Writes the results of an experiment, with one submodule per format.
//!
//! Every file is a pure function of a [`Report`]: the same runs give the same bytes.

mod by_autoscale;
mod by_job;
mod by_provider;
mod events;
#[cfg(test)]
mod example;
pub(crate) mod figure_text;
pub(crate) mod hgrm;
pub(crate) mod html;
pub(crate) mod latency_csv;
pub mod paint;
pub mod ranking;
pub mod scenario_copy;
pub(crate) mod seed_charts;
pub mod sequence;
pub mod summary;
pub mod table;
mod timeline_csv;
mod traces;
pub(crate) mod verdict_table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::scenario_copy::{SCENARIO, has_copy, keep_foreign, may_write};
use crate::experiment::Report;
use crate::publish::output_folder::ResultKind;
use crate::publish::{OutputFile, publish};

const SUMMARY: &str = "summary.json";
const LATENCY: &str = "latency.csv";
const TIMELINE: &str = "timeline.csv";
const PAGE: &str = "report.html";
const EVENTS: &str = "events.jsonl";
/// One trace per line, for programs.
const TRACES: &str = "traces.jsonl";
/// All traces as one document, for viewers that take no lines.
const ALL_TRACES: &str = "traces.json";
/// What led to the failures of a run, which `mesh-sim replay` writes.
const REPLAY: &str = "replay.html";
/// The facts about the machine of a live run, which `mesh-bench live` writes.
const HOST: &str = "host.json";

/// The results of runs.
pub const RESULTS: ResultKind = ResultKind { last: SUMMARY, is_ours };

/// Whether a file in `dir` belongs to the results there.
fn is_ours(dir: &Path, name: &str) -> bool {
    [SUMMARY, LATENCY, TIMELINE, PAGE].contains(&name) || is_optional(dir, name)
}

/// Whether a file in `dir` belongs to the results there, but not to all results.
fn is_optional(dir: &Path, name: &str) -> bool {
    (name.ends_with(".hgrm") && !name.contains('/'))
        || [EVENTS, TRACES, ALL_TRACES, HOST, REPLAY].contains(&name)
        || (name == SCENARIO && has_copy(&dir.join(SUMMARY)))
}

/// Whether results may be written into `dir`, with this text of the scenario's file beside them.
///
/// # Errors
/// If that would replace a scenario of the user.
pub fn check_folder(dir: &Path, scenario_text: &str) -> io::Result<()> {
    may_write(dir, SUMMARY, scenario_text.as_bytes())
}

/// Writes every result file into `dir`, which is made if it does not exist, and returns their
/// paths.
///
/// The files appear all together or not at all. Result files of an earlier run that this one does
/// not replace (another policy's `.hgrm`, an old `events.jsonl`) are removed.
///
/// # Errors
/// If a file or directory can't be written. Earlier results are then unchanged.
pub fn write_all(dir: &Path, report: &Report) -> io::Result<Vec<PathBuf>> {
    write_set(dir, &files(report)?)
}

/// The same as [`write_all`] for a live run, with `host.json` about the machine that it ran on.
///
/// # Errors
/// Those of [`write_all`].
pub fn write_live(dir: &Path, report: &Report, host: String) -> io::Result<Vec<PathBuf>> {
    let mut files = files(report)?;
    files.insert(0, (HOST.to_owned(), host.into_bytes()));
    write_set(dir, &files)
}

/// The same as [`write_all`] for a run that was replayed, with `replay.html`: a
/// [page](sequence::page) about its failures. A run that broke down has no report; then the page is
/// the only file that is written, and all others stay.
///
/// # Errors
/// Those of [`write_all`].
pub fn write_replayed(
    dir: &Path,
    report: Option<&Report>,
    page: Option<String>,
) -> io::Result<Vec<PathBuf>> {
    let page = page.map(|page| (REPLAY.to_owned(), page.into_bytes()));
    let Some(report) = report else {
        return publish(dir, page.as_slice(), |_| Ok(Vec::new()));
    };
    let mut files = files(report)?;
    files.splice(0..0, page);
    write_set(dir, &files)
}

fn write_set(dir: &Path, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    publish(dir, files, |dir| {
        keep_foreign(dir, SUMMARY, files)?;
        stale_files(dir, files)
    })
}

/// A small picture of an experiment as SVG: the figure that its thresholds are about, for each
/// policy, and the answers over time if something happens at a time.
pub fn thumbnail(report: &Report) -> String {
    html::thumbnail::render(report)
}

/// The name and content of every result file, `summary.json` last.
///
/// # Errors
/// If a table can't be laid out as CSV.
pub fn files(report: &Report) -> io::Result<Vec<OutputFile>> {
    let mut files = vec![
        (LATENCY.to_owned(), latency_csv::render(report)?),
        (TIMELINE.to_owned(), timeline_csv::render(report)?),
    ];
    for result in report.policies() {
        let name = format!("{}.hgrm", file_stem(result.policy));
        files.push((name, hgrm::render(&result.latency).into_bytes()));
    }
    if let Some(events) = events::render(report) {
        files.push((EVENTS.to_owned(), events.into_bytes()));
    }
    if let Some((lines, all)) = traces::render(report) {
        files.push((TRACES.to_owned(), lines.into_bytes()));
        files.push((ALL_TRACES.to_owned(), all.into_bytes()));
    }
    files
        .extend(report.scenario_text.iter().map(|text| (SCENARIO.to_owned(), text.clone().into())));
    files.push((PAGE.to_owned(), html::render(report).into_bytes()));
    files.push((SUMMARY.to_owned(), summary::render(report).into_bytes()));
    Ok(files)
}

/// Result files of an earlier run in `dir` that are not among `files`. A directory without a
/// `summary.json` has no results of ours, so nothing in it is stale.
fn stale_files(dir: &Path, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    if !dir.join(SUMMARY).exists() {
        return Ok(stale);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_optional(dir, &name) && !files.iter().any(|(new, _)| *new == name) {
            stale.push(entry.path());
        }
    }
    Ok(stale)
}

/// A policy's label as a file name: characters other than ASCII letters, digits, `-`, `_` and `.`
/// become `%` and their bytes in hex, so that different labels stay different.
pub(crate) fn file_stem(label: &str) -> String {
    let mut stem = String::with_capacity(label.len());
    for byte in label.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            stem.push(char::from(byte));
        } else {
            stem.push_str(&format!("%{byte:02x}"));
        }
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;
    use crate::figures::{FIGURES, Shown, Unit};
    use crate::format::sha256_hex;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_every_file_and_the_same_bytes_again() {
        let dir = tempfile::tempdir().unwrap();
        let report = example::small();
        let written = write_all(dir.path(), &report).unwrap();
        let expected = [
            "latency.csv",
            "power_of_two.hgrm",
            "random.hgrm",
            "report.html",
            "summary.json",
            "timeline.csv",
        ];
        assert_eq!(names(dir.path()), expected);
        assert_eq!(written.len(), expected.len());
        assert_eq!(files(&report).unwrap(), files(&example::small()).unwrap());
    }

    #[test]
    fn results_of_an_earlier_run_do_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("notes.hgrm"), "mine").unwrap();
        let mut report = example::small();
        report.runs[0].trace = Some("{}\n".to_owned());
        write_all(dir.path(), &report).unwrap();
        assert!(names(dir.path()).contains(&"notes.hgrm".to_owned()));

        fs::write(dir.path().join("host.json"), "{}").unwrap();
        write_replayed(dir.path(), None, Some("a page".to_owned())).unwrap();
        assert!(names(dir.path()).contains(&"replay.html".to_owned()));
        assert!(names(dir.path()).contains(&"host.json".to_owned()), "all others stay");
        report.runs.drain(..2);
        write_all(dir.path(), &report).unwrap();
        let expected =
            ["latency.csv", "power_of_two.hgrm", "report.html", "summary.json", "timeline.csv"];
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn the_scenario_is_kept_beside_its_results_and_never_replaces_one_of_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SCENARIO);
        fs::write(&path, "# mine").unwrap();
        let with_text = |text: &str| {
            let mut report = example::small();
            report.scenario.sha256 = sha256_hex(text.as_bytes());
            report.scenario_text = Some(text.to_owned());
            report
        };
        let error = write_all(dir.path(), &with_text("a")).unwrap_err();
        assert!(error.to_string().contains("is a scenario of yours"), "{error}");
        assert_eq!(names(dir.path()), [SCENARIO]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine");

        fs::remove_file(&path).unwrap();
        write_all(dir.path(), &with_text("a")).unwrap();
        write_all(dir.path(), &with_text("b")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
        write_all(dir.path(), &example::small()).unwrap();
        assert!(!path.exists());
    }

    /// To add a figure, a row in the table of figures must be enough.
    #[test]
    fn every_file_table_and_threshold_follows_the_table_of_figures() {
        let report = example::small();
        let files = files(&report).unwrap();
        let text = |name: &str| {
            let (_, bytes) = files.iter().find(|(file, _)| file == name).unwrap();
            String::from_utf8(bytes.clone()).unwrap()
        };
        let scenario_schema = crate::scenario::json_schema();
        let thresholds = &scenario_schema["$defs"]["Expect"]["properties"];
        let terminal = table::render(&report, "small.toml");
        for figure in FIGURES {
            if figure.unit == Unit::Latency {
                let header = text("latency.csv").lines().next().unwrap().to_owned();
                assert!(header.split(',').any(|column| column == figure.column), "{figure:?}");
                assert!(text(SUMMARY).contains(&format!("\"{}\": ", figure.key)), "{figure:?}");
            }
            let heading = format!("<th>{}</th>", figure.heading);
            assert_eq!(text("report.html").contains(&heading), figure.shown >= Shown::Page);
            if figure.shown == Shown::Terminal {
                assert!(terminal.contains(figure.heading), "{figure:?}");
            }
            if let Some(threshold) = figure.threshold {
                assert!(thresholds[threshold].is_object(), "{figure:?}");
                let word = |word: &str| format!("\"const\": \"{word}\"");
                assert!(summary::schema().contains(&word(threshold)), "{figure:?}");
                let sweep = crate::sweep::results_schema();
                assert!(sweep.contains(&word(figure.column)), "{figure:?}");
            }
        }
        // One on each side of every figure that policies are compared by.
        let all = thresholds.as_object().unwrap().len();
        assert_eq!(all, 2 * FIGURES.iter().filter(|figure| figure.threshold.is_some()).count());
    }

    #[test]
    fn labels_make_safe_and_different_file_names() {
        assert_eq!(file_stem("power_of_two"), "power_of_two");
        assert_eq!(file_stem("../a b"), "..%2fa%20b");
        assert_ne!(file_stem("a/b"), file_stem("a%2fb"));
    }
}
