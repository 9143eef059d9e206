//! Where the text of a scenario comes from: a file, or standard input.

use std::io;
use std::path::Path;

use mesh_core::text::{self, TextError};
use mesh_node::files::{read_all, read_bytes};

use crate::near_paths::{did_you_mean_path, listed};

/// The largest scenario file. It has room for the largest mesh, each agent with fields of its own,
/// and for the lines of other files.
const MOST_BYTES: u64 = 16 << 20;
/// The path that stands for standard input.
const STDIN: &str = "-";
/// Where people keep their scenarios.
const PLACES: [&str; 2] = ["scenarios", "../scenarios"];

/// The name of a scenario's file in messages.
pub(super) fn name(path: &Path) -> String {
    if path == Path::new(STDIN) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// The text of the file, or of standard input if `path` is `-`.
///
/// # Errors
/// If it can't be read or is no UTF-8 text: says why. If there is no such file, names similar ones.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let bytes = if path == Path::new(STDIN) {
        read_all(io::stdin().lock(), MOST_BYTES)
    } else {
        read_bytes(path, MOST_BYTES)
    };
    let bytes = bytes
        .map_err(|error| format!("failed to read the scenario: {error}{}", advice(path, &error)))?;
    let text = text::read(&bytes).map_err(|error| match error {
        TextError::Foreign(_) => format!("failed to read the scenario: {error}"),
        TextError::Utf8(error) => {
            let valid = &text::without_mark(&bytes)[..error.valid_up_to()];
            let line = valid.iter().filter(|&&byte| byte == b'\n').count();
            format!("line {} is not UTF-8 text", line + 1)
        }
    })?;
    Ok(text.to_owned())
}

/// What to do about a file that can't be read; empty if nothing is known.
fn advice(path: &Path, error: &io::Error) -> String {
    let is_toml = |file: &Path| file.extension().is_some_and(|extension| extension == "toml");
    if path.is_dir() {
        let example = listed(path).into_iter().find(|file| is_toml(file));
        return example
            .map(|file| format!("; name a file in it, such as {}", file.display()))
            .unwrap_or_default();
    }
    match error.kind() {
        io::ErrorKind::NotFound => did_you_mean_path(path, &PLACES.map(Path::new), is_toml),
        _ => String::new(),
    }
}
