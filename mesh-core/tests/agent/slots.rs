//! Free slots: how an agent offers its own, and how it asks peers for theirs.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use mesh_core::agent::{AgentConfig, CallError, Failure, LONGEST_WAIT, MAX_IDLE_CALLERS, Ticket};
use mesh_core::jsonrpc::Error;
use mesh_core::protocol::{IdleReply, IdleRequest, OfferNumber, Reply, Request, Task};

use crate::driver::{Driver, OpenCall, at, config, done_by, job, ms, output};

const ASK: IdleRequest = IdleRequest::Ask { timeout: ms(400), hold: ms(50) };

fn alone() -> Driver {
    Driver::with_peers(config("random"), &[])
}

fn ask(driver: &mut Driver) -> Ticket {
    driver.request(Request::Idle(ASK)).0
}

/// The answer to a call of `idle`; `None` if it waits.
fn reply(driver: &Driver, ticket: Ticket) -> Option<IdleReply> {
    match driver.answers.get(&ticket)? {
        Ok(Reply::Idle(reply)) => Some(*reply),
        other => panic!("no answer to idle: {other:?}"),
    }
}

fn offer(driver: &Driver, ticket: Ticket) -> OfferNumber {
    match reply(driver, ticket) {
        Some(IdleReply::Free { offer, .. }) => offer,
        other => panic!("no offer: {other:?}"),
    }
}

fn work_on(driver: &mut Driver, offer: Option<OfferNumber>) -> Ticket {
    driver.work(Task { offer, ..job() })
}

fn end_job(driver: &mut Driver) {
    let (job, _) = driver.running.remove(0);
    driver.agent.handle_job_result(driver.now, job, Ok(output()));
    driver.drain();
}

#[test]
fn a_free_slot_is_offered_to_one_caller_the_one_that_has_waited_longest() {
    let mut driver = alone();
    let callers: Vec<Ticket> = (0..3).map(|_| ask(&mut driver)).collect();
    let first = offer(&driver, callers[0]);
    assert_eq!([1, 2].map(|n| reply(&driver, callers[n])), [None; 2], "the slot is held");
    assert_eq!(driver.agent.idle_callers(), 2);
    work_on(&mut driver, Some(first));
    assert_eq!(driver.running.len(), 1);
    driver.advance(ms(100));
    assert_eq!(reply(&driver, callers[1]), None, "the slot is taken");
    end_job(&mut driver);
    assert_ne!(offer(&driver, callers[1]), first);
    assert_eq!(reply(&driver, callers[2]), None);
    driver.assert_idle();
}

#[test]
fn a_slot_is_held_for_a_short_time_and_refuses_nobody() {
    let mut driver = alone();
    let (first, second) = (ask(&mut driver), ask(&mut driver));
    driver.advance(ms(49));
    assert_eq!(reply(&driver, second), None);
    driver.advance(ms(1));
    let held = offer(&driver, second);
    // The first caller's job comes too late and takes the slot; the second one's job waits.
    let late = offer(&driver, first);
    work_on(&mut driver, Some(late));
    work_on(&mut driver, Some(held));
    assert_eq!((driver.agent.load().in_flight, driver.agent.load().queued), (2, 1));
    // A job of somebody who has not asked takes a slot that is held.
    end_job(&mut driver);
    end_job(&mut driver);
    let third = ask(&mut driver);
    offer(&driver, third);
    work_on(&mut driver, None);
    assert_eq!(driver.running.len(), 1);
}

#[test]
fn an_offer_that_is_given_back_goes_to_the_next() {
    let mut driver = alone();
    let (first, second) = (ask(&mut driver), ask(&mut driver));
    let unknown = NonZeroU32::new(99).unwrap();
    for release in [unknown, offer(&driver, first)] {
        assert_eq!(reply(&driver, second), None);
        let (ticket, _) = driver.request(Request::Idle(IdleRequest::Release(release)));
        assert_eq!(reply(&driver, ticket), Some(IdleReply::Full));
    }
    offer(&driver, second);
}

