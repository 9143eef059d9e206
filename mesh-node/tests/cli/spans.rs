//! Spans on their way to an OpenTelemetry collector, as others' types read them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::seed::Seed;
use mesh_core::trace::{SpanKind, SpanPlace, TraceContext, TraceSpan};
use mesh_node::spans::{ExporterSettings, QueuedSpans, SpanExporter, SpanQueue, span_queue};
use mesh_node::{Observer as _, TokioNet};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::process::{Process, Service, free_address, get, mesh, output, pause, until};
use crate::rpc_server::{RpcServer, http, serve_raw};
use crate::traces::{posted, rpc};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What a collector was sent.
type Received = &'static Mutex<Vec<Value>>;

/// A collector that gives its n-th request, from 0, this answer.
fn collector(answer: fn(usize) -> String) -> (RpcServer, Received) {
    let received: Received = Box::leak(Box::default());
    let server = serve_raw(move |body| {
        let mut received = received.lock().expect("no test has failed");
        received.push(body.clone());
        answer(received.len() - 1)
    });
    (server, received)
}

/// All spans that were received, each with the name of its service.
fn spans(received: Received) -> Vec<(String, Span)> {
    let mut spans = Vec::new();
    for body in received.lock().expect("no test has failed").iter() {
        let head = body["head"].as_str().expect("a head");
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
        let request: ExportTraceServiceRequest =
            serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{error}: {body}"));
        for resource in request.resource_spans {
            let of_resource = resource.resource.expect("it says whose they are").attributes;
            let value = of_resource.iter().find(|pair| pair.key == "service.name");
            let value = value.and_then(|pair| pair.value.clone()).and_then(|value| value.value);
            let Some(Any::StringValue(service)) = value else { panic!("{of_resource:?}") };
            let of_scopes = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(of_scopes.map(|span| (service.clone(), span)));
        }
    }
    spans
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_spans_of_a_job_on_two_agents_are_one_tree() {
    let (server, received) = collector(|_| http(200, "{}"));
    let url = format!("http://{}", server.address);
    let registry = Service::registry(&[]);
    let command = r#"cat > /dev/null; printf '"%s"' "$TRACEPARENT""#;
    let work = ["--otlp-endpoint", &url, "--", "sh", "-c", command];
    let worker = Service::agent("worker", &registry.address, &work);
    let mut entry = mesh(&["agent", "--name", "entry", "--listen", "127.0.0.1:0"]);
    entry.args(["--registry", &registry.address, "--refresh", "200ms", "--trace-sample", "1"]);
    entry.args(["--policy", "round_robin"]);
    entry.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{url}/")).env("OTEL_SERVICE_NAME", "front");
    let entry = Service::from(Process::start(entry));
    entry.await_peers(1);
    let context = format!("00-{TRACE}-{PARENT}-01");
    let job = json!({ "text": "x", "request": 5, "_meta": { "traceparent": context } });
    let told = entry.call("delegate", job).expect("a result");
    let given = told["peer_result"]["result"].as_str().expect("the command's context").to_owned();
    // Of a trace that the agent begins, the caller learns from the answer.
    let (begun, _) = posted(&entry.address, &[], &rpc("delegate", json!({ "text": "x" })));
    let begun = begun.expect("the answer names the trace");
    let is_named = |span: &Span| hex(&span.trace_id) == TRACE;
    until("the collector has all spans", || spans(received).len() >= 10);

    let (named, own): (Vec<_>, Vec<_>) =
        spans(received).into_iter().partition(|(_, span)| is_named(span));
    let by_id: BTreeMap<String, &(String, Span)> =
        named.iter().map(|span| (hex(&span.1.span_id), span)).collect();
    let path = |(service, span): &(String, Span)| {
        let (mut path, mut parent) = (format!("{service} {}", span.name), &span.parent_span_id);
        while hex(parent) != PARENT {
            let (service, span) = by_id[&hex(parent)];
            path.insert_str(0, &format!("{service} {} > ", span.name));
            parent = &span.parent_span_id;
        }
        path
    };
    let mut paths: Vec<String> = named.iter().map(path).collect();
    paths.sort();
    let expected = [
        "front delegate",
        "front delegate > front choose peer",
        "front delegate > front work",
        "front delegate > front work > worker work",
        "front delegate > front work > worker work > worker run job",
    ];
    assert_eq!(paths, expected);
    let run = named.iter().find(|(_, span)| span.name == "run job").expect("it is there");
    assert_eq!(given, format!("00-{TRACE}-{}-01", hex(&run.1.span_id)));
    let roots = own.iter().filter(|(_, span)| span.parent_span_id.is_empty());
    assert_eq!(roots.count(), 1, "the other job began a trace: {own:#?}");
    assert!(own.iter().all(|(_, span)| hex(&span.trace_id) == begun), "{begun}: {own:#?}");
    for agent in [&entry, &worker] {
        let page = get(&agent.address, "/metrics").1;
        assert!(page.contains("\nmesh_spans_dropped_total 0\n"), "{page}");
        assert!(!page.contains("\nmesh_spans_exported_total 0\n"), "{page}");
    }
}

#[test]
fn a_collector_that_can_not_be_is_an_error_and_one_that_is_not_there_is_none() {
    let (status, _, stderr) = output(&["agent", "--otlp-endpoint", "https://127.0.0.1:4318"]);
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("https is not spoken here"), "{stderr}");
    let url = format!("http://{}", free_address());
    let registry = Service::registry(&[]);
    let agent = ["--otlp-endpoint", &url, "--trace-sample", "1", "--demand", "1ms"];
    let agent = Service::agent("alone", &registry.address, &agent);
    for _ in 0..3 {
        agent.call("work", json!({ "text": "x" })).expect("no job waits for the collector");
    }
}

