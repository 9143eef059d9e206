//! Heartbeats, lost leases and a registry that does not answer.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::config::MembershipConfig;
use mesh_core::agent::{AgentConfig, Note, RegistryReply, RegistryRequest};
use mesh_core::registry::Registration;
use mesh_core::roster::Listing;

use crate::driver::{Driver, RARELY, at, config, lease, load, ms};

const REGISTERED: RegistryReply =
    RegistryReply::Registered { ttl: ms(30_000), rival: None, drain: None };

fn settings() -> AgentConfig {
    let membership = MembershipConfig {
        heartbeat: ms(10_000),
        refresh: RARELY,
        timeout: ms(1_000),
        ..MembershipConfig::default()
    };
    AgentConfig { membership, ..config("random") }
}

/// Takes the oldest unanswered `Register` call.
fn registration(driver: &mut Driver) -> (Timestamp, u64, Registration) {
    let fits = |r: &RegistryRequest| matches!(r, RegistryRequest::Register(_));
    let position = driver.registry.iter().position(|(_, _, r)| fits(r));
    let (sent, call, request) = driver.registry.remove(position.expect("it registers"));
    let RegistryRequest::Register(registration) = request else { unreachable!() };
    (sent, call, registration)
}

fn answer(driver: &mut Driver, call: u64, reply: RegistryReply) {
    driver.agent.handle_registry_reply(driver.now, call, reply);
    driver.drain();
}

/// Answers the first lists, which the agent fetches sooner than the refresh period says. When this
/// returns, the last of them has just been answered.
fn quick_lists(driver: &mut Driver, list: impl Fn() -> RegistryReply) {
    driver.answer_registry(list());
    for pause in [500, 1_000, 2_000, 4_000] {
        let asked = driver.now;
        driver.advance_to_next_list();
        driver.answer_registry(list());
        let waited = driver.now.since(asked);
        assert!((ms(pause * 9 / 10)..=ms(pause * 11 / 10)).contains(&waited), "{waited:?}");
    }
}

/// Lets time pass until the next `Register` call.
fn next_registration(driver: &mut Driver) -> (Timestamp, u64, Registration) {
    let fits = |r: &RegistryRequest| matches!(r, RegistryRequest::Register(_));
    while !driver.registry.iter().any(|(_, _, r)| fits(r)) {
        let due = driver.agent.poll_timeout();
        driver.advance(due.since(driver.now));
    }
    registration(driver)
}

#[test]
fn heartbeats_come_each_period_with_jitter() {
    let mut driver = Driver::new(settings());
    let (mut last, call, first) = registration(&mut driver);
    assert_eq!((last, first.renew, first.incarnation), (Timestamp::ZERO, false, Some(1)));
    answer(&mut driver, call, REGISTERED);
    let mut periods = Vec::new();
    for _ in 0..200 {
        driver.agent.handle_sample(33.0, 0.0);
        let (sent, call, heartbeat) = next_registration(&mut driver);
        assert!(heartbeat.renew);
        assert_eq!(heartbeat.load, Some(load(33.0, 0)));
        answer(&mut driver, call, REGISTERED);
        periods.push(sent.since(last));
        last = sent;
    }
    assert!(periods.iter().all(|period| (ms(9_000)..=ms(11_000)).contains(period)));
    assert!(periods.iter().any(|period| *period < ms(9_300)), "{periods:?}");
    assert!(periods.iter().any(|period| *period > ms(10_700)), "{periods:?}");
}

