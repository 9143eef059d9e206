//! `mesh agent`.

use std::time::Duration;

use serde_json::json;

use crate::process::{
    PATIENCE, Service, free_address, get, json_at, output, pause, try_call, until,
};

#[test]
fn it_registers_works_and_leaves_when_told() {
    let registry = Service::registry(&[]);
    let mut agent = Service::agent("worker", &registry.address, &["--sample", "200ms"]);
    let services = json_at(&registry.address, "/services");
    assert_eq!(services["worker"]["url"], agent.address);

    until("a sample", || agent.call("info", json!({})).expect("info")["mem"] != json!(0.0));
    let info = agent.call("info", json!({})).expect("info");
    for field in ["agent", "cpu", "mem", "in_flight", "queued", "version", "uptime_s"] {
        assert!(!info[field].is_null(), "{field} of {info}");
    }
    let params = json!({ "text": "x", "demand_ms": 20 });
    let result = agent.call("work", params).expect("a result");
    assert_eq!((&result["agent"], &result["result"]), (&json!("worker"), &json!("Processed: x")));
    assert!(result["rpc_latency_ms"].as_f64().expect("a figure") >= 20.0);
    assert_eq!(agent.call("sing", json!({})).expect_err("unknown")["code"], -32601);
    assert!(get(&agent.address, "/metrics").1.contains("mesh_registered 1\n"));

    // Work under way is finished before the end; the lease ends at once.
    let address = agent.address.clone();
    let job = std::thread::spawn(move || {
        try_call(&address, "work", json!({ "text": "last", "demand_ms": 1500 }))
    });
    until("the job", || agent.call("info", json!({})).expect("info")["in_flight"] == 1);
    agent.process.signal("TERM");
    until("the lease's end", || json_at(&registry.address, "/services") == json!({}));
    assert!(!job.is_finished(), "the lease ended first");
    let result = job.join().expect("no panic").expect("an answer").expect("a result");
    assert_eq!(result["result"], "Processed: last");
    assert!(agent.process.end().success());
}

#[test]
fn the_demand_is_the_demos_and_a_name_and_a_port_are_found() {
    let registry = Service::registry(&[]);
    let agent = Service::start(&["agent", "--registry", &registry.address]);
    agent.process.line("registered");
    let port: u16 = agent.address.rsplit(':').next().expect("a port").parse().expect("a number");
    assert!((8600..=8700).contains(&port), "{port}");
    let services = json_at(&registry.address, "/services");
    let name = services.as_object().expect("an object").keys().next().expect("an agent");
    let number: u32 = name.strip_prefix("agent-").expect("a name").parse().expect("a number");
    assert!((100..1000).contains(&number), "{name}");
    let result = agent.call("work", json!({ "text": "x" })).expect("a result");
    assert!(result["rpc_latency_ms"].as_f64().expect("a figure") >= 300.0);
}

#[test]
fn it_may_start_before_its_registry_and_complains_once() {
    let address = free_address();
    let args = ["--heartbeat", "200ms", "--refresh", "200ms"];
    let mut agent = Service::unregistered("early", &address, &args);
    agent.process.line("the registry does not answer");
    // Time for several more attempts.
    pause(Duration::from_secs(2));
    let _registry = Service::start(&["registry", "--listen", &address]);
    agent.process.line("the registry answers again");
    until("the lease", || !json_at(&address, "/services")["early"].is_null());
    agent.process.signal("INT");
    assert!(agent.process.end().success());
    let complaints = agent.process.rest();
    assert!(!complaints.iter().any(|line| line.contains("does not answer")), "{complaints:?}");
}

#[test]
fn concurrency_and_queue_are_limits() {
    let agent = Service::unregistered(
        "small",
        "127.0.0.1:1",
        &["--concurrency", "1", "--queue", "0", "--log", "info"],
    );
    let address = agent.address.clone();
    let job = json!({ "text": "x", "demand_ms": PATIENCE.as_millis() as u64, "timeout_ms": 2000 });
    let first = std::thread::spawn(move || try_call(&address, "work", job));
    until("the job", || agent.call("info", json!({})).expect("info")["in_flight"] == 1);
    let error = agent.call("work", json!({ "text": "x" })).expect_err("busy");
    assert_eq!(error["code"], -32010);
    let error = first.join().expect("no panic").expect("an answer").expect_err("too late");
    assert_eq!(error["code"], -32014);
}