fn exporter(address: &str, queue: QueuedSpans) -> mesh_node::spans::ExportTask {
    let url = format!("http://{address}/base").parse().expect("a URL");
    let settings = ExporterSettings::new(url, "s", "a", Duration::ZERO);
    let (delay, pause) = (Duration::from_millis(1), Duration::from_millis(1));
    let settings =
        ExporterSettings { delay, pause, timeout: Duration::from_millis(300), ..settings };
    SpanExporter::start(TokioNet, settings, queue)
}

/// Queues this many spans.
fn tell(queue: &SpanQueue, count: usize) {
    let context = TraceContext::root(&mut Seed::root(1).rng(), true);
    let (place, now) = (SpanPlace::of(&context, None), Timestamp::ZERO);
    let span = Arc::new(TraceSpan::new(place, SpanKind::Internal, "x", now, now));
    (0..count).for_each(|_| queue.span(now, &"a".into(), &span));
}

/// Sends three spans to a collector at this address until they are taken or lost; how many are.
fn sent_to(address: &str) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (queue, spans) = span_queue();
        tell(&queue, 3);
        let task = exporter(address, spans);
        until("the spans are taken or lost", || queue.exported() + queue.dropped() == 3);
        task.finish(Duration::from_secs(5)).await;
        (queue.exported(), queue.dropped())
    })
}

#[test]
fn what_a_collector_does_not_take_is_sent_again_or_lost_and_counted() {
    let busy = |n| {
        let later = "HTTP/1.1 503 x\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n".to_owned();
        if n < 2 { later } else { http(200, "{}") }
    };
    let (server, received) = collector(busy);
    assert_eq!(sent_to(&server.address), (3, 0));
    let bodies = received.lock().expect("no test has failed").clone();
    assert_eq!((bodies.len(), &bodies[0]["resourceSpans"]), (3, &bodies[2]["resourceSpans"]));
    assert!(bodies[0]["head"].as_str().expect("a head").starts_with("POST /base/v1/traces "));

    let (server, _) = collector(|_| http(503, ""));
    assert_eq!(sent_to(&server.address), (0, 3));
    assert_eq!(server.calls(), 4, "not for ever");
    let (server, _) = collector(|_| http(400, ""));
    assert_eq!(sent_to(&server.address), (0, 3));
    assert_eq!(server.calls(), 1, "it will never take them");
    let partial = |_| http(200, r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}"#);
    let (server, _) = collector(partial);
    assert_eq!(sent_to(&server.address), (2, 1));
    assert_eq!(server.calls(), 1, "what was taken is not sent again");
    assert_eq!(sent_to(&free_address()), (0, 3), "nobody listens");
    let (server, _) = collector(|_| {
        pause(Duration::from_secs(1));
        http(200, "{}")
    });
    assert_eq!(sent_to(&server.address), (0, 3), "it answers too late");
}

#[test]
fn a_full_queue_loses_spans_and_nobody_waits() {
    let (queue, spans) = span_queue();
    tell(&queue, 5_000);
    assert_eq!((queue.exported(), queue.dropped()), (0, 5_000 - 4_096));
    let (server, received) = collector(|_| http(200, "{}"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let task = exporter(&server.address, spans);
        task.finish(Duration::from_secs(10)).await;
    });
    assert_eq!(queue.exported(), 4_096, "the last ones are sent at the end");
    let bodies = received.lock().expect("no test has failed").len();
    assert_eq!(bodies, 4_096_usize.div_ceil(512));
}
