//! Scenarios in which all times are whole milliseconds, so that turmoil has nothing to round: every
//! step of every request is the same on both engines.
//!
//! The times are chosen so that no two things that depend on each other happen at one agent in the
//! same millisecond. Which of them comes first would be decided by the order of insertion in one
//! engine, and by the order of hosts in the other.

use std::collections::BTreeSet;

use crate::both_engines::{EnginePair, run};

/// All requests enter through the last agent.
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
connect_timeout = "201ms"
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

/// Checks that both engines agree to the nanosecond under some faults; returns how many requests
/// failed under the first fault, by policy.
fn check(faults: &str) -> Vec<u64> {
    let pairs = run(&format!("{POLICIES}\n{LAST_ENTRY}\n{faults}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.0));
    pairs.iter().map(|pair| pair.counts().failed()).collect()
}

/// Whether requests failed under the policies that send no probes: these policies met the fault.
fn blind_ones_fail(failed: &[u64]) -> bool {
    failed[..3].iter().all(|failed| *failed > 0)
}

#[test]
fn without_faults() {
    assert_eq!(check(""), [0; 7]);
}

/// When the latency falls, messages of one connection keep their order, but messages of different
/// connections overtake each other.
#[test]
fn slower_links() {
    let fault = r#"
[[faults]]
kind = "add_latency"
at = "8s"
for = "6s"
between = ["agent-1..2", "agent-3..5"]
latency = "26ms"
"#;
    assert_eq!(check(fault), [0; 7]);
}

/// Messages between sites overtake those within a site.
#[test]
fn two_sites() {
    let sites = r#"
[[sites]]
name = "near"
[[sites]]
name = "far"
round_trip = "2ms"
client = true

[[agents]]
name = "agent"
site = "far"
each = { "agent-1..2" = { site = "near", cores = 3 } }
"#;
    let base = LAST_ENTRY.replace("[[agents]]\nname = \"agent\"\n", sites);
    let between = "[[network.between]]\nsites = [\"near\", \"far\"]\none_way = \"29ms\"\n";
    let fault = "[[faults]]\nkind = \"crash\"\nat = \"10s\"\nfor = \"8s\"\nhosts = \"*t-2\"\n";
    let pairs = run(&format!("{POLICIES}\n{base}\n{between}\n{fault}"));
    pairs.iter().for_each(|pair| pair.same(0.0..=0.0));
}

/// At another speed the rest of a running job is not a whole number of milliseconds, and turmoil
/// rounds its end up.
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

/// The partition lasts longer than a lease, and the registry ends no lease.
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

/// The open connections of a process that is killed end after one latency, and new ones are refused
/// after a round trip.
#[test]
fn killed_processes() {
    for (host, at) in [("agent-2", "10s"), ("registry", "10s"), ("agent-5", "10008ms")] {
        let fault = format!(
            "[[faults]]\nkind = \"crash\"\nmode = \"process\"\nat = \"{at}\"\nfor = \"8s\"\n\
             hosts = \"{host}\"\n"
        );
        for pair in run(&format!("{POLICIES}\n{LAST_ENTRY}\n{fault}")) {
            // In turmoil connections end one tick before the process does, and a refusal takes two
            // more.
            pair.same(-1.0..=2.0);
            let counts = pair.counts();
            match host {
                // What it had begun is lost, and nothing else.
                "agent-2" => assert!(counts.failed() <= 2, "{counts:?}"),
                "registry" => assert_eq!(counts.failed(), 0),
                _ => assert!(counts.lost >= 160, "{counts:?}"),
            }
            assert_eq!(counts.timed_out, 0, "nobody waits in vain");
        }
    }
}

/// Which jobs end with an error is drawn in the order in which they begin.
#[test]
fn jobs_that_end_with_errors() {
    for errors in [
        r#"{ rate = 0.5, answer = "busy" }"#,
        r#"{ answer = "too_many_requests", after = "11ms", retry_after = "1501ms" }"#,
        r#"{ rate = 0.5, answer = "job_failed", after_job = true }"#,
        r#"{ rate = 0.5, answer = "lost", after = "13ms", after_job = true }"#,
    ] {
        let fault = format!(
            "[[faults]]\nkind = \"errors\"\nat = \"9s\"\nfor = \"7s\"\n\
             agents = \"agent-2..3\"\nerrors = {errors}\n"
        );
        let failed = check(&fault);
        // A job that was never begun goes to another peer, if the retry budget allows it.
        let is_kept = errors.contains("too_many_requests");
        assert_eq!(failed.iter().all(|failed| *failed == 0), is_kept, "{errors}: {failed:?}");
    }
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

/// Requests enter through every agent, so an entry agent crashes too. Clients lose connections, or
/// take another entry agent.
#[test]
fn crash_of_an_entry() {
    for failover in [false, true] {
        for pair in everyone("crash", "6s", "hosts = \"agent-2\"", failover) {
            pair.same(0.0..=0.0);
            // Over an idle connection nobody notices that the machine is silent.
            let counts = pair.counts();
            assert!(counts.timed_out > 0, "{counts:?}");
            assert!(if failover { counts.lost == 0 } else { counts.lost > 10 }, "{counts:?}");
        }
    }
}

#[test]
fn killed_process_of_an_entry() {
    for failover in [false, true] {
        let killed = "hosts = \"agent-2\"\nmode = \"process\"";
        for pair in everyone("crash", "6s", killed, failover) {
            // As for `killed_processes`. The way through another agent is later by a refusal.
            pair.same(-1.0..=2.0);
            let counts = pair.counts();
            assert_eq!(counts.timed_out, 0, "nobody waits in vain");
            // What it had begun is lost all the same.
            assert!(if failover { counts.failed() <= 2 } else { counts.lost > 10 }, "{counts:?}");
        }
    }
}

/// The pauses before retries are the same draws. They are no whole milliseconds, so each try of a
/// request is later in turmoil than the one before. There is only one peer, so that it matters to
/// nobody who comes first.
#[test]
fn clients_that_retry() {
    let retries = "{ max = 2, backoff = \"400ms\", retry_ratio = 1, retry_floor = 100 }";
    let client = format!("entry = \"agent-2\"\nclient = {{ retries = {retries} }}");
    let base = LAST_ENTRY.replace("entry = \"agent-5\"", &client).replace("count = 5", "count = 2");
    let killed = "[[faults]]\nkind = \"crash\"\nmode = \"process\"\nat = \"10s\"\nfor = \"4s\"\n\
                  hosts = \"agent-2\"\n";
    for pair in run(&format!("policies = [\"random\"]\n{base}\n{killed}")) {
        pair.same(-1.0..=10.0);
        let (retries, counts) = (pair.retries(), pair.counts());
        assert!(retries > 120 && counts.lost > 40 && counts.lost < 75, "{retries} {counts:?}");
    }
}

#[test]
fn partition_of_entries() {
    let groups = "groups = [[\"client\", \"agent-1..2\"], [\"registry\", \"agent-3..5\"]]";
    for failover in [false, true] {
        for pair in everyone("partition", "7s", groups, failover) {
            pair.same(0.0..=0.0);
            let counts = pair.counts();
            assert!(counts.timed_out > 0, "{counts:?}");
            assert!(if failover { counts.lost == 0 } else { counts.lost > 10 }, "{counts:?}");
        }
    }
}

/// The client learns that it can't connect when the deadline of its request is over.
#[test]
fn connecting_takes_until_the_deadline() {
    let crash = "[[faults]]\nkind = \"crash\"\nat = \"10s\"\nfor = \"6s\"\nhosts = \"agent-5\"\n";
    let base = LAST_ENTRY.replace("connect_timeout = \"201ms\"", "connect_timeout = \"997ms\"");
    for pair in run(&format!("policies = [\"random\"]\n{base}\n{crash}")) {
        pair.same(0.0..=0.0);
        assert_eq!(pair.counts().lost, 0, "{:?}", pair.counts());
        assert!(pair.counts().timed_out > 100, "{:?}", pair.counts());
    }
}

/// The registry takes names of agents that can't be host names.
#[test]
fn names_that_no_host_could_have() {
    let long = "x".repeat(64);
    let names =
        ["node.1", "01", "-a", "x-", "a.", &long, "10.0.0.1", "A", "a", "host-0", "clients"];
    let agents: String =
        names.iter().map(|name| format!("[[agents]]\nname = \"{name}\"\ncores = 4\n")).collect();
    let (head, rest) = LAST_ENTRY.split_at(LAST_ENTRY.find("[[agents]]").expect("agents"));
    let rest = &rest[rest.find("[delegation]").expect("a delegation")..];
    let text = format!("{head}{agents}{rest}").replace("agent-5", "clients");
    let fault = r#"
[[faults]]
kind = "hold"
at = "10s"
for = "2s"
between = ["*", ["10.0.0.1", "A"]]
"#;
    for pair in run(&format!("policies = [\"round_robin\"]\n{text}\n{fault}")) {
        pair.same(0.0..=0.0);
        assert_eq!(pair.agents(), BTreeSet::from(names.map(str::to_owned)));
    }
}

/// A call from an agent to itself takes no time, whatever the latency of the links.
#[test]
fn agents_that_choose_themselves() {
    let text = LAST_ENTRY.replace("[delegation]", "[delegation]\nto_self = true");
    // A policy that probes other agents too waits for the slowest answer.
    for (agents, blind_ms, asking_ms) in [("count = 3", 77.0, 83.0), ("count = 1", 77.0, 77.0)] {
        let text = text.replace("count = 5", agents).replace("entry = \"agent-5\"", "");
        let policies = r#"policies = ["round_robin", "weighted"]"#;
        for (pair, least_ms) in
            run(&format!("{policies}\n{text}")).iter().zip([blind_ms, asking_ms])
        {
            pair.same(0.0..=0.0);
            assert_eq!((pair.counts().failed(), pair.fastest_ms()), (0, least_ms));
        }
    }
}

/// No agent is left that could do the jobs, and no oracle takes that for a bug.
#[test]
fn an_agent_that_is_alone_and_may_not_choose_itself() {
    let text = LAST_ENTRY.replace("count = 5", "").replace("agent-5", "agent");
    for pair in run(&format!("policies = [\"random\", \"least_loaded\"]\n{text}")) {
        pair.same(0.0..=0.0);
        assert_eq!(pair.counts().refused, pair.counts().sent);
    }
}

/// Some of the jobs may take no time.
#[test]
fn jobs_that_take_no_time() {
    let demand = "{ kind = \"bimodal\", low = \"0s\", high = \"71ms\", high_ratio = 0.5 }";
    let text = LAST_ENTRY.replace("{ kind = \"constant\", value = \"71ms\" }", demand);
    for pair in run(&format!("policies = [\"round_robin\", \"random\"]\n{text}")) {
        pair.same(0.0..=0.0);
        assert_eq!((pair.counts().failed(), pair.fastest_ms()), (0, 4.0 * 3.0));
    }
}

fn everyone(kind: &str, lasts: &str, what: &str, failover: bool) -> Vec<EnginePair> {
    let fault = format!("[[faults]]\nkind = \"{kind}\"\nat = \"10s\"\nfor = \"{lasts}\"\n{what}\n");
    let entry = format!("entry = \"random\"\nclient = {{ failover = {failover} }}");
    let base = LAST_ENTRY.replace("entry = \"agent-5\"", &entry);
    run(&format!("policies = [\"round_robin\", \"random\"]\n{base}\n{fault}"))
}

/// An agent joins and leaves again while requests are under way.
#[test]
fn agents_that_join_and_leave() {
    let late = r#"
[[agents]]
name = "late"
cores = 4
concurrency = 4
queue = 16
cpu_window = "1009ms"
joins = "8s"
leaves = "15s"
"#;
    let pairs = run(&format!("policies = [\"round_robin\"]\n{LAST_ENTRY}\n{late}"));
    for pair in &pairs {
        // turmoil needs two ticks more to refuse a connection.
        pair.same(0.0..=2.0);
        assert!(pair.agents().contains("late"));
    }
}
