//! The files of a whole sweep.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::findings::{CellFindings, PolicyFindings, SweepFindings};
use super::{csv, page, results};
use crate::publish::{OutputFile, publish};
use crate::report::scenario_copy::{SCENARIO, keep_foreign};
use crate::report::{file_stem, hgrm};

const RESULTS: &str = "sweep.json";

/// Writes every file of a sweep into `dir`, which is made if it does not exist, and returns their
/// paths.
///
/// The files appear all together or not at all. Files of an earlier sweep that this one does not
/// replace are removed; the files of parts are left alone.
///
/// # Errors
/// If a file or directory can't be written. The files of an earlier sweep are then unchanged.
pub fn write_all(dir: &Path, findings: &SweepFindings<'_>) -> io::Result<Vec<PathBuf>> {
    let files = files(findings)?;
    publish(dir, &files, |dir| {
        keep_foreign(dir, RESULTS, &files)?;
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
    files.push(("sweep.csv".to_owned(), csv::runs(findings)?));
    files.push(("comparison.csv".to_owned(), csv::comparisons(findings)?));
    files.push(("sweep.html".to_owned(), page::render(findings).into_bytes()));
    files.push((RESULTS.to_owned(), results::render(findings).into_bytes()));
    Ok(files)
}

/// Files in folders `cell-N` of an earlier sweep that are not among `files`.
fn stale_files(dir: &Path, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    // Without `sweep.json` there was no earlier sweep, so nothing in the directory is ours.
    if !dir.join(RESULTS).exists() {
        return Ok(stale);
    }
    for entry in fs::read_dir(dir)? {
        let folder = entry?.file_name().to_string_lossy().into_owned();
        let number = folder.strip_prefix("cell-").and_then(|number| number.parse::<usize>().ok());
        if number.is_none() || !dir.join(&folder).is_dir() {
            continue;
        }
        for entry in fs::read_dir(dir.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            let ours = name.ends_with(".hgrm") || name == SCENARIO;
            if ours && !files.iter().any(|(new, _)| *new == path) {
                stale.push(entry.path());
            }
        }
    }
    Ok(stale)
}
