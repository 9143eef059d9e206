//! What an agent answers for a job whose upstream or command gave no result, and how large a result
//! may be.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Service, free_address, pause, until};
use crate::rpc_server::{self, RpcServer, http};

/// Where nobody listens: these agents need no registry.
const NOWHERE: &str = "127.0.0.1:1";
/// A policy that chooses without asking anybody, so that every peer gets its turn.
const ENTRY: [&str; 4] = ["--policy", "round_robin", "--refresh", "300ms"];

/// An agent whose jobs go to this upstream.
fn agent_before(upstream: &RpcServer, name: &str, registry: &str, args: &[&str]) -> Service {
    let url = format!("http://{}", upstream.address);
    Service::unregistered(name, registry, &[&["--upstream", &url], args].concat())
}

/// The answer of an upstream that does what the job's text says.
fn obey(call: &Value) -> String {
    let id = &call["id"];
    let text = call["params"]["text"].as_str().unwrap_or_default();
    let error = json!({ "code": -32010, "message": "no", "data": { "reason": "busy" } });
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    match text.split_once(' ').unwrap_or((text, "")) {
        ("drop", _) => String::new(),
        ("half", _) => {
            let longer = "connection: close\r\ncontent-length: 9";
            http(200, &result("1")).replace("content-length: ", longer)
        }
        ("status", status) => {
            let page = format!("<html>no{}</html>", " ".repeat(5000));
            http(status.parse().expect("a status"), &page)
        }
        ("error", status) => {
            let body = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
            http(status.parse().expect("a status"), &body)
        }
        ("wait", seconds) => {
            let header = format!("retry-after: {seconds}\r\ncontent-length: ");
            http(429, "slow down").replace("content-length: ", &header)
        }
        ("other", _) => http(200, r#"{"jsonrpc":"2.0","id":"another","result":1}"#),
        ("long", length) => {
            http(200, &result(&json!("x".repeat(length.parse().expect("a length"))).to_string()))
        }
        ("deep", levels) => {
            let levels = levels.parse().expect("a number");
            http(200, &result(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))))
        }
        _ => http(200, &result("\"done\"")),
    }
}

#[test]
fn an_upstream_that_gives_no_answer_is_told_by_what_is_certain_of_the_job() {
    let upstream = rpc_server::serve_raw(obey);
    let agent = agent_before(&upstream, "front", NOWHERE, &["--output-limit", "1000"]);
    for (text, reason) in [
        ("status 503", "unavailable"),
        ("status 429", "unavailable"),
        ("status 404", "unavailable"),
        ("status 501", "unavailable"),
        ("status 307", "unavailable"),
        ("status 401", "unavailable"),
        ("drop", "outcome_unknown"),
        ("half", "outcome_unknown"),
        ("other", "outcome_unknown"),
        ("status 200", "outcome_unknown"),
        ("status 302", "outcome_unknown"),
        ("status 400", "outcome_unknown"),
        ("status 408", "outcome_unknown"),
        ("status 500", "outcome_unknown"),
        ("status 502", "outcome_unknown"),
        ("status 504", "outcome_unknown"),
        ("status 413", "job_failed"),
        ("long 999", "job_failed"),
        ("long 100000", "job_failed"),
        ("deep 101", "job_failed"),
    ] {
        let error = agent.call("work", json!({ "text": text })).expect_err(text);
        assert_eq!(error["data"]["reason"], reason, "{text}: {error}");
        if text.starts_with("long") {
            let detail = "its result exceeds 1000 bytes (--output-limit)";
            assert_eq!(error["data"]["detail"], detail);
        }
    }
    for status in ["200", "400", "500", "503"] {
        let error = agent.call("work", json!({ "text": format!("error {status}") }));
        let expected = json!({ "code": -32010, "message": "no", "data": { "reason": "busy" } });
        assert_eq!(error, Err(expected), "a JSON-RPC error counts, whatever the status");
    }
    // 998 letters and two quotation marks are 1,000 bytes.
    agent.call("work", json!({ "text": "long 998" })).expect("a result");
    agent.call("work", json!({ "text": "deep 100" })).expect("a result");
}

#[test]
fn how_long_an_upstream_asks_to_stay_away_reaches_the_caller() {
    let upstream = rpc_server::serve_raw(obey);
    let agent = agent_before(&upstream, "front", NOWHERE, &[]);
    for (header, millis) in [
        ("7", json!(7_000.0)),
        ("999999999", json!(86_400_000.0)),
        ("Fri, 31 Dec 1999 23:59:59 GMT", Value::Null),
    ] {
        let error = agent.call("work", json!({ "text": format!("wait {header}") }));
        let error = error.expect_err("no job was begun");
        assert_eq!(error["data"]["reason"], "unavailable");
        assert_eq!(error["data"]["retry_after_ms"], millis, "{header}");
    }
}

#[test]
fn an_upstream_that_is_down_makes_its_agent_unavailable_and_the_job_goes_elsewhere() {
    let registry = Service::registry(&[]);
    let url = format!("http://{}", free_address());
    let broken = Service::agent("broken", &registry.address, &["--upstream", &url]);
    let error = broken.call("work", json!({ "text": "x" })).expect_err("nobody there");
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32010), &json!("unavailable")));
    let detail = error["data"]["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("the upstream of broken: failed to connect to "), "{detail}");
    let _sound = Service::agent("sound", &registry.address, &["--demand", "0s"]);
    let entry = Service::agent("entry", &registry.address, &ENTRY);
    entry.await_peers(2);
    for _ in 0..2 {
        let result = entry.call("delegate", json!({ "text": "x" })).expect("a result");
        assert_eq!(result["delegated_to"]["agent"], "sound");
    }
}

