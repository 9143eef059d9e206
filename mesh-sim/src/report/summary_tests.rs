use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::experiment::example;
use crate::figures::{Expect, FigureLimit};

fn report() -> Report {
    let mut report = example::small();
    let limit = Expect::default()
        .with("min_success", FigureLimit::Share(0.95))
        .with("max_p50", FigureLimit::Latency(Duration::from_millis(25)));
    report.scenario.expect = BTreeMap::from([("*".to_owned(), limit)]);
    report
}

#[test]
fn real_output_is_valid_under_the_schema() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut summary: Value = serde_json::from_str(&render(&report())).unwrap();
    validator.validate(&summary).unwrap();
    assert_eq!(summary["runs"][0]["latency_ms"]["max"], 39.0);

    // The schema must be able to say no.
    summary["runs"][0]["event_hash"] = Value::from("xyz");
    assert!(!validator.is_valid(&summary));
}

#[test]
fn a_run_without_requests_has_no_latency() {
    let mut report = report();
    report.runs[0].requests = OutcomeCounts::default();
    let summary: Value = serde_json::from_str(&render(&report)).unwrap();
    assert_eq!(summary["runs"][0]["latency_ms"], Value::Null);
}

#[test]
fn a_live_run_says_so() {
    let live = Report { ran_by: RanBy::Live, ..report() };
    let summary = parse(&render(&live)).unwrap();
    assert_eq!((summary.engine, summary.clock), (EngineName::Live, ClockKind::Wall));
    let simulated = parse(&render(&report())).unwrap();
    assert_eq!((simulated.engine, simulated.clock), (EngineName::Turmoil, ClockKind::Virtual));
}

#[test]
fn what_was_written_can_be_read() {
    let text = render(&report());
    assert_eq!(pretty(&parse(&text).unwrap()), text);
    let newer = text.replacen("\"schema_version\": 2", "\"schema_version\": 9", 1);
    let error = parse(&newer).unwrap_err();
    assert!(matches!(error, SummaryError::Version { found: 9 }), "{error}");
    let strange = text.replacen("\"seeds\"", "\"sedes\"", 1);
    assert!(matches!(parse(&strange), Err(SummaryError::Format(_))));
}

#[test]
fn prints_what_the_documentation_shows() {
    let mut report = report();
    report.runs.drain(..3);
    insta::assert_snapshot!(render(&report));
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/summary.schema.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema(),
        "docs/summary.schema.json has drifted; run the tests with UPDATE_SCHEMAS=1 to renew it"
    );
}
