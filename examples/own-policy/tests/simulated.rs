//! The policy beside built-in ones, in both engines, while the network is split.

use mesh_sim::engine::Run;
use mesh_sim::scenario::{EngineKind, PolicySpec, Scenario};
use own_policy::Cautious;

/// Two of six agents are cut off for 10 s. The mesh's own memory of failures is off
/// (`max_failures = 0`), so that only the policy can learn who does not answer, and each job gets one
/// try, so that each wrong choice shows.
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

/// Share of the requests that each policy answers.
fn success(engine: EngineKind) -> Vec<(String, f64)> {
    let mut scenario = Scenario::from_str(SPLIT, "split.toml").expect("a scenario");
    scenario.policies.push(PolicySpec::new("mine", Cautious::default()));
    let answered = |policy: &PolicySpec| {
        let run = Run { scenario: &scenario, policy, seed: 7, trace: false };
        let record = run.execute(engine, &|_| {}).expect("the engine works");
        assert!(record.violations.is_empty(), "{}: {:?}", policy.label, record.violations);
        let share = record.requests.answered as f64 / record.requests.sent as f64;
        (policy.label.clone(), share)
    };
    scenario.policies.iter().map(answered).collect()
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
