//! What a peer that fails may cost at most: on both engines, under every policy, with the default
//! settings of agents and registry.

use super::*;

/// 1,000 jobs at 25/s after the warm-up, all through agent-1.
const SCENARIO: &str = r#"
name = "health"
description = "x"
duration = "50s"
warm_up = "10s"
drain = "5s"

[workload]
arrivals = "constant"
rate = 25
demand = { kind = "constant", value = "20ms" }
entry = "agent-1"
deadline = "5s"
"#;

const POLICIES: [&str; 10] = [
    r#""random""#,
    r#""round_robin""#,
    r#""least_loaded""#,
    r#"{ name = "least_loaded", signal = "reports" }"#,
    r#""weighted""#,
    r#"{ name = "weighted", signal = "reports" }"#,
    r#""power_of_two""#,
    r#"{ name = "power_of_two", signal = "own" }"#,
    r#""shortest_queue""#,
    r#"{ name = "shortest_queue", signal = "own" }"#,
];

/// Checks that no policy on any engine loses more than `most` of the 1,000 jobs if one of so many
/// peers has a fault from the end of the warm-up on.
fn costs_at_most(most: u64, peers: u32, fault: &str) {
    let agents = format!("[[agents]]\nname = \"agent\"\ncount = {}\n", peers + 1);
    let text = format!("{SCENARIO}\n{agents}\n[[faults]]\nat = \"10s\"\n{fault}\n");
    for policy in POLICIES {
        for engine in [EngineKind::Event, EngineKind::Turmoil] {
            let ran = run_on(engine, policy, &text, "");
            assert_eq!(ran.record.requests.sent, 1_000);
            let failed = ran.record.requests.failed();
            assert!(failed <= most, "{engine:?} {policy}: {failed} {:?}", ran.record.failures);
            let over = ran.events.iter().filter(|event| event["event"] == "passed_over");
            let over: Vec<_> = over.map(|event| &event["peer"]).collect();
            // By reports that are all alike, another peer may get all jobs.
            let meets_it = !over.is_empty() || policy.contains("reports");
            assert!(meets_it, "{engine:?} {policy}: it never tries the peer");
            assert!(over.iter().all(|peer| **peer == "agent-2"), "{engine:?} {policy}: {over:?}");
        }
    }
}

#[test]
fn a_killed_process_costs_less_than_one_percent() {
    costs_at_most(9, 3, "kind = \"crash\"\nmode = \"process\"\nhosts = \"agent-2\"");
}

#[test]
fn a_peer_that_can_begin_no_job_costs_nothing() {
    for more in ["", ", retry_after = \"2s\""] {
        let errors = format!("errors = {{ answer = \"too_many_requests\"{more} }}");
        costs_at_most(0, 5, &format!("kind = \"errors\"\nagents = \"agent-2\"\n{errors}"));
    }
}

#[test]
fn a_peer_that_fails_its_jobs_at_once_costs_less_than_two_percent() {
    for answer in ["job_failed", "lost"] {
        let errors = format!("errors = {{ answer = \"{answer}\" }}");
        costs_at_most(19, 5, &format!("kind = \"errors\"\nagents = \"agent-2\"\n{errors}"));
    }
}

/// The first job waits for the connection or the probe, and so does one job after each penalty.
#[test]
fn a_silent_machine_costs_what_was_under_way_and_three_waits() {
    let crash = "kind = \"crash\"\nmode = \"machine\"\nhosts = \"agent-2\"";
    costs_at_most(9, 3, crash);
}
