//! What goes wrong on real machines, on real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::process::{PATIENCE, Service, get, http, json_at, pause, try_call, try_http, until};

/// Resident memory of a process, in KiB.
fn resident(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process.id()));
    let status = status.expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
    line.split_whitespace().nth(1).expect("a figure").parse().expect("a number")
}

/// The sum of an agent's counters of a name.
fn counted(agent: &Service, name: &str) -> u64 {
    let (_, page) = get(&agent.address, "/metrics");
    let samples = page.lines().filter(|line| line.starts_with(name));
    samples
        .map(|line| line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a number"))
        .sum()
}

/// How calls of `delegate` ended, from several clients at once.
#[derive(Default)]
struct Ends {
    sent: AtomicUsize,
    answered: AtomicUsize,
    failed: AtomicUsize,
    strange: AtomicUsize,
}

/// Calls without a pause until told to stop.
fn keep_delegating(address: &str, idempotent: bool, ends: &Ends, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let params =
            json!({ "text": "x", "demand_ms": 20, "timeout_ms": 10_000, "idempotent": idempotent });
        ends.sent.fetch_add(1, Ordering::Relaxed);
        let end = match try_call(address, "delegate", params) {
            Ok(Ok(result)) if result["peer_result"]["result"] == "Processed: x" => &ends.answered,
            Ok(Err(error)) if is_expected(&error) => &ends.failed,
            other => {
                eprintln!("{other:?}");
                &ends.strange
            }
        };
        end.fetch_add(1, Ordering::Relaxed);
    }
}

/// The job may have been half done, or the retry budget is used up.
fn is_expected(error: &Value) -> bool {
    [-32015, -32019].contains(&error["code"].as_i64().expect("a code"))
}

#[test]
fn an_agent_killed_under_load_costs_no_request_its_end() {
    let registry = Service::registry(&["--ttl", "3s"]);
    let args = ["--heartbeat", "1s", "--refresh", "500ms"];
    let entry = Service::agent(
        "entry",
        &registry.address,
        &[&args[..], &["--policy", "round_robin"]].concat(),
    );
    let mut victim = Service::agent("victim", &registry.address, &args);
    let _survivor = Service::agent("survivor", &registry.address, &args);
    entry.await_peers(2);

    let (ends, stop) = (Arc::new(Ends::default()), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (ends, stop, address) = (ends.clone(), stop.clone(), entry.address.clone());
            std::thread::spawn(move || keep_delegating(&address, client % 2 == 0, &ends, &stop))
        })
        .collect();
    until("some answers", || ends.answered.load(Ordering::Relaxed) > 50);
    victim.process.signal("KILL");
    victim.process.end();
    // Its lease ends, and it is chosen no more.
    entry.await_peers(1);
    let (answered, failed) = (&ends.answered, &ends.failed);
    let (before, failed_before) =
        (answered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    until("more answers", || answered.load(Ordering::Relaxed) > before + 50);
    assert_eq!(failed.load(Ordering::Relaxed), failed_before, "the survivor serves them all");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("every call came back");
    }

    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
    assert_eq!(count(&ends.strange), 0);
    assert_eq!(count(&ends.sent), count(answered) + count(failed));
    // Each was ended once by the agent, too, and nothing is left behind.
    assert_eq!(counted(&entry, "mesh_delegations_total"), count(&ends.sent));
    assert_eq!(counted(&entry, "mesh_calls_open"), 0);
}

#[test]
fn a_mesh_goes_on_without_its_registry_and_heals() {
    let mut registry = Service::registry(&["--ttl", "2s"]);
    let address = registry.address.clone();
    let args = ["--heartbeat", "300ms", "--refresh", "300ms", "--demand", "0s"];
    let agents = ["a", "b", "c"].map(|name| Service::agent(name, &address, &args));
    agents.iter().for_each(|agent| agent.await_peers(2));
    registry.process.signal("KILL");
    registry.process.end();
    // Longer than the leases last: what is known stays known.
    pause(Duration::from_secs(4));
    for agent in &agents {
        let result = agent.call("delegate", json!({ "text": "x" })).expect("a result");
        assert_eq!(result["peer_result"]["result"], "Processed: x");
    }
    let _registry = Service::start(&["registry", "--listen", &address, "--ttl", "2s"]);
    until("all are listed again", || {
        json_at(&address, "/services").as_object().is_some_and(|list| list.len() == 3)
    });
    for agent in &agents {
        agent.await_peers(2);
        agent.call("delegate", json!({ "text": "x" })).expect("a result");
    }
}

/// Sends bytes and gives back what comes before the connection closes, or the patience ends.
fn raw(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The server may have refused before the last byte.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn hostile_requests_are_refused_at_a_bounded_cost() {
    let registry = Service::registry(&[]);
    let agent = Service::agent("target", &registry.address, &["--demand", "0s"]);
    agent.call("work", json!({ "text": "warm" })).expect("a result");
    let (registry_before, agent_before) = (resident(&registry), resident(&agent));
    for address in [&registry.address, &agent.address] {
        let path = if *address == agent.address { "/rpc" } else { "/register" };
        let head = |length: usize| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n"
            )
            .into_bytes()
        };
        let mut huge = head(100 << 20);
        huge.resize(huge.len() + (100 << 20), b' ');
        assert!(raw(address, &huge).starts_with("HTTP/1.1 413 "), "{path}");
        let deep = "[".repeat(500_000);
        let (status, answer) = http(address, "POST", path, &deep);
        assert!(status == 400 || answer.contains("-32600"), "{path}: {status} {answer}");
    }
    let batch = format!("[{}1]", "1,".repeat(200_000));
    let (_, answer) = http(&agent.address, "POST", "/rpc", &batch);
    assert!(answer.contains("max_batch"), "{answer}");
    for (service, before) in [(&registry, registry_before), (&agent, agent_before)] {
        let grown = resident(service).saturating_sub(before);
        // Far below the 100 MiB that were sent to each.
        assert!(grown < 16 << 10, "{} grew by {grown} KiB", service.address);
    }
}

/// As many connections as a server here takes, and as many again.
const FLOOD: usize = 3000;

/// A connection that asks for nothing, or is for ever about to.
fn idle(address: &str, begins: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    if begins {
        // A connection beyond the limit may be closed by then.
        let _ = stream.write_all(b"POST /rpc HTTP/1.1\r\nhost: ");
    }
    stream
}

#[test]
fn idle_and_slow_connections_are_bounded_and_give_way() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more files");
    let agent = Service::unregistered("target", "127.0.0.1:1", &["--demand", "0s"]);
    agent.call("work", json!({ "text": "warm" })).expect("a result");
    let before = resident(&agent);
    let flood: Vec<_> = (0..FLOOD).map(|number| idle(&agent.address, number % 2 == 0)).collect();
    // All places are taken: a further caller is told so, or finds the door shut.
    if let Ok((status, _)) = try_http(&agent.address, "GET", "/healthz", "") {
        assert_eq!(status, 503);
    }
    let grown = resident(&agent).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB for {FLOOD} idle connections");
    // Those that began a request are told that it takes too long; all are closed.
    let mut too_slow = 0;
    for mut stream in flood {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        too_slow += usize::from(answer.starts_with("HTTP/1.1 408 "));
    }
    assert!(
        (400..=512).contains(&too_slow),
        "{too_slow} of 1,024 places held by halves of requests"
    );
    agent.call("work", json!({ "text": "x" })).expect("a result");
}
