//! A built-in policy is one file and one line in a list. Everything else that names policies is
//! derived from that list, and these tests look for code that is not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mesh_core::parameter::{Parameter, ParameterKind};
use mesh_core::routing::BUILT_IN;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files below a directory, sorted.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory of this repository");
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_of_a_policy_is_listed() {
    let directory = root().join("mesh-core/src/routing/built_in");
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let mut files: Vec<String> = sources(&directory).into_iter().map(stem).collect();
    files.retain(|file| file != "mod");
    let mut names: Vec<&str> = BUILT_IN.iter().map(|policy| policy.name).collect();
    names.sort_unstable();
    assert_eq!(files, names, "a file is named as its policy");
}

/// The sources that may name a policy, and why.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("mesh-core/src/routing/built_in/", "the policy itself"),
    ("mesh-bench/src/throughput/contenders.rs", "each contender is one configured mesh"),
    ("mesh-bench/src/calibrate/costs.rs", "what is measured is an agent that asks every peer"),
];

/// Names of policies that are also words of `workload.entry` and labels of theory's figures.
const COMMON_WORDS: [&str; 2] = ["random", "round_robin"];

/// Names that mean a policy wherever they occur.
fn telling_names() -> Vec<&'static str> {
    let names = BUILT_IN.iter().map(|policy| policy.name);
    names.filter(|name| !COMMON_WORDS.contains(name)).collect()
}

#[test]
fn no_other_source_names_a_policy() {
    let root = root();
    for directory in
        ["mesh-core/src", "mesh-node/src", "mesh-sim/src", "mesh-bench/src", "mesh-bench/benches"]
    {
        for path in sources(&root.join(directory)) {
            let name = path.strip_prefix(&root).expect("below the root").display().to_string();
            let is_test = name.contains("test") || name.ends_with("example.rs");
            if is_test || EXCEPTIONS.iter().any(|(place, _)| name.starts_with(place)) {
                continue;
            }
            let source = read(&path);
            // Tests and comments may name any policy.
            let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                let is_named = |policy: &&str| {
                    line.contains(&format!("\"{policy}\""))
                        || line.contains(&format!("\"{policy} "))
                };
                let named = telling_names().into_iter().find(is_named);
                assert_eq!(named, None, "{name} names a policy; derive it from BUILT_IN: {line}");
            }
        }
    }
}

#[test]
fn exceptions_are_needed() {
    for (place, _) in EXCEPTIONS {
        let path = root().join(place);
        let files = if path.is_dir() { sources(&path) } else { vec![path] };
        let names_one = |file: &PathBuf| {
            telling_names().iter().any(|policy| read(file).contains(&format!("\"{policy}\"")))
        };
        assert!(files.iter().any(names_one), "{place} names no policy");
    }
}

const BEGIN: &str = "<!-- policies: derived from their descriptions -->\n";
const END: &str = "<!-- end of policies -->\n";

/// The values that a parameter may have, the default first, as docs/policies.md shows them.
fn allowed(parameter: &Parameter) -> String {
    let name = parameter.name;
    match parameter.kind {
        ParameterKind::Count { default, min, max } => {
            format!("`{name}` {default} ({min} to {max})")
        }
        ParameterKind::Number { default, .. } => format!("`{name}` {default}"),
        ParameterKind::Word { default, words } => {
            let others = words.iter().map(|word| word.name).filter(|word| *word != default);
            let others: Vec<&str> = others.collect();
            format!("`{name}` {default} (or {})", others.join(", "))
        }
        ParameterKind::Formula { default, quantities } => {
            let names: Vec<&str> = quantities.iter().map(|known| known.name).collect();
            format!("`{name}` `{default}` (over {})", names.join(", "))
        }
    }
}

#[test]
fn the_documentation_has_every_policy() {
    let mut table =
        "| name | chooses | parameters and their defaults |\n|---|---|---|\n".to_owned();
    for policy in BUILT_IN {
        let parameters: Vec<String> = policy.parameters.iter().map(allowed).collect();
        let (name, summary) = (policy.name, policy.summary);
        writeln!(table, "| `{name}` | {summary} | {} |", parameters.join(", ")).expect("a String");
    }
    let page = read(&root().join("docs/policies.md"));
    let documented = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let documented = documented.expect("docs/policies.md has a place for the table of policies").0;
    assert_eq!(documented, table, "put this into docs/policies.md:\n\n{table}");
}
