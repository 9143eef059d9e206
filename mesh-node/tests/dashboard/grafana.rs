//! The dashboard for Grafana in `packaging/grafana/` shows nothing that is not there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::process::{Service, get};

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let words = text.split(|letter: char| !is_letter(letter));
    let names = words.filter(|word| word.starts_with("mesh_"));
    // A histogram has these lines for one metric.
    let whole = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"].into_iter();
        ends.filter_map(|end| name.strip_suffix(end)).next().unwrap_or(name).to_owned()
    };
    names.map(whole).collect()
}

#[test]
fn every_metric_that_grafana_shows_is_there() {
    let registry = Service::registry(&[]);
    let agent = Service::agent("a", &registry.address, &[]);
    let there: BTreeSet<String> = [&registry, &agent]
        .into_iter()
        .flat_map(|it| metrics(&get(&it.address, "/metrics").1))
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/grafana/mesh.json");
    let text = std::fs::read_to_string(path).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let shown: BTreeSet<String> = targets
        .flat_map(|target| metrics(target["expr"].as_str().expect("an expression")))
        .collect();
    assert!(shown.len() >= 15, "{shown:?}");
    let missing: Vec<&String> = shown.difference(&there).collect();
    assert!(missing.is_empty(), "no service has {missing:?}");
}
