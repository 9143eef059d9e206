//! Files that may be meant where there is none of the name that was typed.

use std::path::{Path, PathBuf};

use mesh_core::text::similar;

/// The most files of a directory that are looked at, so that a huge one costs no time.
const MOST_LISTED: usize = 1_000;
/// The most files that are named.
const MOST_NAMED: usize = 3;

/// `; did you mean ...?` with the files that are called like `path`, but for a slip or the
/// extension; empty if there are none. They are looked for beside `path` and in the directories
/// `places`; only those count that are `wanted`.
pub(crate) fn did_you_mean_path(
    path: &Path,
    places: &[&Path],
    wanted: impl Fn(&Path) -> bool,
) -> String {
    let beside = path.parent().unwrap_or(Path::new(""));
    let mut places: Vec<PathBuf> = std::iter::once(beside.to_owned())
        .chain(places.iter().map(|place| (*place).to_owned()))
        .collect();
    places.dedup();
    let files: Vec<PathBuf> =
        places.iter().flat_map(|place| listed(place)).filter(|file| wanted(file)).collect();
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    let near = similar(&stem(path), stems.iter().map(String::as_str));
    // Files of one name in several places are all meant; each name is taken once.
    let mut found: Vec<String> = Vec::new();
    for name in near {
        for (file, stem) in files.iter().zip(&stems) {
            let shown = file.display().to_string();
            if stem == name && !found.contains(&shown) {
                found.push(shown);
            }
        }
    }
    found.truncate(MOST_NAMED);
    if found.is_empty() { String::new() } else { format!("; did you mean {}?", found.join(" or ")) }
}

/// The files and directories in `place`, in the order of their names.
pub(crate) fn listed(place: &Path) -> Vec<PathBuf> {
    let read = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    let Ok(entries) = std::fs::read_dir(read) else { return Vec::new() };
    let names = entries.take(MOST_LISTED).filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut files: Vec<PathBuf> = names.map(|name| place.join(name)).collect();
    files.sort_unstable();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_files_are_found_here_and_in_the_usual_places() {
        let root = tempfile::tempdir().unwrap();
        let scenarios = root.path().join("scenarios");
        std::fs::create_dir(&scenarios).unwrap();
        for name in ["baseline.toml", "baseline.txt", "partition.toml"] {
            std::fs::write(scenarios.join(name), "").unwrap();
        }
        let is_toml = |path: &Path| path.extension().is_some_and(|extension| extension == "toml");
        let hint = |name: &str| {
            let text = did_you_mean_path(&root.path().join(name), &[&scenarios], is_toml);
            text.replace(&root.path().display().to_string(), "")
        };
        for near in ["baselin.toml", "baseline", "scenarios/baseline.tml", "Baseline.toml"] {
            assert_eq!(hint(near), "; did you mean /scenarios/baseline.toml?", "{near}");
        }
        assert_eq!(hint("other.toml"), "");
        std::fs::write(root.path().join("baseline2.toml"), "").unwrap();
        let both = "; did you mean /scenarios/baseline.toml or /baseline2.toml?";
        assert_eq!(hint("baseline.tml"), both);
    }
}
