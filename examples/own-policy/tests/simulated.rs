//! The policy beside built-in ones, in both engines, while the network is split.

use mesh_sim::Simulation;
use mesh_sim::scenario::EngineKind;
use own_policy::Cautious;

/// Two of six agents are cut off for 10 s. The mesh's own memory of failures is off (`max_failures
/// = 0`), so that only the policy can learn which peers don't answer. Each job gets one attempt, so
/// that each wrong choice shows.
const SPLIT: &str = r#"
name = "own-policy"
description = "2 of 6 agents are cut off from the rest for 10 s"
duration = "20s"
policies = ["random", { name = "shortest_queue", signal = "own" }]

[registry]
ttl = "30s"
heartbeat = "5s"
refresh = "5s"

[[agents]]
name = "agent"
count = 6
cores = 2

[delegation]
connect_timeout = "100ms"
attempt_timeout = "500ms"
max_attempts = 1
max_failures = 0

[network]
latency = "2ms"

[workload]
arrivals = "poisson"
rate = 40
demand = { kind = "exponential", mean = "50ms" }
entry = "agent-6"

[[faults]]
kind = "partition"
at = "5s"
for = "10s"
groups = [["agent-1..2"], ["registry", "client", "agent-3..6"]]
"#;

/// The share of requests that succeed under each policy. No run may violate an oracle.
fn success(engine: EngineKind) -> Vec<(String, f64)> {
    let report = Simulation::from_toml(SPLIT)
        .expect("a scenario")
        .policy("mine", Cautious::default())
        .seeds([7])
        .engine(engine)
        .check()
        .unwrap_or_else(|error| panic!("{error}"));
    let policies = report.policies();
    policies.iter().map(|all| (all.policy.to_owned(), all.requests.success())).collect()
}

#[test]
fn a_cautious_mesh_loses_least_in_a_split() {
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let shares = success(engine);
        let [(_, random), (_, shortest), (_, mine)] = &shares[..] else { panic!("three policies") };
        // Two fifths of the peers are out of reach half of the time.
        assert!((0.7..0.9).contains(random), "{engine:?}: {shares:?}");
        assert!(*mine > 0.95 && mine > shortest, "{engine:?}: {shares:?}");
    }
}
