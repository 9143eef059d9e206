//! Drains: an agent that a registry tells to go, and what it does until then.

use std::time::Duration;

use mesh_core::agent::config::MembershipConfig;
use mesh_core::agent::{AgentConfig, Failure, Note, RegistryReply, RegistryRequest};
use mesh_core::protocol::{Reply, Request, Task};
use mesh_core::registry::{Registration, Registry, RegistryConfig};

use crate::driver::{Driver, RARELY, config, job, lease, ms, output};

fn answer(drain: Option<bool>) -> RegistryReply {
    RegistryReply::Registered { ttl: 3 * RARELY, rival: None, drain }
}

/// The registrations that are under way; what each says of a drain.
fn says(driver: &Driver) -> Vec<bool> {
    let calls = driver.registry.iter().filter_map(|(_, _, request)| match request {
        RegistryRequest::Register(registration) => Some(registration.draining),
        _ => None,
    });
    calls.collect()
}

/// An agent that a registry tells to drain at its next heartbeat. Lists come every second.
fn told_to_drain(before: impl FnOnce(&mut Driver)) -> Driver {
    let membership =
        MembershipConfig { heartbeat: RARELY, refresh: ms(1_000), jitter: 0.5, timeout: RARELY };
    let mut driver =
        Driver::with_leases(AgentConfig { membership, ..config("random") }, vec![lease("a")]);
    before(&mut driver);
    driver.advance(RARELY.mul_f64(1.5));
    assert_eq!(says(&driver), [false]);
    driver.answer_registry(answer(Some(true)));
    driver
}

#[test]
fn a_draining_agent_ends_its_jobs_and_takes_no_new_ones() {
    let long = Task { timeout: Some(4 * RARELY), ..job() };
    let mut driver = told_to_drain(|driver| {
        driver.work(long.clone());
    });
    assert!(driver.notes.contains(&Note::Draining { jobs: 1 }));
    assert_eq!(says(&driver), [true], "it says so at once");
    for request in [Request::Info, Request::Work(job())] {
        let (ticket, _) = driver.request(request);
        assert_eq!(driver.failure(ticket), &Failure::ShuttingDown);
    }
    let part = driver.delegate(job());
    driver.work_answered("a");
    assert!(matches!(driver.answers[&part], Ok(Reply::Delegate(_))), "its job may need others");
    driver.advance(ms(60_000));
    assert!(!driver.agent.may_leave(driver.now), "it has a job");
    let (id, _) = driver.running.pop().expect("it runs");
    driver.agent.handle_job_result(driver.now, id, Ok(output()));
    driver.drain();
    assert!(driver.agent.may_leave(driver.now));
    let late = driver.delegate(job());
    assert_eq!(driver.failure(late), &Failure::ShuttingDown);
    driver.agent.handle_shutdown(driver.now);
    assert!(!driver.agent.may_leave(driver.now) || driver.agent.is_stopping());
}

#[test]
fn an_idle_agent_stays_until_its_peers_have_seen_that_it_drains() {
    let mut driver = told_to_drain(|_| {});
    driver.advance(ms(1_499));
    assert!(!driver.agent.may_leave(driver.now), "a list of before may be in use");
    assert!(driver.agent.poll_timeout() <= driver.now + ms(1), "the driver is woken");
    driver.advance(ms(1));
    assert!(driver.agent.may_leave(driver.now));
}

#[test]
fn a_drain_that_is_cancelled_has_not_been() {
    let mut driver = told_to_drain(|_| {});
    driver.answer_registry(answer(None));
    driver.advance(2 * RARELY);
    driver.answer_registry(answer(Some(false)));
    assert_eq!(driver.notes.last(), Some(&Note::DrainCancelled));
    assert_eq!(says(&driver), [false], "it says so at once");
    assert!(!driver.agent.may_leave(driver.now));
    assert!(driver.request(Request::Work(job())).1.is_some());
    // Told twice is told once.
    let notes = driver.notes.len();
    driver.answer_registry(answer(Some(false)));
    assert!(!driver.notes[notes..].contains(&Note::DrainCancelled));
}

/// Two registries that know nothing of each other: a drain that was ordered at one and cancelled at
/// the other, and one that has lost its memory.
#[test]
fn what_the_agent_says_is_what_all_registries_list() {
    let registry = || Registry::new(RegistryConfig::default());
    let (mut one, mut two) = (registry(), registry());
    let mut driver = Driver::new(config("random"));
    let RegistryRequest::Register(first) = driver.registry[0].2.clone() else { panic!() };
    driver.answer_registry(answer(None));
    let mut says = false;
    // One round of heartbeats; the agent does what it is told.
    let mut round = |one: &mut Registry, two: &mut Registry, says: &mut bool| {
        for registry in [one, two] {
            driver.now += Duration::from_secs(1);
            let registration = Registration { draining: *says, ..first.clone() };
            let granted = registry.handle_register(driver.now, registration).expect("a lease");
            *says = granted.drain.unwrap_or(*says);
        }
        driver.now
    };
    let listed =
        |registry: &mut Registry, now| registry.handle_list(now).iter().all(|l| l.draining);
    let now = round(&mut one, &mut two, &mut says);
    one.handle_drain(now, "me", true).expect("a lease");
    assert!(listed(&mut one, now), "peers see it before the agent knows");
    round(&mut one, &mut two, &mut says);
    let now = round(&mut one, &mut two, &mut says);
    assert!(says && listed(&mut one, now) && listed(&mut two, now));
    one = registry();
    let now = round(&mut one, &mut two, &mut says);
    assert!(says && listed(&mut one, now), "it has lost its memory, and the agent has not");
    two.handle_drain(now, "me", false).expect("a lease");
    round(&mut one, &mut two, &mut says);
    let now = round(&mut one, &mut two, &mut says);
    assert!(!says && !listed(&mut one, now) && !listed(&mut two, now));
    // Cancelled before the agent has heard of it.
    one.handle_drain(now, "me", true).expect("a lease");
    one.handle_drain(now, "me", false).expect("a lease");
    let now = round(&mut one, &mut two, &mut says);
    assert!(!says && !listed(&mut one, now));
}
