use super::*;
use crate::faults::FaultKind;

/// Only the second fault makes requests fail: no agent is left for 2 s.
const SCENARIO: &str = r#"
name = "bad"
description = "requests fail while everybody is down"
duration = "8s"
warm_up = "1s"
drain = "3s"
policies = ["random", "round_robin"]

[registry]
ttl = "2s"
heartbeat = "500ms"
refresh = "500ms"
timeout = "200ms"

[[agents]]
name = "agent"
count = 3

[workload]
arrivals = "constant"
rate = 20
demand = { kind = "constant", value = "5ms" }
deadline = "500ms"

[[faults]]
kind = "slow_down"
at = "1s"
for = "2s"
agents = "*"
factor = 0.9

[[faults]]
kind = "crash"
at = "3s"
for = "2s"
hosts = "agent-*"

[[faults]]
kind = "add_latency"
at = "2s"
for = "3s"
between = ["client", "*"]
latency = "2ms"

[expect."*"]
min_success = 0.95
max_p99 = "10s"
"#;

fn target(file: &ScenarioFile) -> MinimizeTarget {
    let engine = file.scenario.engine;
    MinimizeTarget { policy: "round_robin".to_owned(), seed: 7, engine, defect: None }
}

fn run(threads: usize) -> (MinimalScenario, Vec<String>) {
    let file = ScenarioFile::parse(SCENARIO, "bad.toml").unwrap();
    let threads = NonZero::new(threads).unwrap();
    let effort = Effort { threads, max_tries: 60 };
    let mut progress = Vec::new();
    let found = minimize(&file, &target(&file), effort, &mut |step| {
        progress.push(format!("{step:?}"));
    });
    (found.unwrap(), progress)
}

#[test]
fn what_is_left_is_what_the_failure_needs_whatever_the_threads() {
    let (minimal, progress) = run(1);
    let Scenario { faults, agents, policies, seeds, duration, expect, .. } = &minimal.scenario;
    let defect = Defect::Threshold { field: "min_success", cause: Some("timed_out") };
    assert_eq!(minimal.failure.defect, defect);
    assert!(matches!(&faults[..], [crash] if matches!(crash.kind, FaultKind::Crash(_))));
    assert!(agents.len() < 3, "{agents:?}");
    assert_eq!((policies.len(), &seeds[..]), (1, &[7][..]));
    assert!(duration.as_secs() < 8);
    assert_eq!(expect["round_robin"].get("max_p99"), None);
    let file = crate::run_failure::failing_file(
        &minimal.draft,
        std::slice::from_ref(&minimal.failure),
        EngineKind::Turmoil,
        "small.toml",
    );
    assert!(file.contains("# Replay it: mesh-sim replay small.toml\n"), "{file}");
    let again = ScenarioFile::parse(&file, "small.toml").unwrap();
    assert_eq!(again.scenario.faults, *faults);
    let (other, other_progress) = run(2);
    assert_eq!((other.draft, other_progress), (minimal.draft, progress));
}

#[test]
fn what_does_not_fail_is_not_minimized() {
    let sound = SCENARIO.replace("min_success = 0.95", "min_success = 0.1");
    let file = ScenarioFile::parse(&sound, "sound.toml").unwrap();
    let effort = Effort { threads: NonZero::<usize>::MIN, max_tries: 10 };
    assert!(minimize(&file, &target(&file), effort, &mut |_| ()).is_none());
}
