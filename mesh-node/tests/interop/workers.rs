//! The workers in Python of `examples/workers/`, which need nothing but Python.

use serde_json::{Value, json};

use crate::process::{Process, Service, call, mesh};
use crate::runtimes::plain_python;

/// Where nobody listens: these agents need no registry.
const NOWHERE: &str = "127.0.0.1:1";
/// Python is slow when the machine is busy.
const PATIENT: [&str; 4] = ["--probe-timeout", "10s", "--refresh", "500ms"];

fn example(name: &str) -> String {
    format!("{}/../examples/workers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Starts an agent whose command may be a client of its agent, whatever proxy there is for others.
fn agent(name: &str, registry: &str, args: &[&str]) -> Service {
    let first = ["agent", "--name", name, "--registry", registry, "--listen", "127.0.0.1:0"];
    let mut command = mesh(&[&first, args].concat());
    command.env("no_proxy", "127.0.0.1");
    Service::from(Process::start(command))
}

#[test]
fn a_worker_in_python_stays_from_job_to_job() {
    let Some(python) = plain_python() else { return };
    let script = example("stdio_worker.py");
    let args =
        ["--work", "stdio", "--workers", "1", "--ready-timeout", "60s", "--", python, &script];
    let agent = agent("counter", NOWHERE, &args);
    let work = |text: &str| call(&agent.address, "work", json!({ "text": text }));
    let result = work("one two\nthree").expect("a result");
    assert_eq!(result["result"], json!({ "words": 3, "longest": "three" }));
    let error = work("").expect_err("there is no longest word");
    assert_eq!(error["code"], -32018);
    assert!(error["data"]["detail"].to_string().contains("ValueError"), "{error}");
    assert_eq!(work("four").expect("a result")["result"]["words"], 1, "it has survived that");
}

#[test]
fn a_command_in_python_fans_out_to_peers_and_joins_their_answers() {
    let Some(python) = plain_python() else { return };
    let registry = Service::registry(&[]);
    let peers = ["left", "right"].map(|name| {
        Service::agent(name, &registry.address, &["--demand", "200ms", "--concurrency", "1"])
    });
    let script = example("fan_out.py");
    let signal = ["--policy", "shortest_queue", "--signal", "own"];
    let args = [&PATIENT[..], &signal, &["--", python, &script]].concat();
    let splitter = agent("splitter", &registry.address, &args);
    splitter.await_peers(2);
    let result = splitter.call("work", json!({ "text": "a;b", "request": 7 })).expect("a result");
    assert_eq!(result["result"], json!(["Processed: a", "Processed: b"]));
    for peer in peers {
        let (_, page) = crate::process::get(&peer.address, "/metrics");
        assert!(page.contains("mesh_jobs_total{outcome=\"done\"} 1\n"), "each does one: {page}");
    }
}

#[test]
fn a_job_that_is_always_delegated_further_ends_at_the_greatest_depth() {
    let Some(python) = plain_python() else { return };
    let registry = Service::registry(&[]);
    let script = example("fan_out.py");
    let args = [&PATIENT[..], &["--max-depth", "2", "--", python, &script]].concat();
    let ring = ["ping", "pong"].map(|name| agent(name, &registry.address, &args));
    ring.iter().for_each(|agent| agent.await_peers(1));
    let error: Value = ring[0].call("work", json!({ "text": "x" })).expect_err("it never ends");
    assert_eq!(error["code"], -32018);
    let why = error["data"]["detail"].to_string();
    assert!(why.contains("delegated too often: at most 2 times"), "{why}");
}
