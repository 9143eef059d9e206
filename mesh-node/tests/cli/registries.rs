//! A mesh of two registries: either may die, and nobody is forgotten.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::clients::Clients;
use crate::process::{Process, Service, json_at, mesh, output, pause, until};

const LEASES: [&str; 2] = ["--ttl", "2s"];
const AGENTS: [&str; 6] = ["--heartbeat", "667ms", "--refresh", "333ms", "--probe-timeout", "5s"];

/// The names that a registry lists, and the incarnations under them.
fn listed(registry: &str) -> Vec<(String, u64)> {
    let list = json_at(registry, "/services");
    let agent = |(name, agent): (&String, &Value)| {
        (name.clone(), agent["incarnation"].as_u64().expect("an incarnation"))
    };
    list.as_object().expect("a list").iter().map(agent).collect()
}

/// The names of the agents that `mesh orchestrate` finds with these registries.
fn discovered(registries: &str) -> String {
    let args = ["orchestrate", "--registry", registries, "--text", "x"];
    let (status, out, err) = output(&args);
    assert!(status.success(), "{out}{err}");
    let line = out.lines().find_map(|line| line.strip_prefix("discovered")).expect("a line");
    line.trim().to_owned()
}

#[test]
fn either_of_two_registries_may_be_killed_and_start_again() {
    let mut registries = [Service::registry(&LEASES), Service::registry(&LEASES)];
    let addresses = [0, 1].map(|at: usize| registries[at].address.clone());
    let all = addresses.join(",");
    let agents = ["a", "b", "c"].map(|name| Service::agent(name, &all, &AGENTS));
    agents.iter().for_each(|agent| agent.await_peers(2));
    until("both list all", || addresses.iter().all(|registry| listed(registry).len() == 3));
    let before = listed(&addresses[0]);
    assert_eq!(before, listed(&addresses[1]), "one incarnation of each");

    for (at, dead) in addresses.iter().enumerate() {
        let clients = Clients::start(&agents, 5);
        clients.await_answers(20);
        registries[at].process.signal("KILL");
        registries[at].process.end();
        // More than two TTLs: the dead registry's lists are out of use long ago.
        pause(Duration::from_secs(5));
        agents.iter().for_each(|agent| agent.await_peers(2));
        assert_eq!(discovered(&all), "a, b, c");
        clients.await_answers(20);
        assert_eq!(clients.failed(), 0, "of {} calls", clients.answered());
        clients.end(&agents);
        // An agent that comes now is listed, and one that dies now leaves.
        let mut newcomer = Service::agent("d", &all, &AGENTS);
        agents.iter().for_each(|agent| agent.await_peers(3));
        newcomer.process.signal("KILL");
        newcomer.process.end();
        agents.iter().for_each(|agent| agent.await_peers(2));

        registries[at] = Service::start(&[&["registry", "--listen", dead][..], &LEASES].concat());
        until("it lists all agents again", || listed(dead).len() == 3);
    }
    assert_eq!(listed(&addresses[0]), before, "the restarts made no agent a new peer");
    assert_eq!(listed(&addresses[1]), before);
}

#[test]
fn addresses_of_registries_come_from_flags_environment_and_file() {
    let registries = [Service::registry(&[]), Service::registry(&[])];
    let [first, second] = [0, 1].map(|at: usize| registries[at].address.clone());
    let both = |name: &str| {
        until(name, || {
            [&first, &second].iter().all(|registry| listed(registry).iter().any(|l| l.0 == name))
        });
    };
    let agent = |name: &'static str| ["agent", "--listen", "127.0.0.1:0", "--name", name];

    // The same registry twice counts once.
    let flags = ["--registry", &first, "--registry", &format!("http://{second}/,{first}")];
    let _flags = Service::start(&[&agent("flags")[..], &flags].concat());
    both("flags");

    let mut command = mesh(&agent("environment"));
    command.env("MESH_REGISTRY", format!("{first},{second}"));
    let _environment = Service::from(Process::start(command));
    both("environment");

    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&file, format!("[agent]\nregistry = [\"{first}\", \"{second}\"]\n"))
        .expect("written");
    let path = file.path().to_str().expect("a path");
    let _file = Service::start(&[&["--config", path][..], &agent("file")].concat());
    both("file");

    let (status, out, err) = output(&["call", "file", "info", "--registry", &second]);
    assert!(status.success(), "{out}{err}");
    let many =
        (0..9).map(|port| format!("127.0.0.1:{}", 9000 + port)).collect::<Vec<_>>().join(",");
    for command in [&["agent"][..], &["orchestrate"], &["call", "x", "info"]] {
        let (status, _, err) = output(&[command, &["--registry", &many]].concat());
        assert_eq!(status.code(), Some(2), "{err}");
        assert!(err.contains("9 registries are too many"), "{err}");
    }
}

#[test]
fn up_joins_a_mesh_that_has_a_registry() {
    let other = Service::registry(&[]);
    let _agent = Service::agent("neighbour", &other.address, &[]);
    let args = ["up", "--agents", "2", "--listen", "127.0.0.1:0", "--join", &other.address];
    let up = Process::start(mesh(&args));
    up.line("Ctrl-C ends it");
    until("its agents are listed there", || listed(&other.address).len() == 3);
}

#[test]
fn when_no_registry_answers_the_error_says_so() {
    let nobody = crate::process::free_address();
    let registry = Service::registry(&[]);
    let (status, _, err) = output(&["orchestrate", "--registry", &format!("{nobody},{nobody}")]);
    assert!(!status.success() && err.contains("no registry answers"), "{err}");
    let both = format!("{nobody},{}", registry.address);
    let (status, _, err) = output(&["orchestrate", "--registry", &both]);
    let expected = format!("the registries at {nobody} and {} list no agents", registry.address);
    assert!(!status.success() && err.contains(&expected), "{err}");
}