/// One agent whose upstream loses every call, one whose upstream doesn't.
#[test]
fn a_job_whose_upstream_was_lost_is_done_elsewhere_only_if_that_does_no_harm() {
    let registry = Service::registry(&[]);
    let lossy = rpc_server::serve_raw(|_| String::new());
    let _lossy = agent_before(&lossy, "lossy", &registry.address, &[]);
    let sound = rpc_server::serve_raw(obey);
    let _sound = agent_before(&sound, "sound", &registry.address, &[]);
    let entry = Service::agent("entry", &registry.address, &ENTRY);
    entry.await_peers(2);
    // The retry budget grants one retry at the start and one per second.
    pause(Duration::from_secs(1));
    for _ in 0..2 {
        let job = json!({ "text": "x", "idempotent": true });
        entry.call("delegate", job).expect("a result");
    }
    let lost = lossy.calls();
    assert!(lost > 0 && sound.calls() == 2, "each had its turn");
    let ends = [(); 2].map(|()| entry.call("delegate", json!({ "text": "x" })));
    let errors: Vec<&Value> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    let [error] = errors[..] else { panic!("{ends:?}") };
    let peer = &error["data"]["peer"];
    assert_eq!((&error["code"], peer), (&json!(-32015), &json!("the upstream of lossy")));
    assert_eq!((lossy.calls(), sound.calls()), (lost + 1, 3));
}

/// The upstream's error imitates one of the mesh's own in every detail.
#[test]
fn an_upstreams_own_error_comes_back_as_it_is_over_any_hops_and_nothing_is_done_twice() {
    let registry = Service::registry(&[]);
    let upstream = rpc_server::serve_raw(obey);
    let first = agent_before(&upstream, "first", &registry.address, &[]);
    let _second = agent_before(&upstream, "second", &registry.address, &[]);
    let entry = Service::agent("entry", &registry.address, &ENTRY);
    entry.await_peers(2);
    let front = Service::unregistered(
        "front",
        NOWHERE,
        &["--upstream", &format!("http://{}/rpc", first.address)],
    );
    let expected = json!({ "code": -32010, "message": "no", "data": { "reason": "busy" } });
    let job = json!({ "text": "error 200" });
    for (agent, method, calls) in
        [(&first, "work", 1), (&entry, "delegate", 2), (&front, "work", 3)]
    {
        assert_eq!(agent.call(method, job.clone()), Err(expected.clone()));
        assert_eq!(upstream.calls(), calls, "{method} is carried out once");
    }
}

/// The chain is a command, an agent in front of that command's agent, and a third agent that
/// delegates to either.
#[test]
fn what_work_may_answer_delegate_can_pass_on() {
    let registry = Service::registry(&[]);
    let script = r#"read -r job; case $job in
        *long*) printf '"'; head -c 2000000 /dev/zero | tr '\0' x; printf '"';;
        *deep*) printf '[%.0s' $(seq 64); printf ']%.0s' $(seq 64);;
        *) printf '[%.0s' $(seq 65); printf ']%.0s' $(seq 65);; esac"#;
    let command = ["--", "sh", "-c", script];
    let worker = Service::agent("worker", &registry.address, &command);
    let url = format!("http://{}/rpc", worker.address);
    let _middle = Service::agent("middle", &registry.address, &["--upstream", &url]);
    let entry = Service::agent("entry", &registry.address, &ENTRY);
    entry.await_peers(2);
    let mut names = std::collections::BTreeSet::new();
    for text in ["long", "deep", "long", "deep"] {
        worker.call("work", json!({ "text": text })).expect("a result");
        let result = entry.call("delegate", json!({ "text": text })).expect("it is passed on");
        names.insert(result["delegated_to"]["agent"].to_string());
    }
    assert_eq!(names.len(), 2, "both ways");
    let error = entry.call("delegate", json!({ "text": "too much" })).expect_err("too deep");
    let detail = "its output nests deeper than 64 levels, the most there may be";
    assert_eq!(error["data"]["detail"], detail);
}

#[test]
fn a_command_that_is_killed_may_have_done_its_job() {
    let agent = Service::unregistered("dies", NOWHERE, &["--", "sh", "-c", "kill -KILL $$"]);
    let error = agent.call("work", json!({ "text": "x" })).expect_err("killed");
    assert_eq!(
        (&error["code"], &error["data"]["peer"]),
        (&json!(-32015), &json!("the command of dies"))
    );
    agent.process.line("signal: 9");
}

#[test]
fn idle_connections_to_an_upstream_are_kept_for_as_long_as_is_said() {
    let upstream = rpc_server::serve_raw(obey);
    let agent = agent_before(&upstream, "kept", NOWHERE, &[]);
    for _ in 0..3 {
        agent.call("work", json!({ "text": "x" })).expect("a result");
    }
    assert_eq!(upstream.connections(), (1, 0));
    until("the connection is let go", || upstream.connections() == (1, 1));
    drop(agent);

    let upstream = rpc_server::serve_raw(obey);
    let agent = agent_before(&upstream, "none", NOWHERE, &["--upstream-idle", "0s"]);
    for _ in 0..3 {
        agent.call("work", json!({ "text": "x" })).expect("a result");
    }
    until("all are closed", || upstream.connections() == (3, 3));
}
