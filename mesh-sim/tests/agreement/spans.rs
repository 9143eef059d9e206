//! Both engines record the same spans, and recording them changes nothing.

use std::collections::BTreeMap;

use mesh_core::trace::{SpanId, SpanKind};
use mesh_sim::engine::{Run, RunDetail, to_the_end};
use mesh_sim::record::{RequestTrace, RunRecord};
use mesh_sim::scenario::{EngineKind, Scenario};

/// All times are whole milliseconds, so that turmoil rounds nothing. Agents are slow enough for some
/// jobs to wait and for some requests to time out.
const SCENARIO: &str = r#"
name = "spans"
description = "Two policies that probe and that do not"
engine = "event"
warm_up = "1s"
duration = "4s"
agents = [{ name = "agent", count = 3, concurrency = 1, queue = 2 }]
policies = ["shortest_queue", "round_robin"]
[workload]
arrivals = "constant"
rate = 20
deadline = "400ms"
demand = { kind = "constant", value = "200ms" }
[network]
latency = { kind = "constant", value = "2ms" }
"#;

fn record(scenario: &Scenario, policy: usize, engine: EngineKind, detail: RunDetail) -> RunRecord {
    let run = Run { scenario, policy: &scenario.policies[policy], seed: 3, detail };
    run.execute(engine, &to_the_end).expect("it runs")
}

/// The path from the client to each span, by names of hosts and spans, with its length in
/// nanoseconds; sorted. Panics if a span has no parent in the trace.
fn paths(trace: &RequestTrace) -> Vec<(String, u128)> {
    let by_id: BTreeMap<SpanId, usize> =
        trace.spans.iter().enumerate().map(|(at, (_, span))| (span.place.id, at)).collect();
    assert_eq!(by_id.len(), trace.spans.len(), "ids are unique");
    let path = |(host, span): &(_, std::sync::Arc<mesh_core::trace::TraceSpan>)| {
        let mut path = format!("{host} {}", span.name);
        let mut parent = span.place.parent;
        while let Some(id) = parent {
            let (host, above) = &trace.spans[by_id[&id]];
            let is_within = above.start <= span.start;
            assert!(is_within, "{} begins before {}", span.name, above.name);
            path.insert_str(0, &format!("{host} {} > ", above.name));
            parent = above.place.parent;
        }
        (path, span.end.since(span.start).as_nanos())
    };
    let mut paths: Vec<(String, u128)> = trace.spans.iter().map(path).collect();
    paths.sort();
    paths
}

fn traces(scenario: &Scenario, policy: usize) -> [Vec<RequestTrace>; 2] {
    [EngineKind::Event, EngineKind::Turmoil].map(|engine| {
        let without = record(scenario, policy, engine, RunDetail::Phases);
        let with = record(scenario, policy, engine, RunDetail::Spans);
        assert_eq!(without.traces, None);
        assert_eq!(with.event_hash, without.event_hash, "recording changes {engine:?}");
        let traces = with.traces.expect("spans were recorded");
        assert!(traces.iter().all(|trace| trace.spans[0].1.kind == SpanKind::Client));
        traces
    })
}

#[test]
fn every_kept_trace_is_a_tree_and_nothing_changes_by_recording_it() {
    let scenario = Scenario::parse(SCENARIO, "spans.toml").expect("it is right");
    for policy in 0..scenario.policies.len() {
        for traces in traces(&scenario, policy) {
            let failed = traces.iter().filter(|trace| trace.spans[0].1.error.is_some()).count();
            assert!((1..traces.len()).contains(&failed), "{failed} of {}", traces.len());
            let all: Vec<_> = traces.iter().flat_map(paths).map(|(path, _)| path).collect();
            let whole = "client delegate > agent-1 delegate > agent-1 work > agent-2 work > \
                         agent-2 run job";
            assert!(all.iter().any(|path| path == whole), "{all:#?}");
        }
    }
}

/// Every request fails, because it has less time than its job takes. So all are kept.
#[test]
fn both_engines_record_the_same_spans() {
    let text = SCENARIO.replace("rate = 20", "rate = 5").replace("400ms", "100ms");
    let scenario = Scenario::parse(&text, "spans.toml").expect("it is right");
    let policy = scenario.policies.iter().position(|policy| policy.label == "round_robin");
    let [event, turmoil] = traces(&scenario, policy.expect("it is there"));
    let places = |traces: &[RequestTrace]| {
        traces.iter().map(|trace| trace.spans[0].1.place).collect::<Vec<_>>()
    };
    assert_eq!(event.len(), 15);
    assert_eq!(places(&event), places(&turmoil));
    let [event, turmoil] = [event, turmoil].map(|all| all.iter().map(paths).collect::<Vec<_>>());
    assert_eq!(event, turmoil);
}
