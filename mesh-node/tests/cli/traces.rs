//! The trace of a job, from its client to whatever does it.

use serde_json::{Value, json};

use crate::process::{Process, Service, call, json_at, mesh, raw, until};
use crate::rpc_server::{self, RpcServer};

/// Where nobody listens: these agents need no registry.
const NOWHERE: &str = "127.0.0.1:1";
/// Answers with the command's place in a trace, as its environment says it.
const ECHO: [&str; 4] =
    ["--", "sh", "-c", r#"cat > /dev/null; printf '["%s","%s"]' "$TRACEPARENT" "$TRACESTATE""#];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const ONE: &str = "1bf92f3577b34da6a3ce929d0e0e4736";
const TWO: &str = "2bf92f3577b34da6a3ce929d0e0e4736";

fn context(trace: &str) -> String {
    format!("00-{trace}-{PARENT}-01")
}

/// The trace and the parent that a `traceparent` names.
fn ids(traceparent: &Value) -> (String, String) {
    let text = traceparent.as_str().unwrap_or_else(|| panic!("no text: {traceparent}"));
    let parts: Vec<&str> = text.split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "00", "01"), "{text}");
    (parts[1].to_owned(), parts[2].to_owned())
}

/// Asserts that this names the trace, with another parent than the client's; gives the parent.
fn child_of(trace: &str, traceparent: &Value) -> String {
    let (of, parent) = ids(traceparent);
    assert_eq!(of, trace);
    assert_ne!(parent, PARENT);
    parent
}

/// Posts a body with these header lines, and reads the JSON of the answer.
fn post(address: &str, headers: &[&str], body: &Value) -> Value {
    posted(address, headers, body).1
}

/// The same, with what the answer's header `mesh-trace` says.
pub(crate) fn posted(address: &str, headers: &[&str], body: &Value) -> (Option<String>, Value) {
    let body = body.to_string();
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "POST /rpc HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = raw(address, request.as_bytes());
    let parts = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let named = parts.0.lines().find_map(|line| line.strip_prefix("mesh-trace: "));
    let json = serde_json::from_str(parts.1).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (named.map(str::to_owned), json)
}

