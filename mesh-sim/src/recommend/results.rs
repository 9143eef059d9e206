//! `recommendation.json` and `recommendation.html`, and the scenario of each situation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Recommendation, page};
use crate::publish::output_folder::ResultKind;
use crate::publish::{OutputFile, publish};
use crate::report::summary::pretty;

const JSON: &str = "recommendation.json";
const PAGE: &str = "recommendation.html";
const SITUATIONS: &str = "situations";

/// The results of a recommendation.
pub const RESULTS: ResultKind = ResultKind { last: JSON, is_ours };

/// Whether a file belongs to a recommendation.
fn is_ours(_: &Path, name: &str) -> bool {
    let situation = name.strip_prefix(SITUATIONS).and_then(|name| name.strip_prefix('/'));
    [JSON, PAGE].contains(&name) || situation.is_some_and(|name| name.ends_with(".toml"))
}

/// The recommendation as pretty-printed JSON, with a line feed at its end.
pub fn render(recommendation: &Recommendation) -> String {
    pretty(recommendation)
}

/// The JSON Schema of `recommendation.json`, pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(Recommendation))
}

/// Writes the files of a recommendation into `dir`, which is made if it does not exist, and returns
/// their paths. They appear all together or not at all, in place of those of an earlier one.
///
/// # Errors
/// If a file or directory can't be written. The files of an earlier recommendation are then
/// unchanged.
pub fn write_all(dir: &Path, recommendation: &Recommendation) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<OutputFile> = Vec::new();
    for situation in &recommendation.files {
        let name = format!("{SITUATIONS}/{}", situation.file_name());
        files.push((name, situation.file.whole_text().as_bytes().to_vec()));
    }
    files.push((PAGE.to_owned(), page::render(recommendation).into_bytes()));
    files.push((JSON.to_owned(), render(recommendation).into_bytes()));
    publish(dir, &files, |dir| stale_files(dir, &files))
}

/// Situations of an earlier recommendation in `dir` that are not among `files`.
fn stale_files(dir: &Path, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    let folder = dir.join(SITUATIONS);
    if !dir.join(JSON).exists() || !folder.is_dir() {
        return Ok(stale);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{SITUATIONS}/{name}");
        if name.ends_with(".toml") && !files.iter().any(|(new, _)| *new == path) {
            stale.push(entry.path());
        }
    }
    Ok(stale)
}
