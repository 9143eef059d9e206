//! The copy of the scenario's file beside its results, so that they can be read without it.

use std::io;
use std::path::Path;

use mesh_node::files::read_text;
use serde_json::Value;

use crate::format::sha256_hex;
use crate::publish::OutputFile;

/// The copy's name.
pub const SCENARIO: &str = "scenario.toml";
/// The largest file that is read: results have some kilobytes per policy and seed.
const MOST_BYTES: u64 = 256 << 20;

/// The text of the copy beside the results in the file `results`, whose scenario has this SHA-256;
/// `None` if there is none, or one of another scenario.
pub fn read_copy(results: &Path, sha256: &str) -> Option<String> {
    let text = read_text(&results.with_file_name(SCENARIO), MOST_BYTES).ok()?;
    (sha256_hex(text.as_bytes()) == sha256).then_some(text)
}

/// Whether there is a copy beside the results in this file.
pub(crate) fn has_copy(results: &Path) -> bool {
    let recorded: Option<Value> =
        read_text(results, MOST_BYTES).ok().and_then(|text| serde_json::from_str(&text).ok());
    let sha256 = recorded.as_ref().and_then(|json| json["scenario"]["sha256"].as_str());
    sha256.is_some_and(|sha256| read_copy(results, sha256).is_some())
}

/// Refuses to write `files` into `dir` if a `scenario.toml` there would be lost: one that is no
/// copy beside the results in the file `results`.
pub(crate) fn keep_foreign(dir: &Path, results: &str, files: &[OutputFile]) -> io::Result<()> {
    let new = files.iter().find(|(name, _)| name == SCENARIO);
    new.map_or(Ok(()), |(_, new)| may_write(dir, results, new))
}

/// As [`keep_foreign`], for a copy with this text.
pub(crate) fn may_write(dir: &Path, results: &str, new: &[u8]) -> io::Result<()> {
    let path = dir.join(SCENARIO);
    if !path.exists() || read_text(&path, MOST_BYTES).is_ok_and(|old| old.as_bytes() == new) {
        return Ok(());
    }
    if has_copy(&dir.join(results)) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!(
            "{} is a scenario of yours and would be replaced; write to another directory",
            path.display()
        ),
    ))
}
