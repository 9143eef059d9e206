//! Policies that know their peers by their own calls: what weights, expected work and affinity are
//! good for, in the event engine.

use super::*;

/// Ten agents of which the first delegates all requests to the others, at 85 % of their capacity.
const DELEGATED: &str = r#"
name = "own-counters"
description = "x"
duration = "120s"
warm_up = "10s"
drain = "0s"

[registry]
ttl = "30s"
heartbeat = "10s"
refresh = "5s"
"#;

/// The mean latency of all requests in ms, answered or not, under a policy.
fn mean_ms(policy: &str, rest: &str) -> f64 {
    let ran = run_on(EngineKind::Event, policy, DELEGATED, rest);
    ran.record.latency.mean_ns() as f64 / 1e6
}

/// Eight peers of which four are three times as fast as the others: the shorter of two queues
/// wastes them.
#[test]
fn weights_make_use_of_faster_peers() {
    let rest = r#"
[[agents]]
name = "gateway"

[[agents]]
name = "slow"
count = 4
skills = ["work"]

[[agents]]
name = "fast"
count = 4
speed = 3
weight = 3
skills = ["work"]

[workload]
arrivals = "poisson"
rate = 64
entry = "gateway"
deadline = "10s"

[[workload.jobs]]
name = "only"
skill = "work"
demand = { kind = "exponential", mean = "100ms" }
"#;
    let mean = |policy: &str| mean_ms(policy, rest);
    // At 40 % load: at a high one, who looks at all peers finds the only idle one anyway.
    for policy in ["random", "power_of_two", "least_request"] {
        let signal = if policy == "power_of_two" { ", signal = \"own\"" } else { "" };
        let with = |weights: &str| {
            mean(&format!("{{ name = \"{policy}\", weights = \"{weights}\"{signal} }}"))
        };
        let [none, declared, learned] = ["none", "declared", "learned"].map(with);
        let gains = declared < 0.9 * none && learned < 0.9 * none;
        assert!(gains, "{policy}: {none} {declared} {learned}");
    }
}

/// One job in ten is a hundred times as long as the others: the shortest queue may have a long one.
#[test]
fn expected_work_says_more_than_a_count_if_jobs_differ() {
    let rest = r#"
[[agents]]
name = "gateway"

[[agents]]
name = "agent"
count = 8
skills = ["work"]

[workload]
arrivals = "poisson"
rate = 58
entry = "gateway"
deadline = "30s"

[[workload.jobs]]
name = "short"
share = 9
skill = "work"
demand = { kind = "constant", value = "10ms" }

[[workload.jobs]]
name = "long"
skill = "work"
demand = { kind = "constant", value = "1s" }
"#;
    let [count, work] =
        ["\"least_request\"", "\"least_expected_work\""].map(|it| mean_ms(it, rest));
    assert!(work < 0.9 * count, "{work} against {count}");
}

/// Jobs after the first of a session take a tenth at the agent that did the one before.
#[test]
fn affinity_finds_the_peer_that_is_warm() {
    let rest = r#"
[[agents]]
name = "gateway"
count = 2

[[agents]]
name = "agent"
count = 8
skills = ["work"]

[workload]
arrivals = "poisson"
rate = 60
entry = "gateway-*"
deadline = "10s"

[workload.sessions]
length = 10
pause = { kind = "exponential", mean = "500ms" }
warm = 0.1

[[workload.jobs]]
name = "only"
skill = "work"
demand = { kind = "exponential", mean = "100ms" }
"#;
    let policies = ["\"power_of_two\"", "\"least_request\"", "\"affinity\""];
    let [probed, count, affinity] = policies.map(|policy| mean_ms(policy, rest));
    assert!(affinity < 0.6 * probed.min(count), "{affinity} against {probed} and {count}");
}
