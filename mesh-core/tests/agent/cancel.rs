//! After cancelling, finishing or shutting down, an agent holds nothing any more.

use mesh_core::agent::{AgentConfig, Failure, RegistryReply, RegistryRequest, RequestHandle};
use mesh_core::protocol::{Reply, Request, Task};

use crate::driver::{Driver, config, done_by, job, load, ms, output};

fn random() -> AgentConfig {
    config("random")
}

fn cancel(driver: &mut Driver, handle: Option<RequestHandle>) {
    driver.agent.handle_cancel(driver.now, handle.expect("not answered yet"));
    driver.drain();
}

#[test]
fn a_delegation_that_probes() {
    let settings = config("least_loaded");
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    let (ticket, handle) = driver.request(Request::Delegate(job()));
    driver.probe_answered("a", load(1.0, 0));
    cancel(&mut driver, handle);
    assert!(driver.is_open(ticket), "nobody is answered");
    driver.assert_idle();
}

#[test]
fn a_delegation_whose_job_is_at_a_peer() {
    let policy = "power_of_two signal=own";
    let mut driver = Driver::with_peers(config(policy), &["a", "b"]);
    let (ticket, handle) = driver.request(Request::Delegate(job()));
    let call = driver.calls[0].clone();
    cancel(&mut driver, handle);
    driver.assert_idle();
    driver.end_call(call.id, done_by(&call.peer));
    cancel(&mut driver, handle);
    driver.advance(ms(5_000));
    assert!(driver.is_open(ticket), "neither a late result nor the deadline answers it");
    driver.assert_idle();
}

#[test]
fn a_running_job_makes_room_for_the_next() {
    let mut driver = Driver::with_peers(random(), &[]);
    let (first, handle) = driver.request(Request::Work(job()));
    let second = driver.work(job());
    let cancelled = driver.running[0].0;
    cancel(&mut driver, handle);
    assert_eq!(driver.stopped, [cancelled]);
    assert_eq!(driver.agent.load().in_flight, 1);
    assert_eq!(driver.agent.load().queued, 0);
    finish_job(&mut driver);
    assert!(driver.is_open(first));
    assert!(matches!(&driver.answers[&second], Ok(Reply::Work(_))));
    driver.assert_idle();
}

#[test]
fn a_queued_job_makes_room_in_the_queue() {
    let mut driver = Driver::with_peers(random(), &[]);
    driver.work(job());
    let (_, handle) = driver.request(Request::Work(job()));
    let refused = driver.work(job());
    assert_eq!(driver.failure(refused), &Failure::Busy);
    cancel(&mut driver, handle);
    assert!(driver.stopped.is_empty(), "it never ran");
    let admitted = driver.work(job());
    assert!(driver.is_open(admitted));
}

fn finish_job(driver: &mut Driver) {
    let (job, _) = driver.running.remove(0);
    driver.agent.handle_job_result(driver.now, job, Ok(output()));
    driver.drain();
}

#[test]
fn a_job_answers_with_its_output_and_time() {
    let mut driver = Driver::with_peers(random(), &[]);
    driver.work(job());
    let second = driver.work(job());
    driver.advance(ms(100));
    finish_job(&mut driver);
    driver.advance(ms(200));
    finish_job(&mut driver);
    let Ok(Reply::Work(reply)) = &driver.answers[&second] else { panic!("not done") };
    assert_eq!(reply.latency, ms(300), "its wait in the queue included");
    assert_eq!(reply.result.get(), output().get());
    driver.assert_idle();
}

#[test]
fn a_failed_job_says_why() {
    let mut driver = Driver::with_peers(random(), &[]);
    let ticket = driver.work(job());
    let (id, _) = driver.running.remove(0);
    driver.agent.handle_job_result(driver.now, id, Err(Failure::JobFailed("out of paper".into())));
    driver.drain();
    assert_eq!(driver.failure(ticket), &Failure::JobFailed("out of paper".into()));
    driver.assert_idle();
}

#[test]
fn late_and_second_job_results_are_ignored() {
    let mut driver = Driver::with_peers(random(), &[]);
    let expired = driver.work(job());
    let (id, _) = driver.running[0].clone();
    driver.advance(ms(1_000));
    let next = driver.work(job());
    for _ in 0..2 {
        driver.agent.handle_job_result(driver.now, id, Ok(output()));
        driver.drain();
    }
    assert_eq!(driver.failure(expired), &Failure::DeadlineExceeded);
    assert!(driver.is_open(next));
    assert_eq!(driver.agent.load().in_flight, 1);
}

#[test]
fn info_tells_the_load() {
    let mut driver = Driver::with_peers(random(), &[]);
    driver.agent.handle_sample(40.0, 70.0);
    driver.work(job());
    driver.work(job());
    let (ticket, _) = driver.request(Request::Info);
    let Ok(Reply::Info(info)) = &driver.answers[&ticket] else { panic!("no info") };
    assert_eq!((info.load.cpu_percent, info.load.memory_percent), (40.0, 70.0));
    assert_eq!((info.load.in_flight, info.load.queued), (2, 1));
}

#[test]
fn shutdown_drains_and_ends_the_lease() {
    let mut driver = Driver::with_peers(random(), &["a", "b"]);
    let work = driver.work(job());
    let delegation = driver.delegate(Task { idempotent: true, ..job() });
    driver.agent.handle_shutdown(driver.now);
    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    let [(_, _, RegistryRequest::Deregister { name, incarnation: 1 })] = &driver.registry[..]
    else {
        panic!("{:?}", driver.registry)
    };
    assert_eq!(&**name, "me");

    for request in [Request::Info, Request::Work(job()), Request::Delegate(job())] {
        let (ticket, _) = driver.request(request);
        assert_eq!(driver.failure(ticket), &Failure::ShuttingDown);
    }
    driver.answer_registry(RegistryReply::Deregistered);
    assert!(!driver.agent.is_drained(), "work is under way");
    finish_job(&mut driver);
    let peer = driver.only_peer();
    driver.work_answered(&peer);
    assert!(matches!(&driver.answers[&work], Ok(Reply::Work(_))));
    assert_eq!(driver.done_by(delegation), peer);
    assert!(driver.agent.is_drained());
    driver.advance(ms(3_000_000));
    assert!(driver.registry.is_empty(), "no heartbeat follows");
}

#[test]
fn shutdown_does_not_wait_for_a_dead_registry() {
    let mut driver = Driver::new(random());
    let (_, register, _) = driver.registry.remove(0);
    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    let reply = RegistryReply::Registered { ttl: ms(30_000), rival: None, drain: None };
    driver.agent.handle_registry_reply(driver.now, register, reply);
    assert!(!driver.agent.is_drained(), "that was the answer to another call");
    driver.advance(ms(1_000));
    assert!(driver.agent.is_drained());
}