#[test]
fn a_lost_lease_is_taken_anew_at_once_by_a_new_life() {
    let mut driver = Driver::new(settings());
    let (_, call, _) = registration(&mut driver);
    answer(&mut driver, call, REGISTERED);
    let (sent, call, _) = next_registration(&mut driver);
    answer(&mut driver, call, RegistryReply::UnknownLease);
    let (again, call, renewed) = registration(&mut driver);
    assert_eq!(again, sent, "at once");
    assert_eq!((renewed.renew, renewed.incarnation), (false, Some(2)));
    answer(&mut driver, call, REGISTERED);
    let (_, _, heartbeat) = next_registration(&mut driver);
    assert_eq!((heartbeat.renew, heartbeat.incarnation), (true, Some(2)));
    let lives: Vec<&Note> =
        driver.notes.iter().filter(|note| !matches!(note, Note::ViewChanged { .. })).collect();
    assert_eq!(
        lives,
        [
            &Note::Registered { incarnation: 1 },
            &Note::LeaseLost { incarnation: 1 },
            &Note::Registered { incarnation: 2 },
        ]
    );
}

#[test]
fn an_unknown_lease_cannot_be_asked_for_in_a_loop() {
    let mut driver = Driver::new(settings());
    let (_, call, first) = registration(&mut driver);
    assert!(!first.renew);
    answer(&mut driver, call, RegistryReply::UnknownLease);
    let (sent, _, _) = next_registration(&mut driver);
    assert!(sent >= at(ms(900)), "an answer that makes no sense is a failure: {sent}");
}

#[test]
fn a_stale_life_becomes_the_newest() {
    let mut driver = Driver::new(settings());
    let (_, call, _) = registration(&mut driver);
    answer(&mut driver, call, RegistryReply::StaleIncarnation { current: 41, holder: None });
    let (sent, call, again) = next_registration(&mut driver);
    assert!((ms(900)..=ms(1_100)).contains(&sent.elapsed()), "after a pause: {sent}");
    assert_eq!((again.renew, again.incarnation), (false, Some(42)));
    answer(&mut driver, call, REGISTERED);
    assert!(driver.notes.contains(&Note::Registered { incarnation: 42 }));
}

#[test]
fn a_silent_registry_is_asked_ever_less_often() {
    let mut driver = Driver::new(settings());
    let mut sent: Vec<Duration> = vec![registration(&mut driver).0.elapsed()];
    for _ in 0..6 {
        sent.push(next_registration(&mut driver).0.elapsed());
    }
    let pauses: Vec<Duration> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each pause is 1 s of waiting for the answer, and then 1, 2, 4, 8 s with jitter, up to the
    // period.
    for (pause, backoff) in pauses.iter().zip([1_000, 2_000, 4_000, 8_000]) {
        let range = ms(1_000 + backoff * 9 / 10)..=ms(1_000 + backoff * 11 / 10);
        assert!(range.contains(pause), "{pauses:?}");
    }
    assert!(pauses[4..].iter().all(|p| (ms(9_000)..=ms(11_000)).contains(p)), "{pauses:?}");

    let (_, call, _) = next_registration(&mut driver);
    answer(&mut driver, call, REGISTERED);
    let (granted, call, _) = next_registration(&mut driver);
    answer(&mut driver, call, RegistryReply::Failed);
    let (sent, _, _) = next_registration(&mut driver);
    assert!(sent.since(granted) <= ms(1_100), "an answer resets the pauses");
}

#[test]
fn answers_to_superseded_calls_are_ignored() {
    let mut driver = Driver::new(settings());
    let (_, first, _) = registration(&mut driver);
    let (_, second, _) = next_registration(&mut driver);
    answer(&mut driver, first, RegistryReply::StaleIncarnation { current: 9, holder: None });
    answer(&mut driver, first, REGISTERED);
    assert!(driver.notes.is_empty(), "{:?}", driver.notes);
    answer(&mut driver, second, REGISTERED);
    answer(&mut driver, second, RegistryReply::UnknownLease);
    assert_eq!(driver.notes, [Note::Registered { incarnation: 1 }]);
}

