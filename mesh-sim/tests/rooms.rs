//! The top-level modules ("rooms") of this crate import each other in one direction only, and no two
//! types of the workspace share a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, lowest first: each may import only rooms that stand before it, so there can be no
/// circle. A room that is missing here fails the test.
const ROOMS: [&str; 37] = [
    // These know nothing of scenarios.
    "dist",
    "format",
    "grouping",
    "host",
    "host_names",
    "near_paths",
    "network",
    "parallel",
    "publish",
    "statistics",
    "units",
    "faults",
    "figures",
    // The experiment, and what takes part in it.
    "scenario",
    "estimate",
    "machine",
    "presence",
    "journal",
    "workload",
    // What watches a run, and what runs it.
    "record",
    "oracle",
    "engine",
    "runner",
    // What is made of runs.
    "judge",
    "experiment",
    "run_failure",
    "replay",
    "minimize",
    "explore",
    "simulation",
    // Tables, pages and files, and the rooms that need them.
    "page",
    "playback",
    "report",
    "sweep",
    "recommend",
    "compare",
    "validate",
];

/// These stand above all rooms: the crate's root and the program.
const TOP: [&str; 2] = ["lib", "bin"];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a directory");
    entries.flat_map(|entry| sources(&entry.expect("an entry").path())).collect()
}

/// Whether a file has only tests. A test may import rooms above its own.
fn is_test(file: &Path) -> bool {
    let mut parts = file.components().map(|part| part.as_os_str().to_string_lossy());
    parts.any(|part| part.trim_end_matches(".rs").ends_with("tests"))
}

/// The lines of code of a source, without comments and without its tests, which stand at its end.
fn code(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .take_while(|line| !line.starts_with("mod tests {"))
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// The rooms that `line` imports.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        &rest[..end.unwrap_or(rest.len())]
    })
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

#[test]
fn rooms_import_only_those_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = 0;
    for entry in fs::read_dir(&root).expect("the sources") {
        let path = entry.expect("an entry").path();
        let room = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if TOP.contains(&&*room) {
            continue;
        }
        let own = rank(&room).unwrap_or_else(|| panic!("{room} is not in the list of rooms"));
        found += 1;
        for file in sources(&path).into_iter().filter(|file| !is_test(file)) {
            let source = fs::read_to_string(&file).expect("a source");
            for other in code(&source).flat_map(imported).filter(|other| *other != room) {
                let below = rank(other).is_some_and(|rank| rank < own);
                assert!(below, "{} imports {other}, which is not below {room}", file.display());
            }
        }
    }
    assert_eq!(found, ROOMS.len(), "a room of the list is gone");
}

/// A package has only the files in the directory of its crate.
#[test]
fn sources_include_only_files_of_their_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = 0;
    for name in ["mesh-core", "mesh-node", "mesh-sim"] {
        let files = sources(&root.join(name).join("src")).into_iter();
        for file in files.filter(|file| file.extension().is_some_and(|e| e == "rs")) {
            let source = fs::read_to_string(&file).expect("a source");
            for line in code(&source).filter(|line| line.contains("include_")) {
                found += usize::from(line.contains("include_str!("));
                assert!(
                    !line.contains("\"../"),
                    "{}: put a link beside it: {line}",
                    file.display()
                );
            }
        }
    }
    assert!(found >= 3, "the lines are not found: {found}");
}

/// Names that several programs or crates may use, each with the reason.
const SHARED_NAMES: [(&str, &str); 5] = [
    ("Args", "the command line of a program, which only its own code reads"),
    ("Command", "the commands of a program, which only its own code reads"),
    ("Error", "the conventional name of a module's error: `jsonrpc::Error`, `config::Error`"),
    ("Request", "`http::Request` is a message of HTTP, `protocol::Request` one of the mesh"),
    ("Response", "`http::Response` is a message of HTTP, `jsonrpc::Response` one of JSON-RPC"),
];

/// The name of the type that a line defines at the top level of its file.
fn defined_type(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        // As in `pub(in super::super) struct`.
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let (keyword, rest) = line.split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "union", "type"].contains(&keyword);
    let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    is_type.then(|| &rest[..end.unwrap_or(rest.len())])
}

/// A name stands for one thing: no type is called like one in another file of the workspace.
///
/// What a scenario file has is an exception: `raw::Policy` becomes a checked `Policy`.
#[test]
fn no_two_types_of_the_workspace_share_a_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for name in ["mesh-core", "mesh-node", "mesh-sim", "mesh-bench"] {
        for path in sources(&root.join(name).join("src")) {
            let file = path.strip_prefix(&root).expect("a file of the workspace").to_owned();
            let is_rust = file.extension().is_some_and(|extension| extension == "rs");
            let is_raw = file.components().any(|part| part.as_os_str() == "raw");
            if !is_rust || is_raw || is_test(&file) {
                continue;
            }
            let source = fs::read_to_string(&path).expect("a source");
            for name in code(&source).filter_map(defined_type) {
                files.entry(name.to_owned()).or_default().insert(file.clone());
            }
        }
    }
    assert!(files.contains_key("Figure") && files.len() > 300, "the types are not found");
    files.retain(|_, files| files.len() > 1);
    for (name, reason) in SHARED_NAMES {
        assert!(files.remove(name).is_some(), "{name} is in one file only: strike `{reason}`");
    }
    assert!(files.is_empty(), "rename all but one of each: {files:#?}");
}
