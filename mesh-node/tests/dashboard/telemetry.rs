//! What agents tell, and what a registry takes of it.

use serde_json::{Value, json};

use crate::process::{Service, http, json_at, output, until};
use crate::viewer::{Viewer, agent};

/// What a test's agents need, so that figures come soon.
const QUICK: [&str; 8] =
    ["--heartbeat", "300ms", "--refresh", "200ms", "--measure-peers", "200ms", "--demand", "5ms"];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn edges_jobs_and_round_trips_reach_every_registry() {
    let registries = [Service::registry(&[]), Service::registry(&[])];
    let both = format!("{},{}", registries[0].address, registries[1].address);
    let one = Service::agent("one", &both, &QUICK);
    let _two = Service::agent("two", &both, &QUICK);
    one.await_peers(1);
    for number in 0..5 {
        let meta = json!({ "traceparent": format!("00-{TRACE}-00f067aa0ba902b7-00") });
        let job = json!({ "text": format!("job {number}"), "_meta": meta });
        one.call("delegate", job).expect("an answer");
    }
    for registry in &registries {
        let mut told = Value::Null;
        until("an edge", || {
            let state = json_at(&registry.address, "/dashboard/state");
            told = state.clone();
            let edge = &agent(&state, "one")["telemetry"]["edges"][0];
            edge["done"] == 5 && edge["rtt_ms"].is_number()
        });
        let telemetry = &agent(&told, "one")["telemetry"];
        assert_eq!(telemetry["edges"][0]["to"], "two", "{told}");
        assert!(telemetry["edges"][0]["p99_ms"].as_f64() >= Some(5.0), "{told}");
        assert_eq!(telemetry["policy"], "power_of_two", "{told}");
        until("the jobs that were done", || {
            let state = json_at(&registry.address, "/dashboard/state");
            agent(&state, "two")["telemetry"]["served"]["done"] == 5
        });
        let jobs = told["jobs"].as_array().expect("jobs");
        assert_eq!(jobs.len(), 5, "{told}");
        assert_eq!((&jobs[0]["from"], &jobs[0]["to"]), (&json!("one"), &json!("two")));
        assert_eq!(jobs[0]["trace"], TRACE);
        assert_eq!(told["events"][0]["kind"], "joined");
    }
}

#[test]
fn a_process_of_its_own_shows_the_same_and_survives_a_registry() {
    let first = Service::registry(&["--ttl", "2s", "--sweep", "200ms"]);
    let second = Service::registry(&["--ttl", "2s", "--sweep", "200ms"]);
    let both = format!("{},{}", first.address, second.address);
    let _one = Service::agent("one", &both, &QUICK);
    let two = Service::agent("two", &both, &QUICK);
    let dashboard = Service::start(&["dashboard", "--listen", "127.0.0.1:0", "--registry", &both]);
    let mut viewer = Viewer::open(&dashboard.address, "");
    viewer.find("both agents", |update| {
        agent(update, "one")["telemetry"].is_object() && agent(update, "two").is_object()
    });
    two.process.signal("KILL");
    let update = viewer.find("the end of `two`", |update| {
        update["gone"].as_array().is_some_and(|gone| gone.iter().any(|it| it["name"] == "two"))
    });
    assert!(update["events"].to_string().contains("expired"), "{update}");
    drop(first);
    let update = viewer.find("everything anew, from the other registry", |update| {
        update["since"] == 0 && agent(update, "one").is_object()
    });
    assert!(update["problem"].is_null(), "{update}");
    drop(second);
    let update = viewer.find("a problem", |update| update["problem"].is_string());
    assert!(update["problem"].to_string().contains("no registry can be asked"), "{update}");
}

