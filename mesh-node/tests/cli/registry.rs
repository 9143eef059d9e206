//! `mesh registry`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::process::{Service, get, http, json_at, output, raw, try_http, until};

#[test]
fn it_serves_the_demos_registry_and_stops_when_told() {
    let mut registry = Service::registry(&["--ttl", "1s", "--log-format", "text"]);
    let address = registry.address.clone();
    let body = json!({ "name": "a", "url": "http://127.0.0.1:8612" }).to_string();
    let (status, answer) = http(&address, "POST", "/register", &body);
    assert_eq!((status, &*answer), (200, r#"{"status":"registered","ttl_ms":1000}"#));
    assert_eq!(json_at(&address, "/services")["a"]["url"], "http://127.0.0.1:8612");
    assert_eq!(json_at(&address, "/healthz"), json!({ "status": "ok", "leases": 1 }));
    until("the lease's end", || json_at(&address, "/services") == json!({}));
    let ended = "mesh_registry_ended_total{kind=\"expired\"} 1";
    until(ended, || get(&address, "/metrics").1.contains(ended));

    // A long poll must not hold the end up.
    let list = raw(&address, b"GET /services HTTP/1.0\r\n\r\n");
    let index = list.lines().find_map(|line| line.strip_prefix("mesh-index: "));
    let path = format!("/services?wait=50s&index={}", index.expect("an index"));
    let poll = std::thread::spawn(move || json_at(&address, &path));
    let waiting = "mesh_registry_waiting 1";
    until(waiting, || get(&registry.address, "/metrics").1.contains(waiting));
    registry.process.signal("TERM");
    assert_eq!(poll.join().expect("an answer"), json!({}));
    assert!(registry.process.end().success());
}

#[test]
fn a_port_in_use_is_named_in_the_error() {
    let registry = Service::registry(&[]);
    let port = registry.address.split(':').nth(1).expect("a port");
    for args in [
        vec!["registry", "--listen", &registry.address],
        vec!["agent", "--listen", &registry.address],
        vec!["up", "--listen", &registry.address],
    ] {
        let (status, _, stderr) = output(&args);
        assert_eq!(status.code(), Some(1));
        let expected = format!("error: port {port} of 127.0.0.1 is in use\n");
        assert!(stderr.ends_with(&expected), "{stderr}");
    }
}

#[test]
fn a_ttl_that_no_agent_can_keep_is_refused() {
    let (status, _, stderr) = output(&["registry", "--ttl", "29ms"]);
    assert_eq!(status.code(), Some(2));
    assert!(
        stderr.contains("agents can't keep leases so short; expected 30ms or more"),
        "{stderr}"
    );
}

#[test]
fn an_agent_says_that_something_else_answers_for_its_registry() {
    // Answers like a file server that knows no POST.
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = stranger.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in stranger.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            while stream.by_ref().lines().map_while(Result::ok).any(|line| line.is_empty()) {
                let answer = "HTTP/1.1 501 Not Implemented\r\ncontent-length: 6\r\n\r\n<html>";
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        }
    });
    let agent = Service::unregistered("a", &address, &[]);
    let line = agent.process.line("the answer is not that of a registry");
    assert!(line.contains(&address) && line.contains("501 Not Implemented"), "{line}");
}

#[test]
fn with_a_directory_its_leases_outlast_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("new").display().to_string();
    let mut registry = Service::registry(&["--data-dir", &path]);
    let body = json!({ "name": "a", "url": "127.0.0.1:8612", "incarnation": 7 });
    let (status, answer) = http(&registry.address, "POST", "/register", &body.to_string());
    assert_eq!((status, answer.contains("registered")), (200, true), "{answer}");

    let (status, _, stderr) = output(&["registry", "--listen", "127.0.0.1:0", "--data-dir", &path]);
    assert_eq!(status.code(), Some(1));
    let expected = format!("error: the store {path} can't be used: another registry uses it");
    assert!(stderr.contains(&expected), "{stderr}");

    registry.process.signal("KILL");
    registry.process.end();
    let registry = Service::registry(&["--data-dir", &path]);
    let listed = &json_at(&registry.address, "/services")["a"];
    assert_eq!((&listed["incarnation"], &listed["state"]), (&json!(7), &json!("recovering")));
    let drain = json!({ "name": "a", "draining": true }).to_string();
    let (status, answer) = http(&registry.address, "POST", "/drain", &drain);
    assert_eq!((status, &*answer), (200, r#"{"status":"draining"}"#));
    let metrics = get(&registry.address, "/metrics").1;
    assert!(metrics.contains("mesh_registry_restored_total 1"), "{metrics}");
}

#[test]
fn a_kill_in_the_middle_of_writes_loses_nothing_that_was_acknowledged() {
    const CLIENTS: usize = 4;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().display().to_string();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..5 {
        let mut registry = Service::registry(&["--data-dir", &path]);
        let address = registry.address.clone();
        let list = json_at(&address, "/services");
        for name in &acknowledged {
            assert_eq!(list[name]["state"], "recovering", "{name}, before round {round}");
        }
        let count = AtomicUsize::new(0);
        let granted: Vec<String> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let (address, count) = (&address, &count);
                    scope.spawn(move || register_until_it_is_gone(address, (round, client), count))
                })
                .collect();
            // Each round is killed at another point of the work.
            let enough = 20 + 7 * round;
            until("registrations", || count.load(Ordering::Relaxed) >= enough);
            registry.process.signal("KILL");
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
        });
        registry.process.end();
        assert!(granted.len() >= 20, "{granted:?}");
        acknowledged.extend(granted);
    }
    let registry = Service::registry(&["--data-dir", &path]);
    let list = json_at(&registry.address, "/services");
    let lost: Vec<_> = acknowledged.iter().filter(|name| list[name.as_str()].is_null()).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
}

/// Registers one agent after the other until the registry does not answer any more. Gives back the
/// names that it has granted.
fn register_until_it_is_gone(
    address: &str,
    (round, client): (usize, usize),
    count: &AtomicUsize,
) -> Vec<String> {
    let mut granted = Vec::new();
    for number in 0..10_000 {
        let name = format!("a-{round}-{client}-{number}");
        let body = json!({ "name": name, "url": "127.0.0.1:8612", "incarnation": 7 });
        match try_http(address, "POST", "/register", &body.to_string()) {
            Ok((200, answer)) if answer.contains("registered") => granted.push(name),
            // The answer may be torn, and then the lease was not acknowledged.
            _ => break,
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    granted
}

#[test]
fn a_store_that_makes_no_sense_or_is_not_there_is_refused_without_its_password() {
    for (store, code, expected) in [
        ("http://me:secret@h", 2, "--store: expected redis://"),
        ("redis://me:secret@h?mesh=a b", 2, "--store: \"a b\" is no name of a mesh"),
        ("redis://:secret@127.0.0.1:1", 1, "the store redis://127.0.0.1:1 can't be used"),
        ("etcd://me:secret@127.0.0.1:1", 1, "the store etcd://127.0.0.1:1 can't be used"),
    ] {
        let (status, _, stderr) =
            output(&["registry", "--listen", "127.0.0.1:0", "--store", store]);
        assert_eq!(status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(expected) && !stderr.contains("secret"), "{stderr}");
    }
    let both = ["registry", "--data-dir", "d", "--store", "redis://h"];
    assert_eq!(output(&both).0.code(), Some(2));
}
