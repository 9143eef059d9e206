//! Small experiments on the turmoil engine: each kind of fault does what the scenario format says,
//! and no oracle is broken.

mod autoscale;
mod costs;
mod crashes;
mod health;
mod jobs;
mod joins_and_leaves;
mod links;
mod locality;
mod machines;
mod modifiers;
mod own_counters;
mod providers;
mod slots;
mod upper_bounds;

use std::time::Duration;

use mesh_sim::engine::{Run, RunDetail, to_the_end};
use mesh_sim::record::{OutcomeCounts, RunRecord, WindowCounts};
use mesh_sim::scenario::{EngineKind, ScenarioFile};
use serde_json::Value;

/// Four agents of one core for 15 seconds. In the first two seconds the agents find each other. All
/// requests enter through the first agent, which delegates them to the others.
const SCENARIO: &str = r#"
name = "engine"
description = "x"
duration = "15s"
warm_up = "2s"
drain = "0s"

[registry]
ttl = "3s"
heartbeat = "1s"
refresh = "1s"
sweep = "500ms"
timeout = "500ms"

[[agents]]
name = "agent"
count = 4

[workload]
arrivals = "poisson"
rate = 40
demand = { kind = "constant", value = "20ms" }
entry = "agent-1"
deadline = "2s"
"#;

/// The results of a run.
struct Ran {
    record: RunRecord,
    events: Vec<Value>,
}

/// Runs [`SCENARIO`] with `rest` and one policy. Fails if an oracle is violated or if counts
/// differ.
fn run(policy: &str, rest: &str) -> Ran {
    run_text(policy, SCENARIO, rest)
}

/// Runs a variant of [`SCENARIO`] in the same way.
fn run_text(policy: &str, scenario: &str, rest: &str) -> Ran {
    run_on(EngineKind::Turmoil, policy, scenario, rest)
}

/// Runs a variant of [`SCENARIO`] on this engine.
fn run_on(engine: EngineKind, policy: &str, scenario: &str, rest: &str) -> Ran {
    let text = format!("policies = [{policy}]\n{scenario}{rest}");
    let loaded =
        ScenarioFile::parse(&text, "engine.toml").unwrap_or_else(|error| panic!("{error}"));
    loaded.check_engine(engine).unwrap_or_else(|error| panic!("{error}"));
    let scenario = &loaded.scenario;
    let run = Run { scenario, policy: &scenario.policies[0], seed: 42, detail: RunDetail::Trace };
    let mut record = run.execute(engine, &to_the_end).expect("it runs");
    assert_eq!(record.violations, []);
    let trace = record.trace.take().expect("it was traced");
    let events = trace.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ran = Ran { record, events };
    ran.adds_up(scenario.warm_up.as_secs() as usize);
    ran
}

impl Ran {
    /// Checks that every request is counted once in each of the counts. The warm-up must be whole
    /// seconds.
    fn adds_up(&self, warm_up_seconds: usize) {
        let all = self.record.requests;
        assert_eq!(all.sent, all.answered + all.refused + all.timed_out + all.lost);
        assert_eq!(all.sent, self.record.latency.count());
        assert_eq!(all.failed(), self.record.failures.values().sum::<u64>());
        let mut windows = OutcomeCounts::default();
        for window in &self.record.by_window {
            windows.merge(&window.requests);
        }
        assert_eq!(all, windows);
        let seconds = &self.record.timeline;
        assert_eq!(
            all.sent,
            seconds[warm_up_seconds..].iter().map(|second| second.due).sum::<u64>()
        );
        // The time line has the warm-up too.
        assert_eq!(self.count("due"), seconds.iter().map(|second| second.due).sum::<u64>());
        assert_eq!(self.count("due"), seconds.iter().map(|second| second.ended.sent).sum::<u64>());
    }

    fn count(&self, kind: &str) -> u64 {
        self.events.iter().filter(|event| event["event"] == kind).count() as u64
    }

    /// The counts of the first fault's window.
    fn during(&self) -> &WindowCounts {
        &self.record.by_window[0]
    }

    /// The counts of the time outside of faults.
    fn outside(&self) -> &WindowCounts {
        self.record.by_window.last().expect("there always is one")
    }

    /// The 99th percentile of the latencies of a second's answers.
    fn p99(&self, second: usize) -> Duration {
        Duration::from_nanos(self.record.timeline[second].p99_ns)
    }
}
