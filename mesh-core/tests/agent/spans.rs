//! Spans: what an agent records of the jobs of a trace, and of which.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::agent::{AgentConfig, CallError, Failure};
use mesh_core::protocol::Task;
use mesh_core::trace::{SpanId, SpanKind, SpanValue, TraceConfig, TraceContext, TraceSpan};

use crate::driver::{Driver, config, job, load, ms};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn context(text: &str) -> TraceContext {
    TraceContext::parse(text, None).expect("a context")
}

fn traced() -> Task {
    Task { idempotent: true, ..job() }.in_trace(context(SAMPLED).into())
}

fn recording(policy: &str) -> AgentConfig {
    AgentConfig { tracing: Some(TraceConfig::default()), ..config(policy) }
}

/// The spans that were told so far, which must make one tree below the caller's span.
fn tree(spans: &[Arc<TraceSpan>]) -> Vec<Vec<Arc<TraceSpan>>> {
    let mut below: BTreeMap<SpanId, Vec<Arc<TraceSpan>>> = BTreeMap::new();
    for span in spans {
        assert!(span.start <= span.end, "{span:?}");
        assert_eq!(span.place.trace, context(SAMPLED).trace_id());
        below.entry(span.place.parent.expect("a parent")).or_default().push(span.clone());
    }
    let mut levels = vec![below.remove(&context(SAMPLED).parent_id()).expect("a root")];
    while let Some(level) = levels.last()
        && let next = level.iter().flat_map(|span| below.remove(&span.place.id).unwrap_or_default())
        && let next = next.collect::<Vec<_>>()
        && !next.is_empty()
    {
        levels.push(next);
    }
    assert!(below.is_empty(), "spans without a parent: {below:?}");
    levels
}

fn names(spans: &[Arc<TraceSpan>]) -> Vec<&str> {
    spans.iter().map(|span| span.name).collect()
}

fn word(span: &TraceSpan, name: &str) -> String {
    match span.attribute(name) {
        Some(SpanValue::Word(word)) => (*word).to_owned(),
        Some(SpanValue::Text(text)) => text.to_string(),
        Some(SpanValue::Whole(number)) => number.to_string(),
        Some(SpanValue::Number(number)) => number.to_string(),
        None => String::new(),
    }
}

#[test]
fn a_delegation_has_a_span_for_each_choice_probe_and_attempt() {
    let mut driver = Driver::with_peers(recording("shortest_queue"), &["a", "b"]);
    driver.delegate(traced());
    driver.advance(ms(5));
    driver.probe_answered("a", load(1.0, 0));
    driver.probe_answered("b", load(1.0, 3));
    driver.advance(ms(10));
    assert_eq!(driver.only_peer(), "a", "it has the shorter queue");
    let sent = driver.calls[0].task().trace().expect("it is passed on").parent_id();
    driver.fail("a", CallError::NotSent);
    driver.probe_answered("b", load(1.0, 3));
    driver.advance(ms(20));
    driver.work_answered("b");
    let levels = tree(&driver.spans);
    let [received, below, probes] = levels.as_slice() else { panic!("{levels:?}") };
    assert_eq!(names(received), ["delegate"]);
    assert_eq!((received[0].kind, &received[0].error), (SpanKind::Server, &None));
    assert_eq!(received[0].end.since(received[0].start), ms(35));
    assert_eq!(names(below), ["choose peer", "work", "choose peer", "work"]);
    assert_eq!(names(probes), ["info"; 3]);
    let (choice, failed, last) = (&below[0], &below[1], &below[3]);
    assert_eq!((choice.kind, choice.end.since(choice.start)), (SpanKind::Internal, ms(5)));
    let told = ["mesh.policy", "mesh.signal", "mesh.peers.eligible", "mesh.peer"];
    assert_eq!(told.map(|name| word(choice, name)), ["shortest_queue", "probes", "2", "a"]);
    assert_eq!(word(choice, "mesh.signal.age"), "0");
    assert_eq!((failed.place.id, failed.kind), (sent, SpanKind::Client));
    assert_eq!(word(failed, "error.type"), "not_sent");
    assert!(failed.error.is_some());
    assert_eq!(word(last, "mesh.attempt.reason"), "not_sent");
    assert_eq!((word(last, "mesh.attempt"), &last.error), ("1".to_owned(), &None));
    assert_eq!([word(last, "server.address"), word(last, "server.port")], ["b", "1"]);
}

#[test]
fn a_job_has_a_span_for_the_call_and_one_for_its_run() {
    let mut driver = Driver::new(recording("random"));
    driver.work(job());
    driver.work(traced());
    driver.work(traced());
    assert_eq!(names(&driver.spans), ["work"], "the third is refused");
    let refused = driver.spans.remove(0);
    assert_eq!([word(&refused, "error.type"), word(&refused, "mesh.outcome")], ["-32010", "busy"]);
    driver.advance(ms(100));
    let first = driver.running.remove(0).0;
    driver.agent.handle_job_result(driver.now, first, Ok(crate::driver::output()));
    driver.drain();
    driver.advance(ms(50));
    let (second, task) = driver.running.remove(0);
    let failure = Failure::JobFailed("it broke".to_owned());
    driver.agent.handle_job_result(driver.now, second, Err(failure));
    driver.drain();
    let levels = tree(&driver.spans);
    let [received, runs] = levels.as_slice() else { panic!("{levels:?}") };
    assert_eq!(word(&received[0], "mesh.job.queue_time"), "0.1");
    assert_eq!(word(&received[0], "rpc.status_code"), "-32018");
    assert_eq!(received[0].error.as_deref(), Some("the job failed: it broke"));
    assert_eq!((names(runs), runs[0].end.since(runs[0].start)), (vec!["run job"], ms(50)));
    let given = task.trace().expect("programs get it").parent_id();
    assert_eq!(runs[0].place.id, given, "what the program records is below its run");
}

