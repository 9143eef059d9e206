//! Tests that hold for every kind of fault: it is drawn, written, read and described by code that
//! does not know the kind.

use std::path::{Path, PathBuf};

use mesh_core::seed::Seed;
use toml::Table;

use super::*;

fn agents() -> Vec<Name> {
    (1..=3).map(|number| format!("agent-{number}").into()).collect()
}

/// One fault from each function that draws faults.
fn drawn() -> Vec<Fault> {
    let agents = agents();
    let mut draw = Draw::new(Seed::root(1).rng(), &agents);
    let (at, lasts) = (Duration::from_secs(1), Some(Duration::from_secs(2)));
    draws().into_iter().map(|way| Fault { at, lasts, kind: (way.draw)(&mut draw) }).collect()
}

#[test]
fn every_kind_has_draws_and_is_written_under_its_own_name() {
    let mut names = BTreeSet::new();
    for fault in drawn() {
        let table = Table::try_from(fault.kind.map_hosts(&mut |_, names| host_ranges(names)));
        let name = fault.kind.name();
        assert_eq!(table.unwrap()["kind"].as_str(), Some(name));
        assert!(!fault.kind.label().is_empty() && !fault.kind.detail().is_empty(), "{name}");
        names.insert(name);
    }
    let schema = crate::scenario::json_schema();
    let kinds = schema["$defs"]["Fault"]["oneOf"].as_array().map(Vec::len);
    assert_eq!(Some(names.len()), kinds);
}

#[test]
fn a_fault_without_its_hosts_is_none() {
    for fault in drawn() {
        let hosts = fault.hosts();
        let all: BTreeSet<&str> = hosts.iter().map(|name| &**name).collect();
        assert_eq!(fault.among(&all).as_ref(), Some(&fault));
        assert_eq!(fault.among(&BTreeSet::new()), None, "{fault:?}");
    }
    let groups =
        [["agent-1"], ["agent-2"], ["agent-3"]].map(|group| group.map(Name::from).to_vec());
    let kind = Partition { groups: groups.to_vec(), one_way: false }.into();
    let split = Fault { at: Duration::ZERO, lasts: None, kind };
    let left = split.among(&BTreeSet::from(["agent-1", "agent-3"])).unwrap();
    assert_eq!(left.kind.detail(), "agent-1 | agent-3", "an empty group goes, the others stay");
    assert_eq!(split.among(&BTreeSet::from(["agent-3"])), None, "one group is cut from nobody");
}

#[test]
fn a_state_of_a_host_is_set_by_one_fault_at_a_time() {
    let fault = |at, lasts: Option<u64>, kind: FaultKind| Fault {
        at: Duration::from_secs(at),
        lasts: lasts.map(Duration::from_secs),
        kind,
    };
    let crash = |at, lasts, host: &str| {
        fault(at, lasts, Crash { hosts: vec![host.into()], mode: CrashMode::Machine }.into())
    };
    let clash = |a: &Fault, b: &Fault| a.clash(b).map(|(field, host)| (field.name, host));
    let found = Some(("hosts", Name::from("agent-1")));
    assert_eq!(clash(&crash(1, Some(2), "agent-1"), &crash(2, None, "agent-1")), found);
    assert_eq!(clash(&crash(2, None, "agent-1"), &crash(1, Some(2), "agent-1")), found);
    assert_eq!(clash(&crash(1, Some(2), "agent-1"), &crash(3, None, "agent-1")), None);
    assert_eq!(clash(&crash(1, None, "agent-1"), &crash(1, None, "agent-2")), None);
    let slow = SlowDown { agents: vec!["agent-1".into()], factor: 0.5 };
    assert_eq!(clash(&crash(1, None, "agent-1"), &fault(1, None, slow.into())), None);
    let hold = Hold { between: [vec!["agent-1".into()], vec!["agent-2".into()]] };
    let hold = fault(1, None, hold.into());
    assert_eq!(clash(&hold, &hold), None, "holds go together");
}

/// Adds the source files under a directory to `found`, without those of tests.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nobody_else_tells_kinds_apart() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("../mesh-bench/src"), &mut files);
    let own = root.join("src/faults");
    // Links have a field `loss` and agents one called `errors` as well, and a shipped scenario is
    // called partition.
    let kinds = drawn();
    let names = kinds.iter().map(|fault| fault.kind.name());
    let words: Vec<String> = names
        .filter(|name| !["errors", "loss", "partition"].contains(name))
        .map(|name| format!("{name:?}"))
        .chain(["FaultKind::".to_owned()])
        .collect();
    let mut looked_at = 0;
    for file in files.iter().filter(|file| !file.starts_with(&own)) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in &words {
            assert!(!code.contains(word.as_str()), "{} mentions {word}", file.display());
        }
        looked_at += 1;
    }
    assert!(looked_at > 100, "only {looked_at} files were found");
}
