//! Readers of the output that leave, and disks that are full: neither ends the work, or hides how
//! it ended.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, pipe};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::{Process, Service, get, http, mesh, output, until};

fn agents(registry: &str) -> [Service; 2] {
    let agents = ["a", "b"]
        .map(|name| Service::agent(name, registry, &["--refresh", "200ms", "--demand", "1ms"]));
    agents.iter().for_each(|agent| agent.await_peers(1));
    agents
}

/// A pipe whose reader has left.
fn left() -> Stdio {
    pipe().expect("a pipe").1.into()
}

/// A disk that is full.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full").into()
}

/// The exit code and standard error of `mesh` when it prints to `stdout`.
fn printing_to(stdout: Stdio, args: &[&str]) -> (Option<i32>, String) {
    let ended = mesh(args).stdout(stdout).output().expect("the binary");
    (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
}

#[test]
fn a_reader_that_leaves_ends_the_printing_and_nothing_else() {
    let registry = Service::registry(&[]);
    let _agents = agents(&registry.address);
    let orchestrate = ["orchestrate", "--registry", &registry.address];
    let with = |args: &[&'static str]| [&orchestrate[..], args].concat();
    let full_disk = "error: failed to write to standard output: No space left on device";
    for args in [
        with(&[]),
        with(&["--json"]),
        with(&["--watch"]),
        with(&["--repeat", "2"]),
        with(&["--repeat", "2", "--json"]),
        vec!["--help"],
        vec!["up", "--help"],
        vec!["--version"],
    ] {
        assert_eq!(printing_to(left(), &args), (Some(0), String::new()), "{args:?}");
        let (code, stderr) = printing_to(full(), &args);
        assert_eq!((code, stderr.starts_with(full_disk)), (Some(1), true), "{args:?}: {stderr}");
    }
    let wrong = ["orchestrate", "--registry", &registry.address, "--agent", "nobody"];
    assert_eq!(printing_to(left(), &wrong).0, Some(1));
    assert_eq!(mesh(&["--nonsense"]).stderr(full()).status().expect("it runs").code(), Some(2));
    assert_eq!(mesh(&wrong).stderr(left()).status().expect("it runs").code(), Some(1));
}

#[test]
fn a_mesh_serves_on_when_nobody_reads_where_it_is() {
    let args = ["up", "--agents", "2", "--listen", "127.0.0.1:0", "--demand", "1ms"];
    let mut command = mesh(&[&args[..], &["--refresh", "200ms"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mesh");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let mut stderr = child.stderr.take().expect("a pipe");
    let mut up = Process::from(child);
    let address = line.trim_end().rsplit("//").next().and_then(|url| url.split('/').next());
    let address = address.expect("an address");
    // By the time a job is done, it has printed more than the line that was read.
    until("a job", || output(&["orchestrate", "--registry", address]).0.success());
    up.signal("INT");
    assert_eq!(up.end().code(), Some(0));
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("text");
    assert!(!said.contains("panicked"), "{said}");
}

/// A registry that logs to `stderr`.
fn registry_logging_to(stderr: Stdio) -> Service {
    let address = crate::process::free_address();
    let mut command = mesh(&["registry", "--listen", &address, "--log", "debug"]);
    let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary");
    let process = Process::from(child);
    until("the registry", || std::net::TcpStream::connect(&address).is_ok());
    Service { process, address }
}

#[track_caller]
fn registers(registry: &Service, name: &str) {
    let body = json!({ "name": name, "url": "127.0.0.1:1" }).to_string();
    assert_eq!(http(&registry.address, "POST", "/register", &body).0, 200);
}

#[test]
fn a_log_that_goes_nowhere_ends_nothing() {
    let (unread, still) = pipe().expect("a pipe");
    let name = "x".repeat(56);
    for (log, lines) in [(left(), 5), (full(), 5), (still.into(), 800)] {
        let mut registry = registry_logging_to(log);
        for number in 0..lines {
            registers(&registry, &format!("{name}-{number}"));
        }
        assert_eq!(get(&registry.address, "/healthz").0, 200);
        registry.process.signal("TERM");
        assert_eq!(registry.process.end().code(), Some(0));
    }
    drop(unread);
}

#[test]
fn a_log_file_may_grow_no_further_than_the_limit_on_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let address = crate::process::free_address();
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_mesh");
    // A block of `ulimit -f` has 512 or 1,024 bytes.
    let script = format!("ulimit -f 1; exec {program} registry --listen {address} 2>log");
    shell.current_dir(directory.path()).args(["-c", &script]).process_group(0);
    let child = shell.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a shell");
    let mut registry = Service { process: Process::from(child), address };
    until("the registry", || std::net::TcpStream::connect(&registry.address).is_ok());
    (0..30).for_each(|number| registers(&registry, &format!("agent-{number}")));
    assert!(std::fs::metadata(log).expect("a log").len() <= 1024);
    registry.process.signal("TERM");
    assert_eq!(registry.process.end().code(), Some(0));
}

#[test]
fn a_job_that_failed_counts_with_its_whole_timeout() {
    let registry = Service::registry(&[]);
    let entry = Service::agent("entry", &registry.address, &["--refresh", "200ms"]);
    let broken = ["--refresh", "200ms", "--", "false"];
    let _broken = Service::agent("broken", &registry.address, &broken);
    entry.await_peers(1);
    let load = ["orchestrate", "--registry", &registry.address, "--agent", "entry"];
    let load = [&load[..], &["--repeat", "3", "--timeout", "45s"]].concat();
    let (status, stdout, stderr) = output(&[&load[..], &["--json"]].concat());
    assert_eq!((status.code(), stderr.as_str()), (Some(1), "error: 3 of 3 jobs failed\n"));
    let json: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&json["answered"], &json["sent"]), (&json!(0), &json!(3)));
    assert!(json["latency_ms"]["p50"].as_f64().expect("a figure") >= 45_000.0, "{json}");
    assert!(json["seconds"].as_f64().expect("a figure") < 45.0, "nobody waits for it: {json}");

    let (status, stdout, _) = output(&load);
    assert_eq!(status.code(), Some(1));
    assert!(stdout.contains("a failed job counts with its whole timeout of 45s\n"), "{stdout}");
}
