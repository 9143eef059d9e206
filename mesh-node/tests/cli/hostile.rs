//! Clients that mean no good, on real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::figures::{Figures, allow_many_files};
use crate::process::{PATIENCE, Process, Service, http, raw, try_http, until};

#[test]
fn hostile_requests_are_refused_at_a_bounded_cost() {
    let registry = Service::registry(&[]);
    let agent = Service::agent("target", &registry.address, &["--demand", "0s"]);
    agent.call("work", json!({ "text": "warm" })).expect("a result");
    let resident = |service| Figures::of(service).resident_kib;
    let (registry_before, agent_before) = (resident(&registry), resident(&agent));
    for address in [&registry.address, &agent.address] {
        let path = if *address == agent.address { "/rpc" } else { "/register" };
        let head = |length: usize| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
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

/// How many connections a flood has, if the machine grants a process so many files.
const FLOOD: usize = 10_000;
/// How many files this process and a server need for everything else.
const OTHER_FILES: usize = 500;
/// Held during a flood: few machines grant this process the files for two at once.
static FLOODS: Mutex<()> = Mutex::new(());

/// How many connections there will be.
fn flood_size() -> usize {
    let granted = allow_many_files().saturating_sub(OTHER_FILES);
    if granted < FLOOD {
        eprintln!("only {granted} connections instead of {FLOOD}: the limit of open files");
    }
    granted.min(FLOOD)
}

/// A connection that sends nothing, or the beginning of a request that never ends.
fn idle(address: &str, begins: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    if begins {
        // An error is ignored: a connection beyond the limit may be closed by now.
        let _ = stream.write_all(b"POST /rpc HTTP/1.1\r\nhost: ");
    }
    stream
}

#[test]
fn connections_beyond_the_limit_are_refused_and_slow_ones_give_way() {
    let _alone = FLOODS.lock().unwrap_or_else(PoisonError::into_inner);
    let size = flood_size();
    let agent = Service::unregistered("target", "127.0.0.1:1", &["--demand", "0s"]);
    agent.call("work", json!({ "text": "warm" })).expect("a result");
    let before = Figures::of(&agent).resident_kib;
    let flood: Vec<_> = (0..size).map(|number| idle(&agent.address, number % 2 == 0)).collect();
    // The server takes no more connections: one more is answered 503, or closed at once.
    if let Ok((status, _)) = try_http(&agent.address, "GET", "/healthz", "") {
        assert_eq!(status, 503);
    }
    let grown = Figures::of(&agent).resident_kib.saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB for {size} connections");
    // Connections with half a request are told that it takes too long; in the end all are closed.
    let mut too_slow = 0;
    for mut stream in flood {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        too_slow += usize::from(answer.starts_with("HTTP/1.1 408 "));
    }
    assert!(too_slow >= 400, "{too_slow} of 1,024 places held by halves of requests");
    agent.call("work", json!({ "text": "x" })).expect("a result");
}

/// A connection that has had one answer and is kept open.
fn kept(address: &str) -> TcpStream {
    let mut stream = idle(address, false);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    stream
}

/// The most memory of a server per kept connection, in KiB: two buffers of hyper of 8 KiB each, and
/// a few small things. Not all of it is touched at once, so a second flood takes more than the
/// first.
const PER_CONNECTION_KIB: u64 = 24;

#[test]
fn thousands_of_idle_connections_cost_little_and_hold_nobody_up() {
    let _alone = FLOODS.lock().unwrap_or_else(PoisonError::into_inner);
    let size = flood_size();
    let registry = Service::registry(&[]);
    let places = (size + OTHER_FILES).to_string();
    let args = ["--demand", "0s", "--connections", &places];
    let agent = Service::agent("target", &registry.address, &args);
    agent.call("work", json!({ "text": "warm" })).expect("a result");
    for service in [&agent, &registry] {
        let before = Figures::of(service);
        let grown = [0, 1].map(|_| {
            let flood: Vec<_> = (0..size).map(|_| kept(&service.address)).collect();
            let now = Figures::of(service);
            assert!(now.open_files >= size as u64, "{} files", now.open_files);
            // Others are served meanwhile.
            agent.call("work", json!({ "text": "x" })).expect("a result");
            assert_eq!(http(&registry.address, "GET", "/services", "").0, 200);
            drop(flood);
            until("their end", || Figures::of(service).open_files < before.open_files + 100);
            now.resident_kib.saturating_sub(before.resident_kib)
        });
        println!("{grown:?} KiB for {size} connections");
        for grown in grown {
            assert!(grown < PER_CONNECTION_KIB * size as u64, "{grown} KiB");
        }
        assert_eq!(Figures::of(service).threads, before.threads);
    }
}

#[test]
fn a_server_with_few_files_turns_callers_away_instead_of_letting_them_wait() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" registry --listen 127.0.0.1:0"]);
    command.arg(env!("CARGO_BIN_EXE_mesh"));
    let process = Process::start(command);
    let registry = Service::from(process);
    registry.process.line("connections=50 ");
    let flood: Vec<_> = (0..50).map(|_| kept(&registry.address)).collect();
    assert_eq!(try_http(&registry.address, "GET", "/healthz", "").expect("an answer").0, 503);
    drop(flood);
    until("a place", || {
        try_http(&registry.address, "GET", "/healthz", "").is_ok_and(|(status, _)| status == 200)
    });
}
