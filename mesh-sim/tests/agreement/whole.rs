//! Scenarios in which all times are whole milliseconds, so that turmoil has nothing to round: what
//! the two engines make of each request is the same in every detail.
//!
//! The times are chosen so that no two things that matter to each other happen at one agent in the
//! same millisecond. Which of the two comes first would be a matter of insertion in one engine and
//! of the order of hosts in the other.

use crate::pair::{Pair, run};

/// All requests enter through the last agent. A connection is open one tick later in turmoil if
/// the host that opens it has its turn before the other; the last agent never has.
const LAST_ENTRY: &str = r#"
name = "agreement"
description = "whole milliseconds"
duration = "25s"
warm_up = "5s"
drain = "5s"

[registry]
ttl = "6s"
heartbeat = "2s"
refresh = "1900ms"
timeout = "503ms"

[[agents]]
name = "agent"
count = 5
cores = 4
concurrency = 4
queue = 16
cpu_window = "1009ms"

[delegation]
connect_timeout = "211ms"
probe_timeout = "157ms"

[network]
latency = "3ms"

[workload]
arrivals = "constant"
rate = 20
demand = { kind = "constant", value = "71ms" }
deadline = "997ms"
entry = "agent-5"
"#;

const POLICIES: &str = r#"policies = [
    "round_robin",
    "random",
    { name = "power_of_two", signal = "own", label = "own_counters" },
    "power_of_two",
    "least_loaded",
    "weighted",
    "shortest_queue",
]"#;

/// Agrees to the nanosecond under some faults; gives back how many requests failed under the first,
/// by policy.
fn check(faults: &str) -> Vec<u64> {
    let pairs = run(&format!("{POLICIES}\n{LAST_ENTRY}\n{faults}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.0));
    pairs.iter().map(|pair| pair.counts().failed()).collect()
}

/// Whether requests of the policies that go by no probes failed: they met the fault.
fn blind_ones_fail(failed: &[u64]) -> bool {
    failed[..3].iter().all(|failed| *failed > 0)
}

#[test]
fn without_faults() {
    assert_eq!(check(""), [0; 7]);
}

/// The load pauses while the latency falls: messages of a way keep their order here, those of two
/// connections overtake each other there.
#[test]
fn slower_links() {
    let fault = r#"
[[workload.steps]]
at = "13500ms"
rate = 0
[[workload.steps]]
at = "14200ms"
rate = 20
[[faults]]
kind = "add_latency"
at = "8s"
for = "6s"
between = ["agent-1..2", "agent-3..5"]
latency = "26ms"
"#;
    assert_eq!(check(fault), [0; 7]);
}

/// At another speed, what is left of a running job is no whole number of milliseconds; its end
/// rounds up.
#[test]
fn slower_machines() {
    let faults = r#"
[[faults]]
kind = "slow_down"
at = "8s"
for = "6s"
agents = "agent-2"
factor = 0.5
[[faults]]
kind = "background_load"
at = "12s"
for = "6s"
agents = "agent-4"
load = 0.75
"#;
    let pairs = run(&format!("{POLICIES}\n{LAST_ENTRY}\n{faults}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.999_999));
}

/// For longer than a lease lasts: the registry gives up nobody.
#[test]
fn a_registry_that_nobody_reaches() {
    let fault = r#"
[[faults]]
kind = "partition"
at = "8s"
for = "9s"
groups = ["registry", "agent-1..5"]
"#;
    assert_eq!(check(fault), [0; 7]);
}

#[test]
fn partition() {
    let fault = r#"
[[faults]]
kind = "partition"
at = "9s"
for = "7700ms"
groups = [["agent-1..2"], ["registry", "client", "agent-3..5"]]
"#;
    assert!(blind_ones_fail(&check(fault)));
}

#[test]
fn partition_of_one_way() {
    let fault = r#"
[[faults]]
kind = "partition"
at = "9s"
for = "7700ms"
one_way = true
groups = [["agent-1..2"], ["registry", "client", "agent-3..5"]]
"#;
    assert!(blind_ones_fail(&check(fault)));
}

#[test]
fn crash_of_an_agent() {
    let fault = r#"
[[faults]]
kind = "crash"
at = "10s"
for = "8s"
hosts = "agent-2"
"#;
    assert!(blind_ones_fail(&check(fault)));
}

#[test]
fn crash_of_the_registry() {
    let fault = r#"
[[faults]]
kind = "crash"
at = "10s"
for = "8s"
hosts = "registry"
"#;
    assert_eq!(check(fault), [0; 7]);
}

#[test]
fn hold() {
    let fault = r#"
[[faults]]
kind = "hold"
at = "10s"
for = "3s"
between = ["agent-1..2", "agent-3..5"]
"#;
    assert!(blind_ones_fail(&check(fault)));
}

/// Requests enter everywhere, so the entries are hit as well: clients lose connections. The one
/// call between agents that a request takes to its end may open a connection, which may cost a tick.
#[test]
fn crash_of_an_entry() {
    for pair in everyone("crash", "hosts = \"agent-2\"") {
        pair.same(0.0..=1.0);
        assert!(pair.counts().lost > 10 && pair.counts().timed_out > 0, "{:?}", pair.counts());
    }
}

#[test]
fn partition_of_entries() {
    let groups = "groups = [[\"client\", \"agent-1..2\"], [\"registry\", \"agent-3..5\"]]";
    for pair in everyone("partition", groups) {
        pair.same(0.0..=1.0);
        assert!(pair.counts().lost > 10 && pair.counts().timed_out > 0, "{:?}", pair.counts());
    }
}

/// The client hears that it can't connect at the end of its request's time.
#[test]
fn connecting_takes_until_the_deadline() {
    let crash = "[[faults]]\nkind = \"crash\"\nat = \"10s\"\nfor = \"6s\"\nhosts = \"agent-5\"\n";
    let base = LAST_ENTRY.replace("connect_timeout = \"211ms\"", "connect_timeout = \"997ms\"");
    for pair in run(&format!("policies = [\"random\"]\n{base}\n{crash}")) {
        pair.same(0.0..=0.0);
        assert_eq!(pair.counts().lost, 0, "{:?}", pair.counts());
        assert!(pair.counts().timed_out > 100, "{:?}", pair.counts());
    }
}

fn everyone(kind: &str, what: &str) -> Vec<Pair> {
    let fault = format!("[[faults]]\nkind = \"{kind}\"\nat = \"10s\"\nfor = \"6s\"\n{what}\n");
    let base = LAST_ENTRY.replace("entry = \"agent-5\"", "entry = \"random\"");
    run(&format!("policies = [\"round_robin\", \"random\"]\n{base}\n{fault}"))
}
