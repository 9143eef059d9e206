//! Modifiers in simulated meshes: what they cure.

use super::*;

/// A gate to 4 agents of one core each, which begin every job at once. Together they do 200 jobs of
/// 20 ms a second, and clients wait 200 ms for each.
const OVERLOAD: &str = r#"
name = "overload"
description = "x"
engine = "event"
duration = "90s"
warm_up = "30s"

[[agents]]
name = "gate"

[[agents]]
name = "agent"
count = 4
concurrency = "unlimited"

[registry]
heartbeat = "1s"
refresh = "1s"

[workload]
arrivals = "poisson"
rate = 400
demand = { kind = "constant", value = "20ms" }
deadline = "200ms"
entry = "gate"
"#;

fn ran(rest: &str) -> RunRecord {
    run_on(EngineKind::Event, r#"{ name = "power_of_two", signal = "own" }"#, OVERLOAD, rest).record
}

/// With twice the load that they can do, agents that begin every job end nearly none in time.
/// Throttling keeps them at the load that they can do.
#[test]
fn throttling_saves_the_goodput_under_twice_the_load() {
    let without = ran("");
    let with =
        ran("[delegation]\nthrottle = true\nthrottle_threshold = 0.75\nthrottle_window = \"2s\"\n");
    let goodput = |record: &RunRecord| record.requests.answered as f64 / 60.0;
    println!("answered per second: {} without, {} with", goodput(&without), goodput(&with));
    assert!(goodput(&without) < 30.0, "{}", goodput(&without));
    assert!(goodput(&with) > 60.0, "{}", goodput(&with));
    assert!(with.failures.contains_key("throttled"), "{:?}", with.failures);
}
