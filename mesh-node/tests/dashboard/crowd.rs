//! A thousand viewers of one registry, some of which never read.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::process::{Service, get, pause, raw, until};
use crate::viewer::Viewer;

const VIEWERS: usize = 1000;
/// Those of them that never read.
const SILENT: usize = 10;
/// So many agents tell so much at first that it does not fit into the buffers of a connection.
const TALKATIVE: usize = 1000;
/// The most memory that all this may take, in KiB: 16 MiB for the board, what each silent viewer has
/// not taken of its first update, which has less than 4 MiB, and 64 KiB for each viewer. What comes
/// later is shared.
const MOST_MEMORY_KIB: usize = (16 << 10) + SILENT * 4096 + VIEWERS * 64;

/// A viewer that reads when it is told to, and looks for one text.
struct CrowdViewer {
    stream: TcpStream,
    /// The end of what it has read.
    tail: String,
    has_seen: bool,
}

impl CrowdViewer {
    fn open(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let fields = format!("host: {address}\r\nconnection: close\r\n\r\n");
        let request = format!("GET /dashboard/events HTTP/1.1\r\n{fields}");
        stream.write_all(request.as_bytes()).expect("a request");
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, tail: String::new(), has_seen: false }
    }

    /// Reads what has come. False if the stream has ended.
    fn read(&mut self, text: &str) -> bool {
        let mut bytes = [0; 1 << 16];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => {
                    self.tail.push_str(&String::from_utf8_lossy(&bytes[..count]));
                    self.has_seen |= self.tail.contains(text);
                    let cut = self.tail.len().saturating_sub(text.len());
                    let cut = (cut..).find(|at| self.tail.is_char_boundary(*at)).unwrap_or(0);
                    self.tail.drain(..cut);
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// Posts bodies that must be taken, a hundred over each connection.
fn post_all(address: &str, path: &str, bodies: Vec<Value>) {
    for batch in bodies.chunks(100) {
        let mut requests = String::new();
        for (at, body) in batch.iter().enumerate() {
            let (body, is_last) = (body.to_string(), at + 1 == batch.len());
            let connection = if is_last { "close" } else { "keep-alive" };
            requests += &format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: {connection}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        let answers = raw(address, requests.as_bytes());
        assert_eq!(answers.matches("HTTP/1.1 200").count(), batch.len(), "{answers}");
    }
}

/// The value of a metric of the registry.
fn metric(address: &str, name: &str) -> u64 {
    let page = get(address, "/metrics").1;
    let line = page.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a number")
}

/// A line of the process's `status` that holds KiB: `VmRSS` is its memory, `VmHWM` the most so far.
fn memory_kib(service: &Service, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", service.process.id()));
    let status = status.expect("a process of Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_viewers_disturb_nobody() {
    // The sockets of this process, and those of the registry, which inherits the limit.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = Some(maximum.unwrap_or(u64::MAX).min(1 << 14));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("enough open files");
    let viewers = VIEWERS.to_string();
    let registry = Service::registry(&["--dashboard-viewers", &viewers, "--max-leases", "2000"]);
    let address = &*registry.address;
    let edges: Vec<_> = (0..40).map(|n| json!({ "to": format!("{n:0>64}"), "done": 1 })).collect();
    let before = memory_kib(&registry, "VmRSS");
    let talk = |number| {
        let (name, url) = (format!("t{number}"), "127.0.0.1:1");
        json!({ "name": name, "url": url, "telemetry": { "edges": edges } })
    };
    post_all(address, "/register", (0..TALKATIVE).map(talk).collect());
    let mut silent: Vec<CrowdViewer> = (0..SILENT).map(|_| CrowdViewer::open(address)).collect();
    until("the silent viewers", || metric(address, "mesh_dashboard_viewers") == SILENT as u64);
    let leave = |number| json!({ "name": format!("t{number}") });
    post_all(address, "/deregister", (0..TALKATIVE).map(leave).collect());
    // An agent here, and one at a registry that nobody looks at.
    let quiet = Service::registry(&[]);
    let _agents = [&registry, &quiet]
        .map(|registry| Service::agent("beats", &registry.address, &["--heartbeat", "50ms"]));
    let mut crowd: Vec<CrowdViewer> =
        (SILENT..VIEWERS).map(|_| CrowdViewer::open(address)).collect();
    until("all of them", || metric(address, "mesh_dashboard_viewers") == VIEWERS as u64);
    let beats = |address: &str| metric(address, "mesh_registry_renewed_total");
    let (here, there) = (beats(address), beats(&quiet.address));
    until("twenty heartbeats", || {
        crowd.iter_mut().for_each(|viewer| assert!(viewer.read("the-last"), "its view has ended"));
        beats(&quiet.address) >= there + 20
    });
    let (here, there) = (beats(address) - here, beats(&quiet.address) - there);
    assert!(2 * here >= there, "{here} heartbeats, and {there} where nobody looks");
    // The silent ones are furthest behind, so they make room for others, and nobody else does.
    let newcomers: Vec<Viewer> = (0..SILENT)
        .map(|_| {
            loop {
                let newcomer = Viewer::open(address, "");
                if newcomer.status() == 200 {
                    break newcomer;
                }
                pause(Duration::from_millis(50));
            }
        })
        .collect();
    post_all(address, "/register", vec![json!({ "name": "the-last", "url": "127.0.0.1:1" })]);
    until("all that read have seen the last one", || {
        for viewer in &mut crowd {
            assert!(viewer.read("the-last"), "its view has ended");
        }
        crowd.iter().all(|viewer| viewer.has_seen)
    });
    until("the silent ones are cut off", || silent.iter_mut().all(|viewer| !viewer.read("-")));
    assert_eq!(metric(address, "mesh_dashboard_viewers"), VIEWERS as u64);
    drop(newcomers);
    let took = memory_kib(&registry, "VmHWM").saturating_sub(before);
    assert!(took <= MOST_MEMORY_KIB, "{took} KiB, expected {MOST_MEMORY_KIB} at most");
}