#[test]
fn a_caller_waits_as_long_as_it_says_and_no_longer_than_the_agent_allows() {
    let mut driver = alone();
    work_on(&mut driver, None);
    driver.advance(ms(1));
    let at_once = IdleRequest::Ask { timeout: ms(0), hold: ms(9) };
    let (ticket, _) = driver.request(Request::Idle(at_once));
    assert_eq!(reply(&driver, ticket), Some(IdleReply::Full));
    let short = ask(&mut driver);
    driver.advance(ms(399));
    assert_eq!(reply(&driver, short), None);
    driver.advance(ms(1));
    assert_eq!(reply(&driver, short), Some(IdleReply::Full));
    let long = IdleRequest::Ask { timeout: Duration::from_secs(80_000), hold: ms(9) };
    let mut driver = Driver::with_peers(config("random"), &[]);
    driver.work(Task { timeout: Some(Duration::from_secs(3_600)), ..job() });
    let (long, _) = driver.request(Request::Idle(long));
    driver.advance(LONGEST_WAIT - ms(1));
    assert_eq!(reply(&driver, long), None);
    driver.advance(ms(1));
    assert_eq!(reply(&driver, long), Some(IdleReply::Full));
}

#[test]
fn callers_that_leave_are_forgotten_and_too_many_are_refused() {
    let mut driver = alone();
    work_on(&mut driver, None);
    let handles: Vec<_> = (0..MAX_IDLE_CALLERS)
        .map(|_| driver.request(Request::Idle(ASK)).1.expect("it waits"))
        .collect();
    let refused = ask(&mut driver);
    assert_eq!(*driver.failure(refused), Failure::Busy);
    for handle in &handles[1..] {
        driver.agent.handle_cancel(driver.now, *handle);
    }
    let last = ask(&mut driver);
    assert_eq!(driver.agent.idle_callers(), 2);
    driver.agent.handle_cancel(driver.now, handles[0]);
    end_job(&mut driver);
    offer(&driver, last);
}

#[test]
fn an_agent_that_shuts_down_tells_those_who_wait() {
    let mut driver = alone();
    work_on(&mut driver, None);
    let waiting = ask(&mut driver);
    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    assert_eq!(*driver.failure(waiting), Failure::ShuttingDown);
    let late = ask(&mut driver);
    assert_eq!(*driver.failure(late), Failure::ShuttingDown);
}

/// The open calls that ask for a slot.
fn asks(driver: &Driver) -> Vec<OpenCall> {
    let asks = |call: &&OpenCall| matches!(call.request, Request::Idle(IdleRequest::Ask { .. }));
    driver.calls.iter().filter(asks).cloned().collect()
}

fn asked(driver: &Driver) -> Vec<String> {
    let mut peers: Vec<String> = asks(driver).into_iter().map(|call| call.peer).collect();
    peers.sort_unstable();
    peers
}

/// The peers to which jobs were sent that they have not done.
fn working(driver: &Driver) -> Vec<String> {
    let work = driver.calls.iter().filter(|call| matches!(call.request, Request::Work(_)));
    work.map(|call| call.peer.clone()).collect()
}

/// A peer answers that it has a free slot.
fn offers(driver: &mut Driver, peer: &str, number: u32) {
    let free =
        IdleReply::Free { offer: OfferNumber::new(number).unwrap(), hold: Duration::from_secs(1) };
    end_ask(driver, peer, Ok(Reply::Idle(free)));
}

fn end_ask(driver: &mut Driver, peer: &str, result: Result<Reply, CallError>) {
    let call = asks(driver).into_iter().find(|call| call.peer == peer);
    let call = call.unwrap_or_else(|| panic!("{peer} is not asked"));
    driver.calls.retain(|open| open.id != call.id);
    driver.end_call(call.id, result);
}

/// A peer answers as the Python demo does.
fn does_not_know(driver: &mut Driver, peer: &str) {
    let error = Failure::Other(Error::method_not_found());
    end_ask(driver, peer, Err(CallError::Answered(error)));
}

fn numbered(request: u64) -> Task {
    Task { request, ..job() }
}

fn pull(parameters: &str, peers: &[&str]) -> Driver {
    let mut pull: AgentConfig = config(&format!("pull {parameters}"));
    pull.delegation.probe_timeout = ms(200);
    Driver::with_peers(pull, peers)
}

const ALL: &str = "asked_per_job=256";

