//! `mesh call`.

use serde_json::{Value, json};

use crate::process::{Service, output};

#[test]
fn one_agent_is_called_by_its_name_its_address_or_its_url() {
    let registry = Service::registry(&[]);
    let agent = Service::agent("worker", &registry.address, &["--demand", "0s"]);
    let call =
        |args: &[&str]| output(&[&["call"][..], args, &["--registry", &registry.address]].concat());
    let url = format!("http://{}/rpc", agent.address);
    for who in ["worker", &agent.address, &url] {
        let (status, stdout, stderr) = call(&[who, "info", "--json"]);
        assert!(status.success(), "{stderr}");
        let info: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(info["agent"], "worker");
    }
    let (_, stdout, _) = call(&["worker", "work", "a job"]);
    assert!(stdout.contains("\nresult          Processed: a job\n"), "{stdout}");
    let job = json!({ "text": "slow", "demand_ms": 60_000 }).to_string();
    let (status, _, stderr) = call(&["worker", "work", &job, "--timeout", "200ms"]);
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("-32014"), "the agent knows the deadline: {stderr}");
}

#[test]
fn calls_without_a_result_say_why() {
    let registry = Service::registry(&[]);
    let _agent = Service::agent("worker", &registry.address, &[]);
    let call =
        |args: &[&str]| output(&[&["call", "--registry", &registry.address][..], args].concat());
    for (code, args, expected) in [
        (1, &["wroker", "info"][..], "lists no agent wroker; did you mean worker?"),
        (1, &["worker", "sing"], "sing at 127.0.0.1:"),
        (1, &["127.0.0.1:1", "info"], "info at 127.0.0.1:1 has no result: "),
        (2, &["a:b", "info"], "a:b: expected HOST:PORT, or an agent's name"),
        (2, &["worker", "info", "1"], "params are a JSON object or array, and not 1"),
    ] {
        let (status, stdout, stderr) = call(args);
        assert_eq!((status.code(), &*stdout), (Some(code), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}
