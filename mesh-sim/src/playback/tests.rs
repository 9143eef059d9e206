//! Tests of what a recording keeps.

use std::collections::BTreeSet;

use super::*;
use crate::engine::{Run, RunDetail, to_the_end};
use crate::scenario::{EngineKind, Scenario, ScenarioFile};

fn recorded(scenario: &Scenario, engine: EngineKind) -> RecordedRun {
    let policy = &scenario.policies[0];
    let run = Run { scenario, policy, seed: 5, detail: RunDetail::Figures };
    let recorder = PlaybackRecorder::new(&run, scenario).expect("few agents");
    let (record, recorder) = run.observe(engine, recorder, &to_the_end);
    record.expect("a run");
    recorder.finish().expect("few requests")
}

fn scenario(rate: u32) -> Scenario {
    let text = format!(
        r#"
        name = "recorded"
        duration = "12s"
        drain = "3s"
        seeds = [5]
        registry = {{ ttl = "1s", heartbeat = "300ms" }}
        agents = [{{ name = "a", count = 3 }}]
        workload = {{ arrivals = "poisson", rate = {rate}, demand = "2ms", deadline = "500ms" }}
        faults = [
          {{ kind = "crash", at = "2s", for = "2s", hosts = "registry" }},
          {{ kind = "crash", at = "7s", for = "3s", hosts = "a-3" }},
        ]
        policies = ["random"]
        "#
    );
    ScenarioFile::parse(&text, "recorded.toml").expect("a scenario").scenario
}

#[test]
fn both_engines_are_recorded_the_same_way_each_time() {
    let scenario = scenario(20);
    for engine in [EngineKind::Event, EngineKind::Turmoil] {
        let run = recorded(&scenario, engine);
        let json = |run: &RecordedRun| serde_json::to_string(run).expect("JSON");
        assert_eq!(json(&run), json(&recorded(&scenario, engine)), "{engine:?}");
        assert_eq!(run.frames.len(), 151, "one in 100 ms, both ends included");
        let listed = |ms: u64| {
            let mut names = BTreeSet::new();
            for frame in run.frames.iter().filter(|frame| frame.at_ms <= ms) {
                names.extend(frame.update.agents.iter().map(|agent| agent.name.to_string()));
                for gone in &frame.update.gone {
                    names.remove(&*gone.name);
                }
            }
            names.len()
        };
        // A viewer keeps what the registry said last, and is told so.
        assert_eq!((listed(1900), listed(3000), listed(9000), listed(12_000)), (3, 3, 2, 3));
        let problem = |ms: u64| {
            let frame = run.frames.iter().find(|frame| frame.at_ms == ms).expect("a frame");
            frame.update.problem.clone()
        };
        assert_eq!(problem(3000).as_deref(), Some("registry is down"));
        assert_eq!((problem(1900), problem(5000)), (None, None));
    }
}

#[test]
fn of_many_requests_the_failed_and_the_slowest_are_kept() {
    let run = recorded(&scenario(150), EngineKind::Event);
    assert_eq!(run.requests.len(), 900, "{}", run.note);
    let failed = run.requests.iter().filter(|request| request.failure.is_some()).count();
    assert!(failed > 0 && run.note.contains(&format!("all {failed} that failed")), "{}", run.note);
    assert!(run.requests.iter().all(|request| request.way.len() >= 2), "each has a way");
    assert!(run.requests.windows(2).all(|pair| pair[0].due_ms <= pair[1].due_ms));
}
