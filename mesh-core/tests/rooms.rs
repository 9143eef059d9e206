//! The modules of this crate import each other in one direction only.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules that it must not import.
const WALLS: [(&str, &[&str]); 4] = [
    ("roster", &["agent", "registry", "resilience", "routing"]),
    ("registry", &["agent", "resilience", "routing"]),
    ("routing", &["agent", "registry", "resilience"]),
    ("resilience", &["agent", "registry", "routing"]),
];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn rooms_import_each_other_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (room, unknown) in WALLS {
        let files = sources(&root.join(room));
        assert!(!files.is_empty(), "{room} is empty");
        for file in files {
            let source = fs::read_to_string(&file).expect("a source");
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let known = unknown.iter().find(|other| line.contains(&format!("crate::{other}")));
                assert_eq!(known, None, "{}: {line}", file.display());
            }
        }
    }
}
