//! A mesh of Python agents and agents of this workspace, with either one's registry.

use std::process::Command;

use serde_json::{Value, json};

use crate::process::{Process, Service, call, free_address, json_at, try_call, try_http, until};
use crate::runtimes::{python, source};

/// Starts a script that serves on a free port, and waits until it does.
fn script(
    mut python: Command,
    name: &str,
    args: impl Fn(&str) -> Vec<String>,
    path: &str,
) -> PythonService {
    let address = free_address();
    let port = address.rsplit(':').next().expect("a port");
    python.arg(source(name)).args(args(port));
    let process = Process::start(python);
    until(name, || try_http(&address, "GET", path, "").is_ok());
    PythonService { _process: process, address }
}

/// A Python process that serves, and its address.
struct PythonService {
    _process: Process,
    address: String,
}

fn demo_registry(python: Command) -> PythonService {
    script(python, "discovery_server.py", |port| vec![port.to_owned()], "/services")
}

fn demo_agent(python: Command, name: &str, registry: &str) -> PythonService {
    let args = |port: &str| vec![name.to_owned(), port.to_owned(), registry.to_owned()];
    script(python, "agent_node.py", args, "/")
}

fn await_listed(registry: &str, names: &[&str]) {
    until("all agents are listed", || {
        let list = json_at(registry, "/services");
        names.iter().all(|name| list[name]["url"].is_string())
    });
}

/// Checks that every agent delegates, and that the answers have the demo's fields.
fn all_delegate(agents: &[(&str, &str)]) {
    for (name, address) in agents {
        let params = json!({ "text": "Optimize Kafka consumer throughput" });
        let mut result = Value::Null;
        until(&format!("{name} delegates"), || {
            match try_call(address, "delegate", params.clone()) {
                Ok(Ok(answer)) => {
                    result = answer;
                    true
                }
                other => {
                    eprintln!("{name}: {other:?}");
                    false
                }
            }
        });
        let (target, peer) = (&result["delegated_to"], &result["peer_result"]);
        assert_ne!(target["agent"], *name, "{result}");
        let known = agents.iter().find(|(other, _)| target["agent"] == *other);
        let (_, url) = known.unwrap_or_else(|| panic!("a stranger: {result}"));
        assert_eq!(target["url"], *url, "{result}");
        for field in ["cpu", "mem", "latency_ms"] {
            assert!(target[field].is_number(), "{field} of {result}");
        }
        assert_eq!(peer["agent"], target["agent"]);
        assert_eq!(peer["result"], "Processed: Optimize Kafka consumer throughput");
        assert!(peer["rpc_latency_ms"].is_number() && result["rpc_latency_ms"].is_number());
    }
}

#[test]
fn demo_agents_join_our_registry_and_all_delegate_to_each_other() {
    let (Some(one), Some(two)) = (python(), python()) else { return };
    let registry = Service::registry(&[]);
    let ours = Service::agent("ours", &registry.address, &PATIENT);
    let demos = [
        demo_agent(one, "demo-1", &registry.address),
        demo_agent(two, "demo-2", &registry.address),
    ];
    await_listed(&registry.address, &["ours", "demo-1", "demo-2"]);
    ours.await_peers(2);
    all_delegate(&[
        ("ours", &ours.address),
        ("demo-1", &demos[0].address),
        ("demo-2", &demos[1].address),
    ]);
}

#[test]
fn our_agents_join_the_demos_registry_and_all_delegate_to_each_other() {
    let (Some(one), Some(two)) = (python(), python()) else { return };
    let registry = demo_registry(one);
    let ours = ["ours-1", "ours-2"].map(|name| Service::agent(name, &registry.address, &PATIENT));
    let demo = demo_agent(two, "demo", &registry.address);
    await_listed(&registry.address, &["ours-1", "ours-2", "demo"]);
    ours.iter().for_each(|agent| agent.await_peers(2));
    all_delegate(&[
        ("ours-1", &ours[0].address),
        ("ours-2", &ours[1].address),
        ("demo", &demo.address),
    ]);
    let (status, stdout, stderr) = crate::process::output(&[
        "orchestrate",
        "--registry",
        &registry.address,
        "--agent",
        "demo",
        "--json",
    ]);
    assert!(status.success(), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).expect("JSON");
    assert!(json["result"]["peer_result"]["result"].is_string(), "{json}");
}

/// The demo does not know `idle`: it is served all the same, and no failure is remembered of it.
#[test]
fn policies_that_ask_for_free_slots_serve_the_demo() {
    let Some(python) = python() else { return };
    let registry = Service::registry(&[]);
    let demo = demo_agent(python, "demo", &registry.address);
    await_listed(&registry.address, &["demo"]);
    let serve = |policy: &str| {
        let options = [&PATIENT[..], &["--policy", policy]].concat();
        let ours = Service::agent(policy, &registry.address, &options);
        ours.await_peers(1);
        for _ in 0..3 {
            let result = call(&ours.address, "delegate", json!({ "text": "x" })).expect("a result");
            assert_eq!(result["delegated_to"]["url"], demo.address, "{policy}");
            assert_eq!(result["peer_result"]["result"], "Processed: x");
        }
        let (_, page) = try_http(&ours.address, "GET", "/metrics", "").expect("a page");
        assert!(!page.contains("mesh_passed_over_total{"), "{page}");
    };
    std::thread::scope(|scope| {
        for policy in ["pull", "join_idle_queue"] {
            scope.spawn(move || serve(policy));
        }
    });
}

/// An agent of the demo as the upstream of one of ours: its own method, and its errors.
#[test]
fn a_demo_agent_serves_behind_ours() {
    let Some(python) = python() else { return };
    let demo = demo_agent(python, "behind", "127.0.0.1:1");
    let url = format!("http://{}/rpc", demo.address);
    let front = Service::unregistered("front", "127.0.0.1:1", &["--upstream", &url]);
    let result = call(&front.address, "work", json!({ "text": "x" })).expect("a result");
    assert_eq!((&result["agent"], &result["result"]["agent"]), (&json!("front"), &json!("behind")));
    let error = call(&front.address, "sing", json!({})).expect_err("unknown");
    assert_eq!(error, json!({ "code": -32601, "message": "Method not found" }));
}

/// Python is slow when the machine is busy, and one slow probe holds up a whole delegation.
const PATIENT: [&str; 4] = ["--probe-timeout", "10s", "--refresh", "500ms"];
