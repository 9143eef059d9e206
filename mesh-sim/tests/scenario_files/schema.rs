//! The JSON Schema of scenario files is committed and current, and takes the files that mesh-sim
//! takes.

use std::path::Path;

use mesh_sim::scenario::{Scenario, json_schema, json_schema_text};

use super::corpus;

/// A file of the corpus as JSON; `None` if it is no TOML.
fn as_json(text: &str) -> Option<serde_json::Value> {
    toml::from_str(text).ok()
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema.json");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == json_schema_text(),
        "scenarios/schema.json is out of date; regenerate it with: \
         cargo run -p mesh-sim -- schema > scenarios/schema.json"
    );
}

#[test]
fn editors_take_the_files_that_the_program_takes() {
    let schema = jsonschema::validator_for(&json_schema()).expect("the schema is valid");
    for (name, text) in corpus("valid") {
        let errors: Vec<String> = schema
            .iter_errors(&as_json(&text).expect("it is TOML"))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn editors_and_the_program_refuse_the_same_structure() {
    let schema = jsonschema::validator_for(&json_schema()).expect("the schema is valid");
    for (name, text) in corpus("invalid") {
        let json = as_json(&text);
        match name.split('-').next() {
            Some("syntax") => assert!(json.is_none(), "{name} is TOML"),
            Some("structure") => {
                assert!(!schema.is_valid(&json.expect("it is TOML")), "{name} passes in editors");
            }
            // How fields go together is beyond the schema.
            Some("meaning") => {
                assert!(schema.is_valid(&json.expect("it is TOML")), "{name} fails in editors");
            }
            _ => panic!("{name} begins with none of syntax-, structure-, meaning-"),
        }
    }
}

/// One wrong value at a time, in every place of a valid file: what the schema refuses, the program
/// refuses too.
#[test]
fn one_changed_value_is_judged_alike() {
    let schema = jsonschema::validator_for(&json_schema()).expect("the schema is valid");
    let (_, text) = corpus("valid").into_iter().find(|(name, _)| name == "full").expect("full");
    let wrong = ["-1", "0", "1e9", "\"?\"", "true", "[]", "{}", "\"5ms\"", "\"random\""];
    let mut judged = 0;
    for (number, line) in text.lines().enumerate() {
        let Some((field, _)) = line.split_once(" = ") else { continue };
        for value in wrong {
            let mut lines: Vec<&str> = text.lines().collect();
            let changed = format!("{field} = {value}");
            lines[number] = &changed;
            let changed_text = lines.join("\n");
            let json = as_json(&changed_text).expect("it is TOML");
            if schema.is_valid(&json) {
                continue;
            }
            judged += 1;
            let verdict = Scenario::parse(&changed_text, "changed.toml");
            assert!(verdict.is_err(), "line {}: {changed}", number + 1);
        }
    }
    assert!(judged > 400, "only {judged} changes were wrong");
}

#[test]
fn a_bound_of_zero_is_taken_where_some_jobs_may_take_no_time() {
    let (_, text) =
        corpus("valid").into_iter().find(|(name, _)| name == "minimal").expect("minimal");
    let demand = text.lines().find(|line| line.starts_with("demand")).expect("a demand");
    let takes = |distribution: &str| {
        let text = text.replace(demand, &format!("demand = {{ {distribution} }}"));
        Scenario::parse(&text, "zero.toml").is_ok()
    };
    assert!(takes(r#"kind = "uniform", min = "0s", max = "20ms""#));
    assert!(takes(r#"kind = "bimodal", low = "0s", high = "20ms", high_ratio = 0.1"#));
    assert!(takes(r#"kind = "normal", mean = "20ms", standard_deviation = "0s""#));
    // No work at all, or a bound of zero that makes the other fields meaningless.
    assert!(!takes(r#"kind = "constant", value = "0s""#));
    assert!(!takes(r#"kind = "uniform", min = "0s", max = "0s""#));
    assert!(!takes(r#"kind = "pareto", min = "0s", max = "20ms", shape = 2.0"#));
    assert!(!takes(r#"kind = "exponential", mean = "0s""#));
}
