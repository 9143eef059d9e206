//! Every file of the corpus becomes the scenario, or the messages, of its committed snapshot.

use std::path::Path;

use insta::{assert_debug_snapshot, assert_snapshot};
use mesh_core::routing::{BUILT_IN, DEFAULT_POLICY, STARTER_POLICIES};
use mesh_sim::scenario::{Scenario, ScenarioFile};

use super::{corpus, snapshots};

#[test]
fn valid_files_become_scenarios() {
    for (name, text) in corpus("valid") {
        let scenario = Scenario::parse(&text, &name).unwrap_or_else(|error| panic!("{error}"));
        snapshots().bind(|| assert_debug_snapshot!(format!("valid-{name}"), scenario));
    }
}

#[test]
fn a_scenario_is_called_after_its_file_unless_it_has_a_name() {
    let (_, text) = corpus("valid").into_iter().find(|(name, _)| name == "defaults").unwrap();
    for (file, name) in [
        ("mine.toml", "mine"),
        ("some/where/My fleet_2.toml", "my-fleet-2"),
        ("-.toml", "scenario"),
        ("", "scenario"),
    ] {
        let file = ScenarioFile::parse(&text, file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.scenario.name, name);
        let elsewhere = Scenario::parse(file.whole_text(), "other.toml").expect("it is whole");
        assert_eq!(elsewhere, file.scenario, "{name}");
        assert_eq!(file.draft().check("draft").expect("it is whole").scenario.name, name);
    }
    let set = r#"policies = ["random", { name = "random", label = "x", set = { drain = "10s" } }]"#;
    let variant = Scenario::parse(&format!("{set}\n{text}"), "mine.toml");
    assert_eq!(variant.unwrap_or_else(|error| panic!("{error}")).name, "mine");
}

#[test]
fn a_scenario_without_policies_compares_a_few() {
    let (_, text) = corpus("valid").into_iter().find(|(name, _)| name == "defaults").unwrap();
    let scenario = Scenario::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
    let labels: Vec<&str> = scenario.policies.iter().map(|policy| &*policy.label).collect();
    assert_eq!(labels, STARTER_POLICIES.map(|policy| policy.name));
    assert!(labels.contains(&DEFAULT_POLICY.name), "the policy that agents have by default");
}

#[test]
fn invalid_files_say_all_that_is_wrong() {
    for (name, text) in corpus("invalid") {
        let file = format!("{name}.toml");
        let Err(diagnostics) = Scenario::parse(&text, &file) else { panic!("{file} is valid") };
        snapshots().bind(|| assert_snapshot!(format!("invalid-{name}"), diagnostics.render(false)));
    }
}

#[test]
fn every_snapshot_has_its_file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    for entry in std::fs::read_dir(directory.join("snapshots")).expect("snapshots are there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (part, name) = name.split_once('-').expect("a part of the corpus, a file's name");
        let file = directory.join(part).join(format!("{name}.toml"));
        assert!(file.exists(), "{} has no {}", path.display(), file.display());
    }
}

#[test]
fn a_policy_by_name_has_the_defaults_of_its_table() {
    let (_, text) = corpus("valid").into_iter().find(|(name, _)| name == "minimal").unwrap();
    for policy in BUILT_IN.iter().map(|policy| policy.name) {
        let with = |policies: &str| {
            let text = text.replace(r#"["random"]"#, policies);
            Scenario::parse(&text, "x.toml").expect("it is valid").policies
        };
        let by_name = with(&format!("[{policy:?}]"));
        assert_eq!(by_name[0].factory.name(), policy);
        assert_eq!(by_name, with(&format!("[{{ name = {policy:?} }}]")));
    }
}

#[test]
fn problems_know_their_line_and_column() {
    let text = "name = \"a\"\ndescription = \"ü\" # ü\nfoo = 1\n";
    let diagnostics = Scenario::parse(text, "x.toml").expect_err("much is missing");
    let unknown = diagnostics.problems().iter().find(|problem| problem.title.contains("`foo`"));
    let start = unknown.and_then(|problem| problem.span.clone()).expect("it has a place").start;
    assert_eq!(diagnostics.line_column(start), (3, 1));
    let umlaut = text.find('ü').expect("it is there");
    assert_eq!(diagnostics.line_column(umlaut + 'ü'.len_utf8()), (2, 17));
}

#[test]
fn colour_adds_only_escapes() {
    let diagnostics = Scenario::parse("x = 1", "x.toml").expect_err("x is no field");
    let coloured = diagnostics.render(true);
    assert!(coloured.contains("\u{1b}["));
    assert!(!diagnostics.render(false).contains('\u{1b}'));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let missing = Scenario::read(Path::new("nowhere/mine.toml")).expect_err("it is not there");
    assert!(missing.to_string().starts_with("error: failed to read the scenario: "), "{missing}");
    assert!(missing.to_string().contains("nowhere/mine.toml"), "{missing}");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("latin-1.toml");
    std::fs::write(&path, b"name = \"a\"\ndescription = \"\xfc\"\n").expect("it is written");
    let latin = Scenario::read(&path).expect_err("it is not UTF-8");
    assert!(latin.to_string().starts_with("error: line 2 is not UTF-8 text"), "{latin}");
}