#[test]
fn a_late_list_does_not_replace_a_newer_one() {
    let mut driver = Driver::new(settings());
    let fits = |r: &RegistryRequest| matches!(r, RegistryRequest::List);
    let position = driver.registry.iter().position(|(_, _, r)| fits(r)).expect("it lists");
    let (_, late, _) = driver.registry.remove(position);
    driver.advance(ms(2_200));
    let newer = Listing { epoch: 1, leases: vec![lease("a"), lease("me")].into() };
    driver.answer_registry(RegistryReply::Listed(newer));
    answer(
        &mut driver,
        late,
        RegistryReply::Listed(Listing { epoch: 1, leases: Vec::new().into() }),
    );
    assert_eq!(driver.agent.peers().names().map(|name| &**name).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_failed_list_keeps_the_view_and_is_repeated_soon() {
    let mut driver = Driver::new(AgentConfig {
        membership: MembershipConfig { refresh: ms(5_000), ..settings().membership },
        ..settings()
    });
    let list = || RegistryReply::Listed(Listing { epoch: 1, leases: vec![lease("a")].into() });
    quick_lists(&mut driver, list);
    let listed = driver.now;
    driver.advance(ms(5_500));
    let position = driver.registry.iter().position(|(_, _, r)| matches!(r, RegistryRequest::List));
    let (sent, call, _) = driver.registry.remove(position.expect("it refreshes"));
    assert!((ms(4_500)..=ms(5_500)).contains(&sent.since(listed)), "{sent}");
    answer(&mut driver, call, RegistryReply::Failed);
    driver.advance(ms(1_100));
    assert!(driver.registry.iter().any(|(_, _, r)| matches!(r, RegistryRequest::List)));
    assert_eq!(driver.agent.peers().len(), 1);
}

#[test]
fn the_lists_of_a_restarted_registry_come_quickly_again() {
    let membership = MembershipConfig { refresh: ms(60_000), ..settings().membership };
    let mut driver = Driver::new(AgentConfig { membership, ..settings() });
    let list = |epoch| RegistryReply::Listed(Listing { epoch, leases: vec![lease("a")].into() });
    quick_lists(&mut driver, || list(1));
    let listed = driver.now;
    driver.advance_to_next_list();
    assert!(driver.now.since(listed) >= ms(54_000), "{}", driver.now);
    quick_lists(&mut driver, || list(2));
}

#[test]
fn periods_without_end_are_no_overflow() {
    let membership = MembershipConfig {
        heartbeat: Duration::MAX,
        refresh: Duration::MAX,
        timeout: Duration::MAX,
        ..MembershipConfig::default()
    };
    let mut driver = Driver::new(AgentConfig { membership, ..settings() });
    driver.answer_registry(RegistryReply::Registered {
        ttl: Duration::MAX,
        rival: None,
        drain: None,
    });
    quick_lists(&mut driver, || {
        RegistryReply::Listed(Listing { epoch: 1, leases: vec![lease("a")].into() })
    });
    assert!(driver.agent.poll_timeout() > at(Duration::from_secs(1 << 33)), "centuries");
    driver.advance(ms(1_000));
}

/// Answers `count` heartbeats with leases of `ttl`, and gives back the times between them.
fn periods(driver: &mut Driver, ttl: Duration, count: usize) -> Vec<Duration> {
    let mut sent = Vec::new();
    for _ in 0..=count {
        let (at, call, _) = next_registration(driver);
        sent.push(at);
        answer(driver, call, RegistryReply::Registered { ttl, rival: None, drain: None });
    }
    sent.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn heartbeats_come_three_times_per_ttl_if_that_is_more_often_than_set() {
    let mut driver = Driver::new(settings());
    // 10 s are set. A TTL of 1 ms is too short to be kept, but it must not flood the registry.
    for (ttl, period) in [(3_000, 1_000), (15_000, 5_000), (1, 10), (30_000, 10_000)] {
        // The time of the first heartbeat may have been set for the former TTL.
        let periods = periods(&mut driver, ms(ttl), 6);
        let range = ms(period * 9 / 10)..=ms(period * 11 / 10);
        assert!(periods[1..].iter().all(|p| range.contains(p)), "{ttl}: {periods:?}");
        assert!(periods[0] <= *range.end(), "{ttl}: {periods:?}");
    }
    let shortened = |ttl, period| Note::HeartbeatShortened {
        ttl: ms(ttl),
        heartbeat: ms(10_000),
        period: ms(period),
    };
    let told = driver.notes.iter().filter(|n| matches!(n, Note::HeartbeatShortened { .. }));
    let expected = [shortened(3_000, 1_000), shortened(15_000, 5_000), shortened(1, 10)];
    assert!(told.eq(expected.iter()), "once each: {:?}", driver.notes);
}

#[test]
fn a_lease_is_kept_though_it_is_shorter_than_the_heartbeats_that_were_set() {
    let mut driver = Driver::new(settings());
    let periods = periods(&mut driver, ms(3_000), 50);
    assert!(periods[0] <= ms(1_100), "the first heartbeat does not wait for its old time");
    assert!(periods.iter().all(|period| *period < ms(3_000)), "{periods:?}");
}

fn names(driver: &Driver) -> Vec<&str> {
    driver.agent.peers().names().map(|name| &**name).collect()
}

/// An agent that fetches a list every 5 s and knows a and b. Then its registry has not answered for
/// a time; the last list that the agent asked for is still open.
fn silent_for(silence: Duration) -> Driver {
    let membership = MembershipConfig { refresh: ms(5_000), ..settings().membership };
    let mut driver = Driver::new(AgentConfig { membership, ..settings() });
    driver.answer_registry(REGISTERED);
    quick_lists(&mut driver, || list(&["a", "b", "me"]));
    driver.advance(silence);
    driver.registry.clear();
    driver.advance_to_next_list();
    driver
}

fn list(names: &[&str]) -> RegistryReply {
    let leases: Vec<_> = names.iter().map(|name| lease(name)).collect();
    RegistryReply::Listed(Listing { epoch: 1, leases: leases.into() })
}

#[test]
fn silence_of_the_registry_empties_nobodys_view() {
    for silence in [ms(40_000), ms(600_000)] {
        let mut driver = silent_for(silence);
        driver.registry.retain(|(_, _, request)| matches!(request, RegistryRequest::List));
        let heard = driver.now;
        driver.answer_registry(list(&["b"]));
        assert_eq!(names(&driver), ["a", "b"]);
        let (sent, call, _) = next_registration(&mut driver);
        assert!(sent.since(heard) <= ms(1_000), "it registers as soon as no call is under way");
        answer(&mut driver, call, RegistryReply::UnknownLease);
        let (again, call, renewed) = registration(&mut driver);
        assert_eq!((again, renewed.renew), (sent, false));
        answer(&mut driver, call, REGISTERED);
        // Peers that are not listed again within a TTL are gone.
        while driver.now < heard + ms(29_000) {
            driver.advance_to_next_list();
            driver.registry.retain(|(_, _, request)| matches!(request, RegistryRequest::List));
            driver.answer_registry(list(&["b", "me"]));
            assert!(driver.now >= heard + ms(30_000) || names(&driver) == ["a", "b"]);
        }
        driver.advance_to_next_list();
        driver.answer_registry(list(&["b", "me"]));
        driver.advance_to_next_list();
        driver.answer_registry(list(&["b", "me"]));
        assert_eq!(names(&driver), ["b"]);
    }
}

#[test]
fn an_agent_that_a_list_forgets_registers_at_once() {
    let membership = MembershipConfig { refresh: ms(5_000), ..settings().membership };
    let mut driver = Driver::new(AgentConfig { membership, ..settings() });
    driver.answer_registry(REGISTERED);
    quick_lists(&mut driver, || list(&["a", "b", "me"]));
    driver.advance_to_next_list();
    driver.registry.retain(|(_, _, request)| matches!(request, RegistryRequest::List));
    let asked = driver.now;
    driver.answer_registry(list(&["b"]));
    assert_eq!(names(&driver), ["a", "b"]);
    let (sent, _, heartbeat) = next_registration(&mut driver);
    assert!(heartbeat.renew);
    assert!(sent.since(asked) <= ms(1_000), "{sent}");
}
