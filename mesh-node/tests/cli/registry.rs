//! `mesh registry`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;

use crate::process::{Service, get, http, json_at, output, raw, until};

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