#[test]
fn what_nobody_waits_for_any_more_is_no_error() {
    let mut with_copies = recording("random");
    with_copies.delegation.modifiers.hedging.hedge_after = Some(ms(100));
    let mut driver = Driver::with_peers(with_copies, &["a", "b"]);
    driver.delegate(traced());
    driver.advance(ms(100));
    let winner = driver.calls[1].peer.clone();
    driver.work_answered(&winner);
    let levels = tree(&driver.spans);
    let attempts: Vec<_> = levels[1].iter().filter(|span| span.name == "work").collect();
    let reasons: Vec<_> = attempts.iter().map(|span| word(span, "mesh.attempt.reason")).collect();
    assert_eq!(reasons, ["beside", ""]);
    assert_eq!((word(attempts[1], "mesh.outcome"), &attempts[1].error), ("given_up".into(), &None));
}

/// An agent that does not record sends on what it was sent, and one that records draws no other
/// choice.
#[test]
fn only_sampled_traces_are_recorded_and_recording_moves_no_choice() {
    let peers = |config: AgentConfig, task: Task| {
        let mut driver = Driver::with_peers(config, &["a", "b", "c", "d", "e"]);
        let peers: Vec<String> = (0..30)
            .map(|_| {
                driver.delegate(task.clone());
                let peer = driver.only_peer();
                driver.work_answered(&peer);
                peer
            })
            .collect();
        (peers, driver.spans.len())
    };
    let unsampled = job().in_trace(context(&SAMPLED.replace("b7-01", "b7-00")).into());
    let (chosen, none) = peers(config("random"), traced());
    assert_eq!(none, 0, "recording is off");
    assert_eq!(peers(recording("random"), unsampled), (chosen.clone(), 0));
    assert_eq!(peers(recording("random"), job()), (chosen.clone(), 0));
    assert_eq!(peers(recording("random"), traced()), (chosen, 30 * 3));
}

#[test]
fn a_stranger_can_not_make_an_agent_record_without_bound() {
    let tracing = Some(TraceConfig { trace_limit: 10, ..TraceConfig::default() });
    let mut driver =
        Driver::with_peers(AgentConfig { tracing, ..config("random") }, &["a", "b", "c"]);
    let burst = |driver: &mut Driver, jobs: usize| {
        let before = driver.spans.len();
        let mut sampled = 0;
        for _ in 0..jobs {
            driver.delegate(traced());
            let trace = driver.calls[0].task().trace().expect("it is passed on").clone();
            assert_eq!(trace.trace_id(), context(SAMPLED).trace_id());
            sampled += usize::from(trace.is_sampled());
            driver.work_answered(&driver.only_peer());
        }
        assert_eq!(driver.spans.len() - before, sampled * 3, "those behind are told");
        sampled
    };
    assert_eq!(burst(&mut driver, 50), 10);
    assert_eq!(driver.agent.traces_over_limit(), 40);
    driver.advance(ms(1_000));
    assert_eq!(burst(&mut driver, 50), 10, "as many each second");
}

#[test]
fn a_share_of_the_jobs_without_a_trace_begin_one() {
    let sampled = |trace_sample: f64| {
        let tracing = Some(TraceConfig { trace_sample, trace_limit: 100_000 });
        let mut driver = Driver::with_peers(AgentConfig { tracing, ..config("random") }, &["a"]);
        let mut states = Vec::new();
        for _ in 0..1_000 {
            driver.delegate(job());
            let trace = driver.calls[0].task().trace().cloned();
            states.extend(trace.and_then(|trace| trace.tracestate().map(str::to_owned)));
            driver.work_answered("a");
        }
        let roots = driver.spans.iter().filter(|span| span.place.parent.is_none()).count();
        assert_eq!(roots, states.len(), "each is told to those behind");
        (roots, states.pop().unwrap_or_default())
    };
    assert_eq!(sampled(0.0), (0, String::new()));
    assert_eq!(sampled(1.0), (1_000, "ot=th:0".to_owned()));
    let (some, state) = sampled(0.25);
    assert!((200..300).contains(&some), "{some}");
    // Three quarters of 2^56 are rejected: 0xc0000000000000, without the zeros at its end.
    assert_eq!(state, "ot=th:c");
    // The agent that has sent this job has decided that it begins none.
    let tracing = Some(TraceConfig { trace_sample: 1.0, ..TraceConfig::default() });
    let mut driver = Driver::new(AgentConfig { tracing, ..config("random") });
    driver.work(Task { depth: 1, ..job() });
    assert_eq!(driver.running[0].1.trace(), None);
}

#[test]
fn a_trace_in_the_headers_is_linked_to_the_one_in_the_params() {
    let other = context("00-1bf92f3577b34da6a3ce929d0e0e4736-10f067aa0ba902b7-01");
    let mut driver = Driver::with_peers(recording("random"), &["a"]);
    driver.delegate(traced().in_trace(other.clone().into()));
    let sent = driver.calls[0].task().trace().expect("it is passed on").link();
    assert_eq!(sent, None, "peers don't see it");
    driver.work_answered("a");
    driver.delegate(traced().in_trace(context(SAMPLED).into()));
    driver.work_answered("a");
    let links: Vec<_> = driver.spans.iter().filter(|span| span.name == "delegate").collect();
    assert_eq!(links[0].link, Some((other.trace_id(), other.parent_id())));
    assert_eq!(links[1].link, None, "both are the same");
}