pub(crate) fn rpc(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// A peer that answers jobs with the `_meta` that they came with.
fn peer_that_shows_meta() -> RpcServer {
    rpc_server::serve(|call| {
        let load = json!({ "agent": "peer", "cpu": 1, "mem": 1 });
        let meta = &call["params"]["_meta"];
        match call["method"].as_str() {
            Some("work") => json!({
                "result": { "agent": "peer", "result": meta, "rpc_latency_ms": 1 }
            }),
            _ => json!({ "result": load }),
        }
    })
}

/// An agent whose only peer is this server.
fn entry_agent(registry: &Service, peer: &RpcServer) -> Service {
    let body = json!({ "name": "peer", "url": peer.address });
    let (status, answer) =
        crate::process::http(&registry.address, "POST", "/register", &body.to_string());
    assert_eq!(status, 200, "{answer}");
    let entry = Service::agent("entry", &registry.address, &["--refresh", "200ms"]);
    entry.await_peers(1);
    entry
}

#[test]
fn a_trace_goes_from_hop_to_hop_with_another_parent_each_time() {
    let registry = Service::registry(&[]);
    let worker = Service::agent("worker", &registry.address, &ECHO);
    let entry = Service::agent("entry", &registry.address, &["--refresh", "200ms"]);
    entry.await_peers(1);
    let meta = json!({ "traceparent": context(ONE), "tracestate": "rojo=1 , congo=2" });
    let job = json!({ "text": "x", "_meta": meta });
    let delegated = entry.call("delegate", job.clone()).expect("a result");
    assert_eq!(delegated["delegated_to"]["agent"], "worker");
    let result = &delegated["peer_result"]["result"];
    let far = child_of(ONE, &result[0]);
    assert_eq!(result[1], "rojo=1,congo=2");
    let near = child_of(ONE, &worker.call("work", job).expect("a result")["result"][0]);
    assert_ne!(far, near);

    // The hop in between, as a peer sees it.
    let registry = Service::registry(&[]);
    let entry = entry_agent(&registry, &peer_that_shows_meta());
    let parents = [(); 2].map(|()| {
        let job = json!({ "text": "x", "_meta": meta });
        let delegated = entry.call("delegate", job).expect("a result");
        let got = &delegated["peer_result"]["result"];
        assert_eq!(got["tracestate"], "rojo=1,congo=2");
        child_of(ONE, &got["traceparent"])
    });
    assert_ne!(parents[0], parents[1], "each attempt has a parent of its own");
    let plain = entry.call("delegate", json!({ "text": "x" })).expect("a result");
    assert_eq!(plain["peer_result"]["result"], Value::Null, "nobody asked for a trace");
}

#[test]
fn each_call_of_a_batch_has_its_trace_and_the_header_is_for_those_without() {
    let registry = Service::registry(&[]);
    let entry = entry_agent(&registry, &peer_that_shows_meta());
    let call = |id: u32, meta: Value| {
        let params = json!({ "text": "x", "_meta": meta });
        json!({ "jsonrpc": "2.0", "id": id, "method": "delegate", "params": params })
    };
    let header = format!("TraceParent: {}", context(TWO));
    let batch = json!([
        call(0, json!({ "traceparent": context(ONE) })),
        call(1, json!({ "contextId": "c" })),
        call(2, json!({ "traceparent": context(&ONE.replace('1', "3")) })),
        call(3, json!({ "traceparent": "nonsense", "tracestate": 7 })),
    ]);
    let headers = [&*header, "tracestate: a=1", "tracestate: b=2"];
    let answers = post(&entry.address, &headers, &batch);
    let got: Vec<&Value> =
        (0..4).map(|at| &answers[at]["result"]["peer_result"]["result"]).collect();
    child_of(ONE, &got[0]["traceparent"]);
    child_of(TWO, &got[1]["traceparent"]);
    child_of(&ONE.replace('1', "3"), &got[2]["traceparent"]);
    child_of(TWO, &got[3]["traceparent"]);
    assert_eq!((&got[0]["tracestate"], &got[1]["tracestate"]), (&Value::Null, &json!("a=1,b=2")));
    assert_eq!(got[1]["contextId"], "c");
    // Two lines of traceparent are none.
    let single = rpc("delegate", json!({ "text": "x" }));
    let twice = post(&entry.address, &[&header, &header], &single);
    assert_eq!(twice["result"]["peer_result"]["result"], Value::Null, "{twice}");
}

#[test]
fn values_that_are_none_break_no_call() {
    let worker = Service::unregistered("worker", NOWHERE, &ECHO);
    let long = "9".repeat(4_000);
    let values = [
        json!(null),
        json!(7),
        json!([]),
        json!({ "a": 1 }),
        json!(""),
        json!("\u{0}\n"),
        json!(long),
        json!(context(ONE).to_uppercase()),
        json!(context("00000000000000000000000000000000")),
        json!(context(ONE).replacen("00", "ff", 1)),
    ];
    for value in &values {
        let meta = json!({ "traceparent": value, "tracestate": value });
        let result = worker.call("work", json!({ "text": "x", "_meta": meta })).expect("a result");
        assert_eq!(result["result"], json!(["", ""]), "{value}");
        let meta = json!({ "traceparent": context(ONE), "tracestate": value });
        let result = worker.call("work", json!({ "text": "x", "_meta": meta })).expect("a result");
        child_of(ONE, &result["result"][0]);
        assert_eq!(result["result"][1], "", "{value}");
    }
    let job = rpc("work", json!({ "text": "x" }));
    for value in ["", "nonsense", "00-é", &long, "$(id)", "00-\u{1f600}"] {
        let lines = [format!("traceparent: {value}"), format!("tracestate: {value}")];
        let answer = post(&worker.address, &[&lines[0], &lines[1]], &job);
        assert_eq!(answer["result"]["result"], json!(["", ""]), "{value}: {answer}");
    }
}

#[test]
fn an_upstream_gets_the_trace_as_header_and_the_log_names_it() {
    let upstream = rpc_server::serve(|call| match call["method"].as_str() {
        Some("fail") => json!({ "error": { "code": 1, "message": "no" } }),
        _ => json!({ "result": [call["head"], call["params"]] }),
    });
    let url = format!("http://{}", upstream.address);
    let agent = Service::unregistered("front", NOWHERE, &["--upstream", &url]);
    let header = format!("traceparent: {}", context(ONE));
    let got = |head: &Value| {
        let head = head.as_str().expect("text").to_lowercase();
        let line = head.lines().find_map(|line| line.strip_prefix("traceparent: "));
        json!(line.unwrap_or_else(|| panic!("no traceparent in {head}")))
    };
    let answer = post(&agent.address, &[&header], &rpc("work", json!({ "text": "x" })));
    let result = &answer["result"]["result"];
    child_of(ONE, &got(&result[0]));
    assert_eq!(result[1]["_meta"], Value::Null, "services may be strict about their params");
    // Methods of the service itself: params as an array, and params that name a trace.
    let answer = post(&agent.address, &[&header], &rpc("sum", json!([1, 2])));
    child_of(ONE, &got(&answer["result"][0]));
    assert_eq!(answer["result"][1], json!([1, 2]));
    let params = json!({ "_meta": { "traceparent": context(TWO) } });
    let answer = post(&agent.address, &[&header], &rpc("sum", params.clone()));
    child_of(TWO, &got(&answer["result"][0]));
    assert_eq!(answer["result"][1], params, "as they came");
    post(&agent.address, &[&header], &rpc("fail", json!({})));
    let line = agent.process.line("a job failed");
    assert!(line.contains(&format!("trace_id={ONE}")), "{line}");
}

#[test]
fn a_command_has_no_trace_of_its_agents() {
    let first = ["agent", "--name", "w", "--registry", NOWHERE, "--listen", "127.0.0.1:0"];
    let mut command = mesh(&[&first[..], &ECHO].concat());
    command.env("TRACEPARENT", context(TWO)).env("TRACESTATE", "a=1");
    let agent = Service::from(Process::start(command));
    let result = call(&agent.address, "work", json!({ "text": "x" })).expect("a result");
    assert_eq!(result["result"], json!(["", ""]));
}

#[test]
fn the_command_line_names_a_trace() {
    let registry = Service::registry(&[]);
    let worker = Service::agent("worker", &registry.address, &ECHO);
    let entry = Service::agent("entry", &registry.address, &["--refresh", "200ms"]);
    entry.await_peers(1);
    until("the list", || {
        json_at(&registry.address, "/services").as_object().is_some_and(|all| all.len() == 2)
    });
    let orchestrate = ["orchestrate", "--json", "--agent", "entry", "--registry"];
    let orchestrate = [&orchestrate[..], &[&*registry.address]].concat();
    let work = ["call", &worker.address, "work", "x", "--json"];
    let run = |args: &[&str], variable: Option<&str>| {
        let mut command = mesh(args);
        command.env_remove("TRACEPARENT").env_remove("TRACESTATE");
        if let Some(value) = variable {
            command.env("TRACEPARENT", value).env("TRACESTATE", "a=1");
        }
        let output = command.output().expect("the binary");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).ok(), text)
    };
    let done = |args: &[&str], variable: Option<&str>| {
        let (code, result, stderr) = run(args, variable);
        assert_eq!(code, Some(0), "{stderr}");
        result.expect("JSON")
    };
    let (one, two) = (context(ONE), context(TWO));
    let result = done(&[&orchestrate[..], &["--traceparent", &one]].concat(), None);
    child_of(ONE, &result["result"]["peer_result"]["result"][0]);
    let result = done(&orchestrate, Some(&two));
    child_of(TWO, &result["result"]["peer_result"]["result"][0]);
    let result = done(&[&work[..], &["--traceparent", &one]].concat(), Some(&two));
    child_of(ONE, &result["result"][0]);
    assert_eq!(result["result"][1], "", "the variable belongs to the other trace");
    let result = done(&work, Some(&two));
    child_of(TWO, &result["result"][0]);
    assert_eq!(result["result"][1], "a=1");
    assert_eq!(done(&work, Some("nonsense"))["result"][0], "", "a wrong variable is ignored");
    for args in [&work[..], &orchestrate] {
        let (code, _, stderr) = run(&[args, &["--traceparent", "nonsense"]].concat(), None);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("expected 00-TRACE-PARENT-FLAGS"), "{stderr}");
    }
}

#[test]
fn an_answer_names_the_trace_of_its_call() {
    let registry = Service::registry(&[]);
    let agent = |name: &str, share: &str| {
        Service::agent(name, &registry.address, &["--demand", "1ms", "--trace-sample", share])
    };
    let (sampling, other) = (agent("sampling", "1"), agent("other", "0"));
    let job = |text: &str| rpc("work", json!({ "text": text }));
    let traced = rpc(
        "work",
        json!({ "text": "x", "_meta": { "traceparent": format!("00-{TRACE}-{PARENT}-00") } }),
    );
    // Nothing is recorded without a collector, so no trace is begun.
    assert_eq!(posted(&sampling.address, &[], &job("x")).0, None);
    let (named, answer) = posted(&other.address, &[], &traced);
    assert_eq!(named.as_deref(), Some(TRACE), "{answer}");
    let batch = Value::Array(vec![job("x"), traced, rpc("info", json!({}))]);
    let (named, _) = posted(&other.address, &[], &batch);
    assert_eq!(named, Some(format!("none, {TRACE}, none")));
}