#[test]
fn odd_telemetry_costs_nobody_a_lease_and_shows_nothing() {
    let registry = Service::registry(&[]);
    let register = |telemetry: Value| {
        let body = json!({ "name": "odd", "url": "127.0.0.1:1", "telemetry": telemetry });
        http(&registry.address, "POST", "/register", &body.to_string())
    };
    let shown = || agent(&json_at(&registry.address, "/dashboard/state"), "odd").clone();
    let long = "x".repeat(5000);
    for odd in [
        json!(7),
        json!(null),
        json!([]),
        json!({ "window_ms": -1 }),
        json!({ "served": { "p50_ms": 1e300 } }),
        json!({ "edges": [{ "to": "<script>alert(1)</script>" }] }),
        json!({ "recent": [{ "number": 1, "age_ms": 0, "event": "failed", "reason": "<b>" }] }),
        json!({ "later": long }),
        json!({ "edges": vec![json!({ "to": "b" }); 65] }),
    ] {
        let (status, answer) = register(odd.clone());
        assert_eq!(status, 200, "{odd}: {answer}");
        assert!(shown().is_object() && shown()["telemetry"].is_null(), "{odd}");
    }
    let good = json!({ "window_ms": 1, "edges": [{ "to": "b", "rtt_ms": 2.5 }] });
    assert_eq!(register(good.clone()).0, 200);
    assert_eq!(shown()["telemetry"]["edges"][0]["rtt_ms"], 2.5);
    // Between two heartbeats, it is taken from the agent that is listed at that address only.
    for (name, url, expected) in [
        ("odd", "127.0.0.1:1", 200),
        ("odd", "http://127.0.0.1:1", 200),
        ("odd", "127.0.0.1:2", 404),
        ("other", "127.0.0.1:1", 404),
    ] {
        let body = json!({ "name": name, "url": url, "telemetry": good }).to_string();
        let (status, answer) = http(&registry.address, "POST", "/telemetry", &body);
        assert_eq!(status, expected, "{name} {url}: {answer}");
    }
    let (status, _) = http(&registry.address, "POST", "/telemetry", "{}");
    assert_eq!(status, 400);
}

#[test]
fn who_asks_for_the_state_again_and_again_gets_what_is_new() {
    let registry = Service::registry(&[]);
    let dashboard =
        Service::start(&["dashboard", "--listen", "127.0.0.1:0", "--registry", &registry.address]);
    let state = || json_at(&dashboard.address, "/dashboard/state");
    assert!(agent(&state(), "a").is_null());
    let lease = r#"{"name": "a", "url": "127.0.0.1:1"}"#;
    assert_eq!(http(&registry.address, "POST", "/register", lease).0, 200);
    until("the agent that has joined", || agent(&state(), "a").is_object());
}

#[test]
fn a_registry_without_a_dashboard_does_not_hide_one_that_has_it() {
    let without = Service::registry(&["--dashboard-viewers", "0"]);
    let with = Service::registry(&[]);
    let both = format!("{},{}", without.address, with.address);
    let _agent = Service::agent("a", &both, &QUICK);
    let dashboard = Service::start(&["dashboard", "--listen", "127.0.0.1:0", "--registry", &both]);
    let mut viewer = Viewer::open(&dashboard.address, "");
    let is_told = |update: &Value| agent(update, "a")["telemetry"].is_object();
    let update = viewer.find("telemetry", is_told);
    assert!(update["problem"].is_null(), "{update}");
    // Without the one, the list of the other has to do; and then everything comes anew.
    let address = with.address.clone();
    drop(with);
    let update = viewer.find("a problem", |update| update["problem"].is_string());
    assert!(update["problem"].to_string().contains("only the list"), "{update}");
    let _with = Service::start(&["registry", "--listen", &address]);
    let update = viewer.find("telemetry again", is_told);
    assert!(update["problem"].is_null(), "{update}");
}

#[test]
fn a_dashboard_of_its_own_has_viewers() {
    let (status, _, stderr) = output(&["dashboard", "--dashboard-viewers", "0"]);
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--dashboard-viewers"), "{stderr}");
}

#[test]
fn a_registry_may_have_no_dashboard() {
    let registry = Service::registry(&["--dashboard-viewers", "0"]);
    let _agent = Service::agent("a", &registry.address, &QUICK);
    let (status, answer) = http(&registry.address, "GET", "/dashboard", "");
    assert_eq!(status, 404, "{answer}");
    let dashboard =
        Service::start(&["dashboard", "--listen", "127.0.0.1:0", "--registry", &registry.address]);
    let mut viewer = Viewer::open(&dashboard.address, "");
    let update = viewer.find("the list", |update| agent(update, "a").is_object());
    assert!(agent(&update, "a")["telemetry"].is_null(), "{update}");
    assert!(update["problem"].to_string().contains("only the list"), "{update}");
}
