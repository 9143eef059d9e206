//! The files of a whole sweep.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::findings::{CellFindings, PolicyFindings, SweepFindings};
use super::{Shard, Sweep, csv, page, results};
use crate::publish::output_folder::ResultKind;
use crate::publish::{OutputFile, publish};
use crate::report::scenario_copy::{SCENARIO, has_copy, keep_foreign, may_write};
use crate::report::{file_stem, hgrm};

const JSON: &str = "sweep.json";
const PAGE: &str = "sweep.html";
const RUNS: &str = "sweep.csv";
const COMPARISONS: &str = "comparison.csv";

/// The results of a sweep.
pub const RESULTS: ResultKind = ResultKind { last: JSON, is_ours };

/// Whether a file in `dir` belongs to the sweep there.
fn is_ours(dir: &Path, name: &str) -> bool {
    match name.split_once('/') {
        Some((folder, name)) => is_cell(folder) && is_of_cell(name),
        None => {
            [JSON, PAGE, RUNS, COMPARISONS].contains(&name)
                || (name == SCENARIO && has_copy(&dir.join(JSON)))
        }
    }
}

/// Whether this is the name of the folder of a cell.
fn is_cell(folder: &str) -> bool {
    folder.strip_prefix("cell-").is_some_and(|number| number.parse::<usize>().is_ok())
}

/// Whether this is the name of a file in the folder of a cell.
fn is_of_cell(name: &str) -> bool {
    name == SCENARIO || (name.ends_with(".hgrm") && !name.contains('/'))
}

/// Whether a sweep of this scenario may be written into `dir`.
///
/// # Errors
/// If that would replace a scenario of the user.
pub fn check_folder(dir: &Path, sweep: &Sweep) -> io::Result<()> {
    may_write(dir, JSON, sweep.spec.scenario.as_bytes())
}

/// Writes every file of a sweep into `dir`, which is made if it does not exist, and returns their
/// paths.
///
/// The files appear all together or not at all. Files of an earlier sweep that this one does not
/// replace are removed, and so is what an interrupted one has left; the files of parts are left
/// alone.
///
/// # Errors
/// If a file or directory can't be written. The files of an earlier sweep are then unchanged.
pub fn write_all(dir: &Path, findings: &SweepFindings<'_>) -> io::Result<Vec<PathBuf>> {
    let files = files(findings)?;
    publish(dir, &files, |dir| {
        keep_foreign(dir, JSON, &files)?;
        stale_files(dir, &files)
    })
}

/// The name and content of every file, `sweep.json` last.
fn files(findings: &SweepFindings<'_>) -> io::Result<Vec<OutputFile>> {
    let mut files = Vec::new();
    for CellFindings { cell, policies, .. } in &findings.cells {
        let dir = format!("cell-{}", cell.number);
        files.push((format!("{dir}/{SCENARIO}"), cell.text.clone().into_bytes()));
        for PolicyFindings { runs, .. } in policies {
            let text = hgrm::render(runs.latency);
            files.push((format!("{dir}/{}.hgrm", file_stem(runs.label)), text.into_bytes()));
        }
    }
    files.push((SCENARIO.to_owned(), findings.sweep.spec.scenario.clone().into_bytes()));
    files.push((RUNS.to_owned(), csv::runs(findings)?));
    files.push((COMPARISONS.to_owned(), csv::comparisons(findings)?));
    files.push((PAGE.to_owned(), page::render(findings).into_bytes()));
    files.push((JSON.to_owned(), results::render(findings).into_bytes()));
    Ok(files)
}

/// Files of an unfinished sweep, and those in folders `cell-N` of an earlier one that are not among
/// `files`.
fn stale_files(dir: &Path, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    let mut stale = vec![dir.join(Shard::WHOLE.unfinished_name())];
    // Without `sweep.json` there was no earlier sweep, so nothing in the directory is ours.
    if !dir.join(JSON).exists() {
        return Ok(stale);
    }
    for entry in fs::read_dir(dir)? {
        let folder = entry?.file_name().to_string_lossy().into_owned();
        if !is_cell(&folder) || !dir.join(&folder).is_dir() {
            continue;
        }
        for entry in fs::read_dir(dir.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            if is_of_cell(&name) && !files.iter().any(|(new, _)| *new == path) {
                stale.push(entry.path());
            }
        }
    }
    Ok(stale)
}
