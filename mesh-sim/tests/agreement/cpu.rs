//! The CPU % of the time line: each second has the busy time within it, however often agents sample
//! their machines.

use mesh_sim::engine::{Run, RunDetail, to_the_end};
use mesh_sim::scenario::{EngineKind, ScenarioFile};

/// One job of 900 ms, due at 2 s, which agent-1 delegates to agent-2.
const SCENARIO: &str = r#"
name = "cpu"
description = "one job"
policies = ["random"]
duration = "3900ms"
warm_up = "1s"
drain = "2s"

[registry]
ttl = "3s"
heartbeat = "500ms"
refresh = "500ms"
sweep = "500ms"
timeout = "250ms"

[network]
latency = "2ms"

[workload]
arrivals = "constant"
rate = 0.25
demand = { kind = "constant", value = "900ms" }
deadline = "1500ms"
entry = "agent-1"

[[agents]]
name = "agent"
count = 2
"#;

/// CPU % of both agents, second by second.
fn cpu(engine: EngineKind, window: &str, faults: &str) -> Vec<[f64; 2]> {
    let text = format!("{SCENARIO}cpu_window = \"{window}\"\n{faults}");
    let loaded = ScenarioFile::parse(&text, "cpu.toml").unwrap_or_else(|e| panic!("{e}"));
    let scenario = &loaded.scenario;
    let run = Run { scenario, policy: &scenario.policies[0], seed: 42, detail: RunDetail::Figures };
    let record = run.execute(engine, &to_the_end).expect("it runs");
    assert_eq!((record.requests.sent, record.violations), (1, Vec::new()));
    record.timeline.iter().map(|second| [second.cpu_percent[0], second.cpu_percent[1]]).collect()
}

const WINDOWS: [&str; 3] = ["1s", "300ms", "2500ms"];

#[test]
fn busy_time_is_in_the_second_in_which_it_was() {
    let load = r#"
        [[faults]]
        kind = "background_load"
        at = "3s"
        for = "1s"
        agents = "agent-1"
        load = 0.8
        "#;
    for (engine, window) in both_engines() {
        let expected = [[0.0, 0.0], [0.0, 0.0], [0.0, 90.0], [80.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
        let found = cpu(engine, window, load);
        assert!(same(&found, &expected), "{engine:?} {window}: {found:?}");
    }
}

#[test]
fn a_crash_keeps_what_was_busy_until_then() {
    let crash = r#"
        [[faults]]
        kind = "crash"
        at = "2500ms"
        for = "1s"
        hosts = "agent-2"
        "#;
    for (engine, window) in both_engines() {
        // The job began when it had arrived over the network, some milliseconds after 2 s.
        let found = cpu(engine, window, crash);
        let [_, until_crash] = found[2];
        assert!((48.0..50.0).contains(&until_crash), "{engine:?} {window}: {found:?}");
        let busy = found.iter().flatten().filter(|percent| **percent > 0.0).count();
        assert_eq!(busy, 1, "{engine:?} {window}: {found:?}");
    }
}

fn both_engines() -> impl Iterator<Item = (EngineKind, &'static str)> {
    let engines = [EngineKind::Event, EngineKind::Turmoil];
    engines.into_iter().flat_map(|engine| WINDOWS.map(|window| (engine, window)))
}

fn same(found: &[[f64; 2]], expected: &[[f64; 2]]) -> bool {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-4;
    found.len() == expected.len()
        && found.iter().flatten().zip(expected.iter().flatten()).all(close)
}
