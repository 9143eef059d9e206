//! A mesh under mixed work for a while: what it takes of the machine must not grow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clients::Clients;
use crate::figures::Figures;
use crate::process::{Service, http, json_at, pause, raw, until};

/// How long the test lasts unless `MESH_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 20;
const LEASES: [&str; 2] = ["--ttl", "3s"];
/// The timeout of probes is long, so that no peer is given up because this machine is busy.
const AGENTS: [&str; 6] = ["--heartbeat", "1s", "--refresh", "500ms", "--probe-timeout", "5s"];
const POLICIES: [&[&str]; 6] = [
    &["--policy", "random"],
    &["--policy", "round_robin"],
    &["--policy", "least_loaded"],
    &["--policy", "weighted", "--signal", "reports"],
    &["--policy", "power_of_two", "--signal", "own"],
    &["--policy", "shortest_queue", "--signal", "probes"],
];

/// A registry, and one agent of each policy that stays. Others come and go.
struct Mesh {
    registry: Service,
    stayers: Vec<Service>,
}

impl Mesh {
    fn start() -> Self {
        let registry = Service::registry(&LEASES);
        let stayers = POLICIES.iter().enumerate().map(|(number, policy)| {
            Service::agent(&stayer(number), &registry.address, &[&AGENTS, *policy].concat())
        });
        let stayers: Vec<_> = stayers.collect();
        stayers.iter().for_each(|agent| agent.await_peers(stayers.len() - 1));
        Self { registry, stayers }
    }

    /// Waits until the registry and all agents know exactly those that stay.
    fn await_quiet(&self) {
        let expected: BTreeMap<_, _> =
            self.stayers.iter().enumerate().map(|(n, agent)| (stayer(n), &agent.address)).collect();
        until("the list of those that stayed", || {
            let list = json_at(&self.registry.address, "/services");
            let list = list.as_object().expect("a list").iter();
            list.map(|(name, agent)| (name.clone(), agent["url"].as_str()))
                .eq(expected.iter().map(|(name, address)| (name.clone(), Some(address.as_str()))))
        });
        self.stayers.iter().for_each(|agent| agent.await_peers(expected.len() - 1));
    }

    fn figures(&self) -> Vec<Figures> {
        [&self.registry].into_iter().chain(&self.stayers).map(Figures::of).collect()
    }
}

fn stayer(number: usize) -> String {
    format!("stayer-{number}")
}

/// A thread that repeats something until it is stopped.
struct Repeated {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Repeated {
    fn start(mut round: impl FnMut() + Send + 'static) -> Self {
        let (stop, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (is_over, count) = (stop.clone(), rounds.clone());
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                round();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, rounds, thread }
    }

    /// Ends the thread after its present round.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no round failed");
        assert!(self.rounds.load(Ordering::Relaxed) > 0, "it never came to anything");
    }
}

/// An agent that is killed, or told to stop, and comes back under its name.
fn comes_and_goes(name: &'static str, registry: &str, signal: &'static str) -> Repeated {
    let registry = registry.to_owned();
    Repeated::start(move || {
        let mut agent = Service::agent(name, &registry, &AGENTS);
        pause(Duration::from_millis(1500));
        agent.process.signal(signal);
        agent.process.end();
    })
}

/// Follows the list of agents with long polls, as a dashboard would.
fn follows(registry: &str) -> Repeated {
    let registry = registry.to_owned();
    let mut index = 0;
    Repeated::start(move || {
        let path = format!("/services?wait=1s&index={index}");
        let answer = raw(&registry, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
        let news = answer.lines().find_map(|line| line.strip_prefix("mesh-index: "));
        index = news.expect("an index").trim().parse::<u64>().expect("a number");
    })
}

/// Sends requests that are refused.
fn misbehaves(agent: &str, registry: &str) -> Repeated {
    let (agent, registry) = (agent.to_owned(), registry.to_owned());
    Repeated::start(move || {
        for (address, method, path, body, expected) in [
            (&agent, "POST", "/rpc", "{", 200),
            (&agent, "GET", "/rpc", "", 405),
            (&agent, "POST", "/", "{}", 404),
            (&registry, "POST", "/register", "[]", 400),
            (&registry, "POST", "/register", r#"{"name":"a b","url":"h:1"}"#, 400),
            (&registry, "POST", "/deregister", r#"{"name":"nobody"}"#, 404),
            (&registry, "GET", "/services?wait=soon&index=1", "", 400),
        ] {
            let (status, answer) = http(address, method, path, body);
            assert_eq!(status, expected, "{method} {path} {body}: {answer}");
        }
        for (request, expected) in [
            ("POST /rpc HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n", "HTTP/1.1 413 "),
            (
                "POST /rpc HTTP/1.1\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n",
                "HTTP/1.1 415 ",
            ),
            ("\u{16}\u{3}\u{1} no HTTP\r\n\r\n", "HTTP/1.1 400 "),
        ] {
            let answer = raw(&agent, request.as_bytes());
            assert!(answer.starts_with(expected), "{request}: {answer}");
        }
    })
}

/// Checks what may have grown since the first quarter of the soak: an allocator's slack, and
/// connections that happened to be open. A leak would show in every one of thousands of requests.
fn check_growth(before: Figures, after: Figures) {
    let growth = format!("{before:?}, then {after:?}");
    assert!(after.resident_kib <= before.resident_kib * 9 / 8 + 1024, "memory: {growth}");
    assert!(after.open_files <= before.open_files + 32, "files: {growth}");
    assert_eq!(after.threads, before.threads, "threads: {growth}");
}

#[test]
fn a_soak_leaves_nothing_behind() {
    let seconds = std::env::var("MESH_SOAK_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("MESH_SOAK_SECONDS"));
    let length = Duration::from_secs(seconds);
    let mesh = Mesh::start();
    let others = [
        comes_and_goes("killed", &mesh.registry.address, "KILL"),
        comes_and_goes("stopped", &mesh.registry.address, "TERM"),
        follows(&mesh.registry.address),
        misbehaves(&mesh.stayers[0].address, &mesh.registry.address),
    ];
    let clients = Clients::start(&mesh.stayers, 5);
    pause(length / 4);
    let before = mesh.figures();
    pause(length * 3 / 4);
    let after = mesh.figures();
    others.into_iter().for_each(Repeated::end);
    for (before, after) in before.into_iter().zip(after) {
        println!("{before:?}\n{after:?}");
        check_growth(before, after);
    }
    mesh.await_quiet();
    let failed = clients.failed();
    clients.await_answers(20);
    assert_eq!(clients.failed(), failed, "nobody is away any more");
    clients.end(&mesh.stayers);
}
