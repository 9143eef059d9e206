//! The dashboard for Grafana in `packaging/grafana/` shows what is there, and all that is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::process::{Service, http, raw, until};
use crate::rights::Keys;

/// What exists and is not shown, and why.
const NOT_SHOWN: [(&str, &str); 5] = [
    ("mesh_uptime_seconds", "names the instances that may be chosen"),
    ("mesh_key_requests_total", "a table of keys is no picture of the mesh"),
    ("mesh_key_last_used_timestamp_seconds", "for a rule that finds unused keys"),
    ("mesh_key_expires_timestamp_seconds", "for a rule that warns"),
    ("mesh_key_reload_failures_total", "for a rule that warns"),
];

/// The labels of each metric.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Adds the metrics of a page, by the names that expressions use.
fn read_page(page: &str, metrics: &mut Metrics) {
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a kind");
            let ends = if kind == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
            for end in ends {
                metrics.entry(format!("{name}{end}")).or_default();
            }
        } else if let Some((name, labels)) = line.split_once('{') {
            let labels = labels.split('}').next().expect("labels").split(',');
            let labels = labels.map(|label| label.split('=').next().expect("a name").to_owned());
            metrics.get_mut(name).expect("its type comes before it").extend(labels);
        }
    }
}

/// What follows each place in a text where `before` stands.
fn after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.match_indices(before).map(|(at, _)| &text[at + before.len()..]).collect()
}

/// The metrics that an expression uses, with the labels that it selects them by, and the labels that
/// it groups by. Every selector of the dashboard has braces, because each asks for the instances.
fn read_expression(expression: &str) -> (Metrics, BTreeSet<String>) {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut used = Metrics::new();
    for (at, _) in expression.match_indices('{') {
        let start = expression[..at].rfind(|letter| !is_name(letter)).map_or(0, |end| end + 1);
        let selectors = expression[at + 1..].split('}').next().expect("an end").split(',');
        let labels = selectors.map(|it| it.split(['=', '!']).next().expect("a name").to_owned());
        used.entry(expression[start..at].to_owned()).or_default().extend(labels);
    }
    let groups = after(expression, "by (").into_iter();
    let groups = groups.flat_map(|rest| rest.split(')').next().expect("an end").split(", "));
    (used, groups.map(str::to_owned).collect())
}

fn dashboard() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/grafana/mesh.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("a dashboard")).expect("JSON")
}

/// The metrics of a registry with keys and of an agent, after everything has happened that makes
/// labels appear: jobs, a failed and a hedged one among them, a lease that ended and one refused.
fn live_metrics() -> Metrics {
    let keys = Keys::new();
    let observe = keys.key("observe");
    let locked = Service::registry(&["--keys", &keys.file()]);
    let registry = Service::registry(&[]);
    let options = ["--policy", "prequal", "--hedge-after", "1ms", "--refresh", "200ms"];
    let agent = Service::agent("a", &registry.address, &options);
    let slow = ["--demand", "50ms"];
    let _others = ["b", "c"].map(|name| Service::agent(name, &registry.address, &slow));
    let post = |path: &str, body: Value| http(&registry.address, "POST", path, &body.to_string()).0;
    assert_eq!(post("/register", json!({ "name": "gone", "url": "127.0.0.1:1" })), 200);
    assert_eq!(post("/register", json!({ "name": "", "url": "127.0.0.1:1" })), 400);
    agent.await_peers(3);
    let shows = |sample: &str| http(&agent.address, "GET", "/metrics", "").1.contains(sample);
    until("a copy, a failed peer and a retry", || {
        // The peer that is gone is tried, and then passed over.
        agent.call("delegate", json!({ "text": "x", "idempotent": true })).expect("a result");
        ["mesh_copies_total{", "mesh_passed_over_total{", "mesh_retries_total{"]
            .into_iter()
            .all(shows)
    });
    agent.call("work", json!({ "text": 7 })).expect_err("no text");
    agent.call("work", json!({ "text": "x" })).expect("a result");
    assert_eq!(post("/deregister", json!({ "name": "gone" })), 200);
    assert_eq!(http(&locked.address, "GET", "/services", "").0, 401);
    let read = |key: &str| {
        let fields = format!("authorization: Bearer {key}\r\nconnection: close");
        let head = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\n{fields}", locked.address);
        raw(&locked.address, format!("{head}\r\n\r\n").as_bytes())
    };
    let mut metrics = Metrics::new();
    for page in [
        read(&observe),
        http(&registry.address, "GET", "/metrics", "").1,
        http(&agent.address, "GET", "/metrics", "").1,
    ] {
        read_page(&page, &mut metrics);
    }
    metrics
}

#[test]
fn grafana_shows_the_metrics_that_exist() {
    let there = live_metrics();
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut shown = BTreeSet::new();
    for target in targets {
        let expression = target["expr"].as_str().expect("an expression");
        let (used, groups) = read_expression(expression);
        assert!(!used.is_empty(), "{expression}");
        let mut known: BTreeSet<&str> = ["instance", "le"].into();
        for (name, labels) in &used {
            let of_it = there.get(name).unwrap_or_else(|| panic!("nobody has {name}"));
            known.extend(of_it.iter().map(String::as_str));
            for label in labels.iter().filter(|label| *label != "instance") {
                assert!(of_it.contains(label), "{name} has no label {label}: {of_it:?}");
            }
        }
        let named = after(target["legendFormat"].as_str().expect("a legend"), "{{");
        let named = named.into_iter().map(|rest| rest.split("}}").next().expect("an end"));
        for label in groups.iter().map(String::as_str).chain(named) {
            assert!(known.contains(label), "nothing in {expression} has a label {label}");
        }
        shown.extend(used.into_keys());
    }
    let family = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"].into_iter();
        let is_part = |base: &&str| there.contains_key(&format!("{base}_bucket"));
        let base = ends.filter_map(|end| name.strip_suffix(end)).find(is_part);
        base.unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = shown.iter().map(|name| family(name)).collect();
    let there: BTreeSet<String> = there.keys().map(|name| family(name)).collect();
    let document = include_str!("../../../docs/metrics.md");
    for name in &there {
        assert!(document.contains(&format!("`{name}`")), "docs/metrics.md does not name {name}");
    }
    let hidden: BTreeSet<String> = NOT_SHOWN.map(|(name, _)| name.to_owned()).into();
    let left: Vec<&String> = there.difference(&shown).collect();
    assert_eq!(left, hidden.iter().collect::<Vec<_>>(), "shown, or not and why");
}

#[test]
fn the_variables_of_the_dashboard_are_those_that_it_uses() {
    let dashboard = dashboard();
    let text = dashboard["panels"].to_string();
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let names: Vec<&str> = variables.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "instance"]);
    assert!(
        names.iter().all(
            |name| text.contains(&format!("${name}")) || text.contains(&format!("${{{name}}}"))
        )
    );
    let ids =
        dashboard["panels"].as_array().expect("panels").iter().map(|panel| panel["id"].as_u64());
    assert_eq!(ids.clone().collect::<BTreeSet<_>>().len(), ids.count(), "no id twice");
}
