//! Both engines run the same scenarios and come to the same results, as far as the turmoil engine
//! can tell times apart.

use mesh_sim::engine::Run;
use mesh_sim::record::RunRecord;
use mesh_sim::scenario::{EngineKind, Scenario};

const BASE: &str = r#"
name = "agreement"
description = "both engines"
duration = "30s"
warm_up = "5s"
drain = "10s"

[registry]
ttl = "6s"
heartbeat = "2s"
refresh = "2s"
timeout = "500ms"

[[agents]]
name = "agent"
count = 5
cores = 2
concurrency = 4
queue = 16

[delegation]
connect_timeout = "200ms"

[network]
latency = "2ms"

[workload]
arrivals = "poisson"
rate = 50
demand = { kind = "exponential", mean = "25ms" }
deadline = "1s"
"#;

const POLICIES: [&str; 3] = ["random", "round_robin", "power_of_two"];

/// Times at which turmoil rounds up to its next tick, 1 ms each: the send, six legs (request, probe
/// and its answer, work and its answer, answer), and the end of the job.
const ROUNDED_MS: f64 = 8.0;

/// What the two engines made of one run.
struct Pair {
    policy: &'static str,
    event: RunRecord,
    turmoil: RunRecord,
}

fn run(fault: &str) -> Vec<Pair> {
    let text = format!("policies = {POLICIES:?}\n{BASE}\n{fault}");
    let scenario = Scenario::from_str(&text, "agreement.toml").unwrap_or_else(|e| panic!("{e}"));
    let record = |policy: usize, engine| {
        let policy = &scenario.policies[policy];
        let run = Run { scenario: &scenario, policy, seed: 42, trace: false };
        let record = run.execute(engine, &|_| ()).expect("it runs");
        assert_eq!(record.violations, [], "{engine:?} {}", policy.label);
        record
    };
    let pair = |(position, policy)| Pair {
        policy,
        event: record(position, EngineKind::Event),
        turmoil: record(position, EngineKind::Turmoil),
    };
    POLICIES.into_iter().enumerate().map(pair).collect()
}

impl Pair {
    /// Outcome counts differ by at most this many requests.
    fn same_outcomes(&self, tolerance: u64) {
        let counts = |run: &RunRecord| {
            let counts = run.requests;
            [counts.sent, counts.answered, counts.refused, counts.timed_out, counts.lost]
        };
        let (event, turmoil) = (counts(&self.event), counts(&self.turmoil));
        let near = event.iter().zip(turmoil).all(|(a, b)| a.abs_diff(b) <= tolerance);
        assert_eq!(event[0], turmoil[0], "both send the same requests");
        assert!(near, "{}: event {event:?}, turmoil {turmoil:?}", self.policy);
    }

    /// Turmoil's quantiles are later by what it rounds, give or take `slack` of the value: jobs
    /// that come a millisecond later meet other jobs.
    fn same_latencies(&self, slack: f64) {
        for quantile in [0.5, 0.9, 0.99] {
            let ms = |run: &RunRecord| run.latency.quantile_ns(quantile) as f64 / 1e6;
            let (event, turmoil) = (ms(&self.event), ms(&self.turmoil));
            let later = turmoil - event;
            let slack = slack * event;
            assert!(
                (-slack..=ROUNDED_MS + slack).contains(&later),
                "{} p{}: event {event} ms, turmoil {turmoil} ms",
                self.policy,
                quantile * 100.0,
            );
        }
    }
}

#[test]
fn without_faults() {
    for pair in run("") {
        pair.same_outcomes(0);
        pair.same_latencies(0.05);
    }
}

#[test]
fn slower_links_and_machines() {
    let faults = r#"
[[faults]]
kind = "add_latency"
at = "8s"
for = "6s"
between = ["agent-1..2", "agent-3..5"]
latency = "20ms"
[[faults]]
kind = "slow_down"
at = "18s"
for = "6s"
agents = "agent-2"
factor = 0.5
"#;
    for pair in run(faults) {
        pair.same_outcomes(0);
        pair.same_latencies(0.1);
    }
}

/// Which call takes the idle connection that is half dead, and which finds none and must connect,
/// hangs on single milliseconds; so a few requests in a hundred may end otherwise.
const FAULT_TOLERANCE: u64 = 30;

#[test]
fn partition() {
    let fault = r#"
[[faults]]
kind = "partition"
at = "10s"
for = "8s"
groups = [["agent-1..2"], ["registry", "agent-3..5"]]
"#;
    run(fault).iter().for_each(|pair| pair.same_outcomes(FAULT_TOLERANCE));
}

#[test]
fn crash() {
    let fault = r#"
[[faults]]
kind = "crash"
at = "10s"
for = "8s"
hosts = "agent-2"
"#;
    run(fault).iter().for_each(|pair| pair.same_outcomes(FAULT_TOLERANCE));
}

#[test]
fn registry_outage() {
    let fault = r#"
[[faults]]
kind = "crash"
at = "10s"
for = "8s"
hosts = "registry"
"#;
    for pair in run(fault) {
        pair.same_outcomes(0);
        pair.same_latencies(0.05);
    }
}

#[test]
fn hold() {
    let fault = r#"
[[faults]]
kind = "hold"
at = "10s"
for = "3s"
between = ["agent-1", "agent-2..5"]
"#;
    run(fault).iter().for_each(|pair| pair.same_outcomes(FAULT_TOLERANCE));
}
