//! The same scenario and seed give the same bytes, in another process and another environment.
//!
//! If this fails, the seeds that other tests and reports name mean nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A short scenario with every way in which time and chance enter a run: retries, probes, own
/// counters, lost messages, crashes, jobs that fail, a provider at its limits, a stalled link and a
/// busy machine.
const SCENARIO: &str = r#"
name = "determinism"
description = "A bit of everything"
duration = "8s"
drain = "4s"

[registry]
ttl = "3s"
heartbeat = "1s"
refresh = "1s"

[[agents]]
name = "agent"
count = 5
cores = 2
queue = 4

[[providers]]
name = "model"
agents = "agent-1..3"
requests_per_minute = 1_500
concurrency = 5

[delegation]
attempt_timeout = "300ms"
connect_timeout = "100ms"

[workload]
arrivals = "poisson"
rate = 60
demand = { kind = "lognormal", median = "60ms", sigma = 1.0 }
deadline = "1s"
idempotent = true

[[faults]]
kind = "partition"
at = "2s"
for = "1s"
groups = [["agent-1"], ["registry", "agent-2..5"]]

[[faults]]
kind = "crash"
at = "3s"
for = "1s"
hosts = "agent-3"

[[faults]]
kind = "crash"
mode = "process"
at = "4500ms"
for = "1s"
hosts = ["agent-4", "registry"]

[[faults]]
kind = "errors"
every = "2s"
repair = "1s"
agents = "agent-1..2"
errors = { rate = 0.5, answer = "too_many_requests", retry_after = "200ms" }

[[faults]]
kind = "hold"
at = "5s"
for = "1s"
between = ["agent-2", "agent-4..5"]

[[faults]]
kind = "background_load"
at = "6s"
for = "1s"
agents = "agent-5"
load = 0.5

[[policies]]
name = "random"

[[policies]]
name = "least_loaded"

[[policies]]
name = "power_of_two"
label = "p2c_own"
signal = "own"
"#;

/// Runs the scenario in a process of its own; the content of every result file, by name.
fn run(dir: &Path, seed: &str, prepare: impl FnOnce(Command) -> Command) -> Files {
    let (file, out) = (dir.join("determinism.toml"), dir.join("out"));
    fs::create_dir_all(dir).unwrap();
    fs::write(&file, SCENARIO).unwrap();
    let mut command = prepare(Command::new(env!("CARGO_BIN_EXE_mesh-sim")));
    command.arg(&file).args(["--seed", seed, "--trace", "--spans", "--out"]).arg(&out);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap());
    let file = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

type Files = BTreeMap<String, Vec<u8>>;

/// The command on one CPU, if the system has `taskset`.
fn on_one_cpu(command: Command) -> Command {
    let program = command.get_program().to_owned();
    let has_taskset = Command::new("taskset").args(["-c", "0", "true"]).output();
    if !has_taskset.is_ok_and(|output| output.status.success()) {
        return command;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(program);
    pinned
}

#[test]
fn two_processes_write_the_same_bytes() {
    same_bytes("turmoil");
}

#[test]
fn two_processes_of_the_event_engine_write_the_same_bytes() {
    same_bytes("event");
}

fn same_bytes(engine: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there/of/another/length"));
    let first = run(&here, "42", |mut command| {
        command.current_dir(dir.path()).env("LANG", "C").env("TZ", "UTC");
        command.args(["--engine", engine]);
        command
    });
    let second = run(&there, "42", |command| {
        let mut command = on_one_cpu(command);
        command.current_dir(&there).env("LANG", "de_DE.UTF-8").env("TZ", "Asia/Tokyo");
        command.env("HOME", &there).env("RUST_BACKTRACE", "0");
        command.args(["--engine", engine]);
        command
    });
    assert!(first.contains_key("events.jsonl") && first.contains_key("report.html"));
    check_traces(&first);
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, content) in &first {
        assert!(!content.is_empty(), "{name} is empty");
        let differs = content.iter().zip(&second[name]).position(|(a, b)| a != b);
        assert!(*content == second[name], "{name} differs from byte {differs:?} on");
    }
}

/// Others' types read the traces: each line as the body of a `POST /v1/traces`, and the document of
/// all.
fn check_traces(files: &Files) {
    const EPOCH: u64 = 1_577_836_800_000_000_000;
    let lines = std::str::from_utf8(&files["traces.jsonl"]).unwrap();
    let mut traces = BTreeSet::new();
    let (mut spans, mut failed) = (0, 0);
    for line in lines.lines() {
        let of_line = spans_of(line);
        spans += of_line.len();
        let ids: BTreeSet<_> = of_line.iter().map(|span| span.trace_id.clone()).collect();
        assert_eq!(ids.len(), 1, "a line is a trace");
        assert!(traces.insert(ids.into_iter().next()), "a trace is a line");
        let roots: Vec<_> = of_line.iter().filter(|span| span.parent_span_id.is_empty()).collect();
        assert_eq!((roots.len(), roots[0].kind()), (1, SpanKind::Client), "{line}");
        failed += usize::from(roots[0].status.is_some());
        for span in &of_line {
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            assert!(EPOCH <= span.start_time_unix_nano, "{span:?}");
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
            assert!(span.end_time_unix_nano < EPOCH + 60_000_000_000, "{span:?}");
        }
    }
    assert!(failed > 0 && traces.len() > failed, "{failed} of {}", traces.len());
    assert_eq!(spans_of(std::str::from_utf8(&files["traces.json"]).unwrap()).len(), spans);
}

fn spans_of(document: &str) -> Vec<Span> {
    let request: ExportTraceServiceRequest = serde_json::from_str(document).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// A report names a command that replays one policy alone. That must repeat what the policy did
/// beside the others.
#[test]
fn a_policy_alone_runs_as_in_company() {
    let dir = tempfile::tempdir().unwrap();
    let together = run(&dir.path().join("together"), "42", |command| command);
    let together = String::from_utf8(together["events.jsonl"].clone()).unwrap();
    for policy in ["random", "least_loaded", "p2c_own"] {
        let alone = run(&dir.path().join(policy), "42", |mut command| {
            command.args(["--policy", policy]);
            command
        });
        let its_own = format!("{{\"policy\":\"{policy}\",");
        let lines = together.lines().filter(|line| line.starts_with(&its_own));
        let alone = String::from_utf8(alone["events.jsonl"].clone()).unwrap();
        let differs = lines.clone().zip(alone.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{policy}");
        assert_eq!(lines.count(), alone.lines().count(), "{policy}");
    }
}

#[test]
fn another_seed_is_another_run() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(&dir.path().join("a"), "42", |command| command);
    let second = run(&dir.path().join("b"), "43", |command| command);
    for name in ["events.jsonl", "timeline.csv", "random.hgrm", "summary.json"] {
        assert_ne!(first[name], second[name], "{name}");
    }
}
