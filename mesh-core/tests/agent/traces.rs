//! Traces: what an agent sends on of the context that a job came with.

use std::collections::BTreeSet;

use mesh_core::agent::{AgentConfig, CallError, Note};
use mesh_core::protocol::Task;
use mesh_core::resilience::{HedgingConfig, ModifierConfig};
use mesh_core::trace::TraceContext;

use crate::driver::{Driver, config, job, ms};

fn context() -> TraceContext {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    TraceContext::parse(text, Some("rojo=1")).expect("a context")
}

fn traced() -> Task {
    Task { idempotent: true, ..job() }.in_trace(context().into())
}

/// The context that a task carries, which must be of the same trace with another parent.
fn child(task: &Task) -> TraceContext {
    let child = (**task.trace().expect("a trace")).clone();
    assert_eq!(child.trace_id(), context().trace_id());
    assert_ne!(child.parent_id(), context().parent_id());
    assert_eq!((child.tracestate(), child.is_sampled()), (Some("rojo=1"), true));
    child
}

fn hedging() -> AgentConfig {
    let hedging = HedgingConfig { hedge_after: Some(ms(100)), ..HedgingConfig::default() };
    let mut config = config("random");
    config.delegation.modifiers = ModifierConfig { hedging, ..ModifierConfig::default() };
    config
}

#[test]
fn every_attempt_and_every_copy_has_a_parent_of_its_own() {
    let mut driver = Driver::with_peers(hedging(), &["a", "b", "c"]);
    driver.delegate(traced());
    let mut parents = BTreeSet::new();
    parents.insert(child(driver.calls[0].task()).parent_id());
    driver.fail(&driver.only_peer(), CallError::NotSent);
    parents.insert(child(driver.calls[0].task()).parent_id());
    driver.advance(ms(100));
    assert_eq!(driver.calls.len(), 2, "a copy runs beside it");
    parents.insert(child(driver.calls[1].task()).parent_id());
    assert_eq!(parents.len(), 3);
}

#[test]
fn whoever_runs_the_job_is_a_child_too_whether_it_waited_or_not() {
    let mut driver = Driver::new(config("random"));
    driver.work(traced());
    driver.work(traced());
    let first = driver.running[0].clone();
    let result = Ok(crate::driver::output());
    driver.agent.handle_job_result(driver.now, first.0, result);
    driver.drain();
    let tasks: Vec<Task> = driver.running.iter().map(|(_, task)| task.clone()).collect();
    let [first, second] = [&first.1, tasks.last().expect("the second runs")].map(child);
    assert_ne!(first.parent_id(), second.parent_id());
}

/// Nothing is added to jobs without a trace, and those with one change no other choice of the agent.
#[test]
fn traces_move_no_other_random_choice() {
    let peers = |task: fn() -> Task| {
        let mut driver = Driver::with_peers(config("random"), &["a", "b", "c", "d", "e"]);
        let peers: Vec<String> = (0..50)
            .map(|_| {
                driver.delegate(task());
                let peer = driver.only_peer();
                let is_traced = driver.calls[0].task().trace().is_some();
                assert_eq!(is_traced, task().trace().is_some());
                driver.work_answered(&peer);
                peer
            })
            .collect();
        let ends = driver.notes.iter().filter(|note| matches!(note, Note::Delegated { .. }));
        assert_eq!(ends.count(), 50, "notes of traced jobs are told as well");
        peers
    };
    assert_eq!(peers(job), peers(|| job().in_trace(context().into())));
}

#[test]
fn a_context_in_the_payload_comes_before_others() {
    let other =
        TraceContext::parse("00-1bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
    let task = traced().in_trace(other.expect("a context").into());
    assert_eq!(task.trace_id(), Some(context().trace_id()));
    let mut plain = job();
    plain.set_trace(None);
    assert!(plain.details.is_none(), "nothing is allocated for nothing");
}
