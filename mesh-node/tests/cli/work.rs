//! What `work` does with a command, with an upstream, and by itself.

use serde_json::{Value, json};

use crate::process::{Service, http, until};
use crate::rpc_server;

/// Where nobody listens: these agents need no registry.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn a_command_does_the_work_and_is_killed_at_the_deadline() {
    let directory = tempfile::tempdir().expect("a directory");
    let pid = directory.path().join("pid");
    let script = format!(
        "read -r job; case $job in *slow*) echo $$ > {}; sleep 600;; *bad*) echo no >&2; exit 3;; \
         *) echo \"{{\\\"did\\\": $job}}\";; esac",
        pid.display()
    );
    let agent = Service::unregistered("shell", NOWHERE, &["--", "sh", "-c", &script]);
    let result = agent.call("work", json!({ "text": "x" })).expect("a result");
    assert_eq!(result["result"]["did"]["text"], "x");

    let error = agent.call("work", json!({ "text": "bad" })).expect_err("it fails");
    assert_eq!(
        (&error["code"], &error["data"]["detail"]),
        (&json!(-32018), &json!("exit status: 3: no"))
    );

    // 1 s for the shell to begin on a busy machine.
    let error =
        agent.call("work", json!({ "text": "slow", "timeout_ms": 1000 })).expect_err("slow");
    assert_eq!(error["code"], -32014);
    let id = std::fs::read_to_string(&pid).expect("it had begun");
    let process = format!("/proc/{}", id.trim());
    until("its end", || !std::path::Path::new(&process).exists());
    assert_eq!(agent.call("sing", json!({})).expect_err("unknown")["code"], -32601);
}

#[test]
fn burning_takes_cpu_time() {
    let agent = Service::unregistered(
        "hot",
        NOWHERE,
        &["--burn", "--demand", "400ms", "--metrics-scope", "process", "--sample", "200ms"],
    );
    let result = agent.call("work", json!({ "text": "x" })).expect("a result");
    assert!(result["rpc_latency_ms"].as_f64().expect("a figure") >= 400.0);
    let ticks = std::fs::read_to_string(format!("/proc/{}/stat", agent.process.id()));
    let ticks = ticks.expect("its statistics");
    let user: u64 = ticks
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split(' ').nth(12))
        .expect("a field")
        .parse()
        .expect("a number");
    // USER_HZ is 100 on Linux: 400 ms are 40 ticks, some of which may count as system time.
    assert!(user >= 30, "{user} ticks");
}

/// An agent behind an agent: the one in front passes everything on.
#[test]
fn an_upstream_does_the_work_and_takes_other_methods() {
    let behind = Service::unregistered("behind", NOWHERE, &["--concurrency", "1", "--queue", "0"]);
    let deep = Service::unregistered(
        "middle",
        NOWHERE,
        &["--upstream", &format!("http://{}/rpc", behind.address)],
    );
    let front = Service::unregistered(
        "front",
        NOWHERE,
        &["--upstream", &format!("http://{}/rpc", deep.address)],
    );
    let result = front.call("work", json!({ "text": "x", "demand_ms": 1 })).expect("a result");
    assert_eq!(result["agent"], "front");
    assert_eq!(result["result"]["result"]["result"], "Processed: x", "{result}");

    // The last one has no such method: its error comes through both.
    let error = front.call("summarise", json!(["a"])).expect_err("unknown");
    assert_eq!((&error["code"], &error["message"]), (&json!(-32601), &json!("Method not found")));
    let error = front.call("work", json!({ "text": "x", "demand_ms": 9e9 })).expect_err("too much");
    assert_eq!(error["code"], -32602, "{error}");
}

/// A service that answers every call in its own way.
#[test]
fn an_upstreams_answers_pass_through_as_they_are() {
    let upstream = rpc_server::serve(|call: &Value| match call["method"].as_str() {
        Some("sum") => json!({ "result": { "of": call["params"], "is": 6 } }),
        Some("null") => json!({ "result": null }),
        Some("work") => json!({ "result": [call["params"]["text"], 1] }),
        _ => json!({ "error": { "code": 42, "message": "odd", "data": { "why": [1, null] } } }),
    });
    let url = format!("http://{}/v1?key=a", upstream.address);
    let agent = Service::unregistered("front", NOWHERE, &["--upstream", &url]);
    let sum = agent.call("sum", json!([1, 2, 3])).expect("a result");
    assert_eq!(sum, json!({ "of": [1, 2, 3], "is": 6 }), "the result is bare");
    assert_eq!(agent.call("null", json!({})).expect("a result"), Value::Null);
    assert_eq!(
        agent.call("work", json!({ "text": "x" })).expect("a result")["result"],
        json!(["x", 1])
    );
    let error = agent.call("fail", json!({})).expect_err("an error");
    assert_eq!(error, json!({ "code": 42, "message": "odd", "data": { "why": [1, null] } }));
    let body = r#"[{"jsonrpc":"2.0","method":"sum","params":[1],"id":"a"},
        {"jsonrpc":"2.0","method":"note"}, {"jsonrpc":"2.0","method":"info","id":2}]"#;
    let (_, answer) = http(&agent.address, "POST", "/rpc", body);
    let answers: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answers.as_array().map(Vec::len), Some(2));
    assert_eq!((&answers[0]["id"], &answers[1]["result"]["agent"]), (&json!("a"), &json!("front")));
}