#[test]
fn options_that_make_no_sense_are_refused_with_a_reason() {
    let cases: [(&[&str], &str); 16] = [
        (&["--name", "a b"], "expected 1 to 64 of A-Z a-z 0-9 . _ -"),
        (&["--listen", "0.0.0.0:0"], "name an address that they can reach with --advertise HOST"),
        (&["--listen", ":8600"], "all addresses of this machine are 0.0.0.0:8600"),
        (
            &["--advertise", "0.0.0.0"],
            "name the host or the address by which peers know this machine",
        ),
        (&["--registry", "https://x:1"], "write HOST:PORT without https://"),
        (&["--upstream", "https://x"], "https://... needs --upstream-ca FILE"),
        (
            &["--upstream", "http://x", "--upstream-ca", "ca.pem"],
            "--upstream-ca has no effect without --upstream https://...",
        ),
        (&["--provider", "https://x"], "https is not spoken here"),
        (&["--work", "exec"], "--work exec needs a command after --"),
        (&["--burn", "--", "cat"], "--burn has no effect with --work exec"),
        (&["--work", "stdio"], "--work stdio needs a command after --"),
        (&["--workers", "2", "--", "cat"], "--workers has no effect with --work exec"),
        (&["--work", "stdio", "--workers", "0", "--", "cat"], "0 is not in 1..=1024"),
        (
            &["--work", "stdio", "--concurrency", "unlimited", "--", "cat"],
            "--concurrency unlimited needs a number of --workers",
        ),
        (&["--policy", "random", "--signal", "probes"], "the policy random has no option --signal"),
        (
            &["--policy", "least_loaded", "--signal", "own"],
            "signal can't be own: expected one of probes, reports",
        ),
    ];
    for (args, expected) in cases {
        let (status, _, stderr) = output(&[&["agent", "--log", "off"], args].concat());
        assert_eq!(status.code(), Some(2), "{args:?}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn every_policy_delegates() {
    let registry = Service::registry(&[]);
    let _peer = Service::agent("peer", &registry.address, &["--demand", "0s"]);
    for args in [
        &["--policy", "random"][..],
        &["--policy", "round_robin"],
        &["--policy", "least_loaded", "--signal", "reports"],
        &["--policy", "weighted", "--cpu-weight", "1", "--latency-weight", "0"],
        &["--policy", "power_of_two", "--signal", "own", "--choices", "3"],
        &["--policy", "shortest_queue", "--signal", "own"],
    ] {
        let agent = Service::agent("entry", &registry.address, args);
        agent.await_peers(1);
        let result = agent.call("delegate", json!({ "text": "x" })).expect("a result");
        assert_eq!(result["delegated_to"]["agent"], "peer", "{args:?}");
        assert_eq!(result["peer_result"]["result"], "Processed: x");
    }
}

#[test]
fn two_processes_with_one_name_name_each_other_and_the_last_one_is_listed() {
    let registry = Service::registry(&[]);
    let args = ["--heartbeat", "200ms"];
    let first = Service::agent("twin", &registry.address, &args);
    let mut second = Service::agent("twin", &registry.address, &args);
    let listed = || json_at(&registry.address, "/services")["twin"]["url"].clone();
    assert_eq!(listed(), second.address);
    for line in [
        first.process.line("another process has this name"),
        second.process.line("another process asks for this name"),
        registry.process.line("registration refused"),
    ] {
        assert!([&first, &second].iter().all(|twin| line.contains(&twin.address)), "{line}");
        assert_eq!(listed(), second.address, "it is not taken back");
    }
    second.process.signal("TERM");
    assert!(second.process.end().success());
    until("the name is free", || listed() == first.address);
}

#[test]
fn a_ttl_below_the_heartbeat_is_kept_and_complained_of() {
    let registry = Service::registry(&["--ttl", "3s"]);
    let agent = Service::unregistered("a", &registry.address, &[]);
    let line = agent.process.line("shorter than three heartbeats");
    for part in ["ttl=3s", "heartbeat=10s", "period=1s", "--heartbeat of 1s", "--ttl of 30s"] {
        assert!(line.contains(part), "{line}");
    }
    let renewed = "mesh_registry_renewed_total 4\n";
    until(renewed, || get(&registry.address, "/metrics").1.contains(renewed));
    assert!(!get(&registry.address, "/metrics").1.contains("expired"));
}