#[test]
fn jobs_wait_for_a_slot_and_get_one_in_order_of_arrival() {
    let mut driver = pull(ALL, &["a", "b", "c"]);
    assert!(driver.calls.is_empty(), "nobody is asked without a job");
    for request in [1, 2, 3] {
        driver.delegate(numbered(request));
    }
    assert_eq!((asked(&driver), driver.agent.held()), (["a", "b", "c"].map(Into::into).into(), 3));
    for (request, peer) in [(1, "b"), (2, "b"), (3, "a")] {
        offers(&mut driver, peer, 7);
        let call = driver.calls.iter().find(|call| matches!(call.request, Request::Work(_)));
        let call = call.expect("a job is sent").clone();
        assert_eq!((call.peer.as_str(), call.task().request), (peer, request));
        assert_eq!(call.task().offer, OfferNumber::new(7));
        driver.calls.retain(|open| open.id != call.id);
        driver.end_call(call.id, done_by(peer));
    }
    assert_eq!(driver.agent.held(), 0);
}

#[test]
fn a_slot_that_nobody_needs_is_given_back_and_nobody_is_asked_again() {
    let mut driver = pull(ALL, &["a", "b", "c"]);
    driver.delegate(job());
    offers(&mut driver, "a", 1);
    assert_eq!(
        (asked(&driver), working(&driver)),
        (vec!["b".into(), "c".into()], vec!["a".into()])
    );
    offers(&mut driver, "c", 5);
    let release = driver.calls.iter().find(|call| call.peer == "c").expect("a call").clone();
    let Request::Idle(IdleRequest::Release(number)) = release.request else {
        panic!("{release:?}")
    };
    assert_eq!(Some(number), OfferNumber::new(5));
    driver.calls.retain(|open| open.id != release.id);
    driver.end_call(release.id, Ok(Reply::Idle(IdleReply::Full)));
    end_ask(&mut driver, "b", Ok(Reply::Idle(IdleReply::Full)));
    assert_eq!((asked(&driver), working(&driver)), (vec![], vec!["a".into()]));
}

#[test]
fn the_longer_a_job_waits_the_more_peers_are_asked() {
    let mut driver = pull("asked_per_job=1 widen_ms=100", &["a", "b", "c"]);
    driver.delegate(job());
    for expected in 1..=3 {
        assert_eq!(asked(&driver).len(), expected);
        driver.advance(ms(100));
    }
    assert_eq!(asked(&driver).len(), 3);
}

#[test]
fn a_job_that_waits_ends_with_its_deadline_or_its_caller() {
    let mut driver = pull(ALL, &["a"]);
    let first = driver.delegate(numbered(1));
    let (_, handle) = driver.request(Request::Delegate(numbered(2)));
    driver.agent.handle_cancel(driver.now, handle.expect("it waits"));
    driver.drain();
    assert_eq!(driver.agent.held(), 1);
    driver.advance(ms(1_000));
    assert_eq!(*driver.failure(first), Failure::DeadlineExceeded);
    assert_eq!((driver.agent.held(), driver.agent.open()), (0, 0));
    // The peer says when the time is over for which it was asked.
    end_ask(&mut driver, "a", Ok(Reply::Idle(IdleReply::Full)));
    driver.assert_idle();
}

#[test]
fn a_peer_that_can_not_be_reached_is_asked_again_only_after_a_while() {
    let mut driver = pull(ALL, &["a", "b"]);
    driver.delegate(Task { timeout: Some(ms(30_000)), ..job() });
    end_ask(&mut driver, "a", Err(CallError::NotSent));
    for wait in [1_000, 1_000, 2_900] {
        driver.advance(ms(wait));
        assert_eq!(asked(&driver), ["b"], "the other one is passed over");
        end_ask(&mut driver, "b", Ok(Reply::Idle(IdleReply::Full)));
    }
    driver.advance(ms(1_000));
    assert_eq!(asked(&driver), ["a", "b"], "its penalty is over");
    // A peer that has too many callers already is well, but is left alone for a moment.
    end_ask(&mut driver, "b", Err(CallError::Answered(Failure::Busy)));
    assert_eq!(asked(&driver), ["a"]);
    driver.advance(ms(200));
    assert_eq!(asked(&driver), ["a", "b"]);
}

