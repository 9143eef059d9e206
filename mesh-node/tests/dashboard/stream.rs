//! The stream of events: its limits, and how it begins and ends.

use serde_json::json;

use crate::process::{Service, get, http, json_at, raw, until};
use crate::viewer::{Viewer, agent};

#[test]
fn a_viewer_gets_everything_and_then_what_changes() {
    let registry = Service::registry(&["--ttl", "2s", "--sweep", "100ms"]);
    let lease = json!({ "name": "a", "url": "127.0.0.1:1", "site": "here" }).to_string();
    assert_eq!(http(&registry.address, "POST", "/register", &lease).0, 200);
    let mut viewer = Viewer::open(&registry.address, "");
    assert!(viewer.head.contains("content-type: text/event-stream"), "{}", viewer.head);
    assert!(viewer.head.contains("cache-control: no-store"), "{}", viewer.head);
    let all = viewer.next().expect("everything");
    assert_eq!((&all["since"], &agent(&all, "a")["site"]), (&json!(0), &json!("here")), "{all}");
    let joins = json!({ "name": "b", "url": "127.0.0.1:2" }).to_string();
    assert_eq!(http(&registry.address, "POST", "/register", &joins).0, 200);
    let news = viewer.find("`b`", |update| agent(update, "b").is_object());
    assert!(news["since"].as_u64() > Some(0) && agent(&news, "a").is_null(), "{news}");
    // Nobody renews: both expire.
    let end = viewer.find("an end", |update| update["gone"].is_array());
    assert!(end["events"].to_string().contains("expired"), "{end}");
    // A version of another life leads to everything.
    let epoch = end["epoch"].as_u64().expect("an epoch");
    let state = |query: &str| json_at(&registry.address, &format!("/dashboard/state?{query}"));
    let since = end["version"].as_u64().expect("a version");
    assert_eq!(state(&format!("epoch={epoch}&since={since}"))["since"], since);
    assert_eq!(state(&format!("epoch={}&since={since}", epoch + 1))["since"], 0);
    assert_eq!(get(&registry.address, "/dashboard/state?since=x").0, 400);
}

#[test]
fn viewers_are_bounded_and_slow_ones_make_room() {
    let registry = Service::registry(&["--dashboard-viewers", "2"]);
    let mut quick = Viewer::open(&registry.address, "");
    let other = Viewer::open(&registry.address, "");
    let refused = Viewer::open(&registry.address, "");
    assert_eq!((quick.status(), other.status(), refused.status()), (200, 200, 503));
    assert!(refused.head.contains("retry-after: 10"), "{}", refused.head);
    drop(other);
    until("room for another one", || Viewer::open(&registry.address, "").status() == 200);
    assert!(quick.next().is_some(), "it was not disturbed");
}

#[test]
fn a_viewer_that_takes_nothing_is_cut_off() {
    let registry = Service::registry(&["--max-leases", "2000"]);
    // So much that it does not fit into the buffers of a connection.
    let edges: Vec<_> = (0..30).map(|n| json!({ "to": format!("{n:0>64}"), "done": 1 })).collect();
    let telemetry = json!({ "edges": edges });
    for number in 0..1500 {
        let (name, url) = (format!("a{number}"), "127.0.0.1:1");
        let body = json!({ "name": name, "url": url, "telemetry": telemetry }).to_string();
        assert_eq!(http(&registry.address, "POST", "/register", &body).0, 200);
    }
    let _slow = Viewer::open(&registry.address, "");
    let mut quick = Viewer::open(&registry.address, "");
    let count = || {
        let (_, page) = get(&registry.address, "/metrics");
        let line = page.lines().find(|line| line.starts_with("mesh_dashboard_viewers "));
        line.expect("a gauge").rsplit(' ').next().expect("a number").to_owned()
    };
    assert_eq!(count(), "2");
    until("the slow one is cut off", || {
        quick.next().expect("the quick one goes on");
        count() == "1"
    });
}

#[test]
fn the_end_of_the_registry_ends_the_stream() {
    let mut registry = Service::registry(&[]);
    let mut viewer = Viewer::open(&registry.address, "");
    assert!(viewer.next().is_some());
    registry.process.signal("TERM");
    while viewer.next().is_some() {}
    assert!(registry.process.end().success(), "it did not wait for its viewers");
}

#[test]
fn the_page_stands_alone_and_says_so() {
    let registry = Service::registry(&[]);
    let request = format!(
        "GET /dashboard HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        registry.address
    );
    let answer = raw(&registry.address, request.as_bytes());
    let (head, page) = answer.split_once("\r\n\r\n").expect("a page");
    let head = head.to_ascii_lowercase();
    for field in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert!(page.contains("Who delegates to whom") && page.ends_with("</html>\n"));
    // Pages of strangers get neither the page in a frame nor its data.
    for path in ["/dashboard/events", "/dashboard/state", "/dashboard/rights"] {
        for field in ["origin: http://elsewhere.example", "sec-fetch-site: cross-site"] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: {}\r\n{field}\r\nconnection: close\r\n\r\n",
                registry.address
            );
            let answer = raw(&registry.address, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 403"), "{path} {field}: {answer}");
        }
    }
}
