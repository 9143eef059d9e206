//! What goes wrong on real machines, on real sockets.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::clients::Clients;
use crate::figures::counted;
use crate::process::{Service, json_at, pause, until};

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

    let clients = Clients::start([&entry], 20);
    clients.await_answers(50);
    victim.process.signal("KILL");
    victim.process.end();
    // Once its lease has ended, it is not chosen any more.
    entry.await_peers(1);
    let failed_before = clients.failed();
    clients.await_answers(50);
    assert_eq!(clients.failed(), failed_before, "the survivor serves them all");
    clients.end([&entry]);
}

#[test]
fn peers_that_can_do_no_job_cost_none_whatever_the_policy() {
    let registry = Service::registry(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("worker");
    fs::copy("/bin/cat", &program).expect("a program");
    let program = program.to_str().expect("a path");
    let mut dead = Service::agent("dead", &registry.address, &[]);
    let _broken = Service::agent("broken", &registry.address, &["--", program]);
    let _good = ["good-1", "good-2"]
        .map(|name| Service::agent(name, &registry.address, &["--demand", "1ms"]));
    let policies: [&[&str]; 6] = [
        &["--policy", "random"],
        &["--policy", "round_robin"],
        &["--policy", "least_loaded"],
        &["--policy", "weighted", "--signal", "reports"],
        &["--policy", "power_of_two", "--signal", "own"],
        &["--policy", "shortest_queue"],
    ];
    let entries = policies.map(|policy| {
        let name = policy[1].replace('_', "-");
        Service::agent(&name, &registry.address, &[policy, &["--demand", "1ms"]].concat())
    });
    entries.iter().for_each(|entry| entry.await_peers(9));
    // The port of `dead` refuses while its lease lives on; the program of `broken` is gone.
    dead.process.signal("KILL");
    dead.process.end();
    fs::remove_file(program).expect("it was there");

    let clients = Clients::start(&entries, 1);
    clients.await_answers(60);
    assert_eq!(clients.failed(), 0, "of {} calls", clients.answered());
    clients.end(&entries);
    let passed_over = entries.iter().map(|entry| counted(entry, "mesh_passed_over_total"));
    assert!(passed_over.sum::<u64>() > 0);
}

/// How long the registry is away, and the settings of registry and agents. An outage lasts twice as
/// long as a lease.
struct Outage {
    length: Duration,
    registry: &'static [&'static str],
    agents: &'static [&'static str],
}

impl Outage {
    /// A minute with the default settings if `MESH_FULL_OUTAGE` is set; otherwise a fifteenth of
    /// all times.
    fn choose() -> Self {
        if std::env::var_os("MESH_FULL_OUTAGE").is_some() {
            return Self { length: Duration::from_secs(60), registry: &[], agents: &[] };
        }
        Self {
            length: Duration::from_secs(4),
            registry: &["--ttl", "2s"],
            agents: &["--heartbeat", "667ms", "--refresh", "333ms"],
        }
    }
}

#[test]
fn a_paused_registry_forgets_nobody() {
    let registry = Service::registry(&["--ttl", "2s"]);
    let args = ["--heartbeat", "667ms", "--refresh", "333ms", "--probe-timeout", "5s"];
    let agents = ["a", "b", "c"].map(|name| Service::agent(name, &registry.address, &args));
    agents.iter().for_each(|agent| agent.await_peers(2));
    let clients = Clients::start(&agents, 5);
    clients.await_answers(20);

    registry.process.signal("STOP");
    // More than two TTLs.
    pause(Duration::from_secs(5));
    registry.process.signal("CONT");
    let list = json_at(&registry.address, "/services");
    assert_eq!(list.as_object().map(|list| list.len()), Some(3), "{list}");
    registry.process.line("paused or starved");
    clients.await_answers(50);
    assert_eq!(clients.failed(), 0, "of {} calls", clients.answered());
    clients.end(&agents);
}

#[test]
fn a_mesh_goes_on_without_its_registry_and_heals() {
    let Outage { length, registry: registry_args, agents: agent_args } = Outage::choose();
    let mut registry = Service::registry(registry_args);
    let address = registry.address.clone();
    // A long probe timeout, so that no peer is given up because this machine is busy.
    let agent_args = [agent_args, &["--probe-timeout", "5s"]].concat();
    let agents = ["a", "b", "c"].map(|name| Service::agent(name, &address, &agent_args));
    agents.iter().for_each(|agent| agent.await_peers(2));
    let clients = Clients::start(&agents, 5);
    clients.await_answers(20);

    registry.process.signal("KILL");
    registry.process.end();
    pause(length);
    // The leases have ended meanwhile, but what the agents know stays known and works.
    clients.await_answers(20);
    agents.iter().for_each(|agent| agent.await_peers(2));
    let newcomer = Service::unregistered("d", &address, &agent_args);
    newcomer.process.line("the registry does not answer");
    assert_eq!(
        newcomer.call("delegate", json!({ "text": "x" })).expect_err("none")["code"],
        -32011
    );

    let at_its_place = [&["registry", "--listen", &address], registry_args].concat();
    let _registry = Service::start(&at_its_place);
    until("all are listed", || {
        json_at(&address, "/services").as_object().is_some_and(|list| list.len() == 4)
    });
    agents.iter().chain([&newcomer]).for_each(|agent| agent.await_peers(3));
    clients.await_answers(20);
    assert_eq!(clients.failed(), 0, "of {} calls", clients.answered());
    println!("{} calls in all, none failed", clients.answered());
    clients.end(&agents);
}