#[test]
fn a_peer_that_is_asked_and_silent_is_passed_over() {
    let mut driver = pull(ALL, &["a", "b"]);
    driver.delegate(Task { timeout: Some(ms(60_000)), ..job() });
    driver.advance(ms(100));
    end_ask(&mut driver, "b", Ok(Reply::Idle(IdleReply::Full)));
    let until = asks(&driver).iter().find(|call| call.peer == "a").expect("it is asked").until;
    assert_eq!(until, at(ms(200 + 200 + 1_000)), "wait, probe and connection");
    driver.advance(until.since(driver.now));
    assert_eq!(asked(&driver), ["b"]);
}

#[test]
fn a_peer_that_does_not_know_idle_has_one_job_at_a_time() {
    let mut driver = pull(ALL, &["demo"]);
    for request in 1..=3 {
        driver.delegate(numbered(request));
    }
    does_not_know(&mut driver, "demo");
    for left in (0..3).rev() {
        assert_eq!((working(&driver), driver.agent.held()), (vec!["demo".into()], left));
        assert_eq!(driver.calls[0].task().offer, None);
        let call = driver.take_call("demo");
        driver.end_call(call.id, done_by("demo"));
    }
    driver.advance(ms(100));
    driver.delegate(numbered(4));
    assert_eq!((asked(&driver), working(&driver)), (vec![], vec!["demo".into()]), "at once");
}

#[test]
fn a_job_that_a_peer_refuses_waits_for_another_one_before_those_that_came_later() {
    let mut driver = pull(ALL, &["a", "b"]);
    driver.delegate(numbered(1));
    offers(&mut driver, "a", 1);
    driver.advance(ms(1));
    driver.delegate(numbered(2));
    let call = driver.calls.iter().find(|call| matches!(call.request, Request::Work(_))).cloned();
    let call = call.expect("a job");
    driver.calls.retain(|open| open.id != call.id);
    driver.end_call(call.id, Err(CallError::Answered(Failure::Busy)));
    assert_eq!(driver.agent.held(), 2);
    offers(&mut driver, "b", 1);
    let call = driver.calls.iter().find(|call| matches!(call.request, Request::Work(_)));
    assert_eq!(call.expect("a job").task().request, 1);
    // The first job has been refused there, but the second one has not.
    offers(&mut driver, "a", 2);
    assert_eq!((working(&driver).len(), driver.agent.held()), (2, 0));
}

#[test]
fn an_agent_that_shuts_down_finds_peers_for_the_jobs_that_wait() {
    let mut driver = pull(ALL, &["a"]);
    driver.delegate(job());
    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    assert_eq!(asked(&driver), ["a"]);
    offers(&mut driver, "a", 1);
    assert_eq!(working(&driver), ["a"]);
    driver.work_answered("a");
    driver.assert_idle();
}

#[test]
fn idle_peers_queue_up_while_there_are_no_jobs() {
    let mut driver = Driver::with_peers(config("join_idle_queue"), &["a", "b", "c"]);
    // The policy is built for the first job, which goes anywhere.
    driver.delegate(job());
    let busy = driver.only_work();
    let others: Vec<&str> = ["a", "b", "c"].into_iter().filter(|peer| *peer != busy).collect();
    assert_eq!(asked(&driver), ["a", "b", "c"]);
    offers(&mut driver, others[1], 3);
    offers(&mut driver, others[0], 4);
    assert_eq!(asked(&driver), [busy.as_str()]);
    for number in [1, 0] {
        driver.delegate(job());
        let offer = if number == 1 { 3 } else { 4 };
        let call = driver.calls.iter().rfind(|call| matches!(call.request, Request::Work(_)));
        let call = call.expect("a job");
        assert_eq!(
            (call.peer.as_str(), call.task().offer),
            (others[number], OfferNumber::new(offer))
        );
    }
    assert_eq!(asked(&driver), ["a", "b", "c"]);
    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    assert!(asks(&driver).is_empty(), "an agent that shuts down needs no idle peers");
}

impl Driver {
    /// The peer that the only job was sent to.
    fn only_work(&self) -> String {
        let mut working: VecDeque<String> = working(self).into();
        assert_eq!(working.len(), 1, "{working:?}");
        working.pop_front().expect("one")
    }
}
