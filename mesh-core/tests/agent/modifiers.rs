//! The modifiers: what combines with every policy and is off by default.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use mesh_core::agent::{AgentConfig, CallError, Failure, Note, RegistryReply, TriedPeers};
use mesh_core::protocol::Task;
use mesh_core::resilience::{
    EjectionConfig, HealthConfig, HedgingConfig, ModifierConfig, RetryConfig, SlowStartConfig,
    ThrottleConfig,
};
use mesh_core::roster::Listing;
use mesh_core::seed::Seed;

use crate::driver::{Driver, at, config, done_by, job, lease, ms, output};

/// An agent's settings with these modifiers, under a policy that draws peers at random.
fn with(modifiers: ModifierConfig) -> AgentConfig {
    let mut config = config("random");
    config.delegation.modifiers = modifiers;
    config
}

fn hedging(hedge_after: Duration) -> AgentConfig {
    let hedging = HedgingConfig { hedge_after: Some(hedge_after), ..HedgingConfig::default() };
    with(ModifierConfig { hedging, ..ModifierConfig::default() })
}

fn idempotent() -> Task {
    Task { idempotent: true, ..job() }
}

#[test]
fn a_slow_job_is_sent_to_one_more_peer_and_the_first_answer_counts() {
    for winner in [0, 1] {
        let mut driver = Driver::with_peers(hedging(ms(100)), &["a", "b", "c"]);
        let ticket = driver.delegate(idempotent());
        driver.advance(ms(99));
        let first = driver.only_peer();
        driver.advance(ms(1));
        assert_eq!(driver.calls.len(), 2, "at two different peers");
        assert_eq!((driver.calls[0].task().attempt, driver.calls[1].task().attempt), (0, 1));
        driver.advance(ms(500));
        assert_eq!(driver.calls.len(), 2, "there is one copy at most");
        let faster = driver.calls[winner].peer.clone();
        assert_eq!(winner == 0, faster == first);
        driver.work_answered(&faster);
        assert_eq!(driver.done_by(ticket), faster);
        driver.assert_idle();
        let won = driver.notes.iter().filter(|note| matches!(note, Note::CopyWon { .. })).count();
        let request = idempotent().request;
        let dropped = Note::CopyDropped { request, attempt: 1 - winner as u32 };
        assert_eq!((won, driver.notes.contains(&dropped)), (winner, true));
    }
}

#[test]
fn copies_go_to_each_peer_once_and_only_if_they_may() {
    let mut settings = hedging(ms(100));
    settings.delegation.modifiers.hedging.hedge_copies = 9;
    settings.delegation.max_attempts = 4;
    let mut driver = Driver::with_peers(settings.clone(), &["a", "b", "c", "d", "e"]);
    driver.delegate(idempotent());
    driver.advance(ms(900));
    let peers: BTreeSet<&str> = driver.called().into_iter().collect();
    assert_eq!((driver.calls.len(), peers.len()), (4, 4), "as many as there may be attempts");

    let mut driver = Driver::with_peers(settings.clone(), &["a", "b", "c"]);
    driver.delegate(job());
    driver.advance(ms(900));
    assert_eq!(driver.calls.len(), 1, "a job that must not be done twice");

    settings.delegation.retry = RetryConfig { ratio: 0.0, floor: 0.0 };
    let mut driver = Driver::with_peers(settings, &["a", "b", "c"]);
    driver.delegate(idempotent());
    driver.advance(ms(900));
    assert_eq!(driver.calls.len(), 1, "the budget is empty");
}

#[test]
fn a_refused_copy_does_not_end_the_job() {
    let mut driver = Driver::with_peers(hedging(ms(100)), &["a", "b"]);
    let ticket = driver.delegate(idempotent());
    let first = driver.only_peer();
    driver.advance(ms(100));
    let second = driver.calls[1].peer.clone();
    driver.fail(&second, CallError::Answered(Failure::Busy));
    driver.advance(ms(100));
    assert!(driver.is_open(ticket), "the first peer still has it");
    driver.work_answered(&first);
    assert_eq!(driver.done_by(ticket), first);
    driver.assert_idle();
}

/// The mean time of jobs with exponential demands of mean 1 s at 20 servers, each of which does one
/// job after the other, with this load; `copies`: each job is sent to two of them at once. A server
/// does every job to its end, and every copy has a demand of its own.
fn mean_time(load: f64, copies: bool) -> f64 {
    const SERVERS: usize = 20;
    const JOBS: usize = 20_000;
    let mut settings = if copies { hedging(Duration::ZERO) } else { config("random") };
    settings.delegation.retry = RetryConfig { ratio: 1.0, floor: 1_000_000.0 };
    let names: Vec<String> = (0..SERVERS).map(|server| format!("s{server}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut driver = Driver::with_peers(settings, &names);
    let mut rng = Seed::root(5).rng();
    let mut exponential = |mean: f64| Duration::from_secs_f64(-libm::log(1.0 - rng.unit()) * mean);
    let (mut arrival, mut total, mut sent) = (ms(0), Duration::ZERO, 0);
    let mut free_at = BTreeMap::new();
    let mut began = BTreeMap::new();
    let mut ends = BinaryHeap::new();
    while sent < JOBS || !began.is_empty() {
        let next_end = ends.peek().map(|Reverse((end, _))| *end);
        if sent < JOBS && next_end.is_none_or(|end| arrival <= end) {
            driver.advance(at(arrival).since(driver.now));
            let request = sent as u64;
            let timeout = Some(Duration::from_secs(80_000));
            let known = driver.calls.len();
            driver.delegate(Task { request, timeout, ..idempotent() });
            driver.advance(Duration::ZERO);
            began.insert(request, arrival);
            for call in &driver.calls[known..] {
                let free: &mut Duration = free_at.entry(call.peer.clone()).or_default();
                *free = arrival.max(*free) + exponential(1.0);
                ends.push(Reverse((*free, call.id)));
            }
            (arrival, sent) = (arrival + exponential(1.0 / (load * SERVERS as f64)), sent + 1);
        } else if let Some(Reverse((end, id))) = ends.pop() {
            driver.advance(at(end).since(driver.now));
            // The call of a job that another server has done is closed.
            let Some(place) = driver.calls.iter().position(|call| call.id == id) else { continue };
            let call = driver.calls.remove(place);
            let request = call.task().request;
            driver.end_call(id, done_by(&call.peer));
            total += end - began.remove(&request).expect("it is answered once");
        }
        driver.notes.clear();
        driver.answers.clear();
        driver.registry.clear();
    }
    total.as_secs_f64() / JOBS as f64
}

/// Without copies every server is an M/M/1 queue. With two copies of each job and none cancelled, a
/// job waits for the faster one of two such queues with twice the load; that helps the mean only
/// below a load of 1/3: 1 / (2 (1 - 2 load)) against 1 / (1 - load).
#[test]
fn doubling_every_job_helps_the_mean_only_below_a_load_of_a_third() {
    for load in [0.2, 0.37] {
        let (once, twice) = (mean_time(load, false), mean_time(load, true));
        let expected = [1.0 / (1.0 - load), 0.5 / (1.0 - 2.0 * load)];
        for (measured, expected) in [once, twice].into_iter().zip(expected) {
            // 20,000 jobs: the standard error is up to 4 %. And the queues of 20 servers are not
            // quite independent.
            assert!((measured / expected - 1.0).abs() < 0.08, "{load}: {measured} {expected}");
        }
        assert_eq!(twice < once, load < 1.0 / 3.0, "{load}: {once} {twice}");
    }
}

#[test]
fn a_throttled_request_is_never_begun_and_says_when_to_come_back() {
    let throttle = ThrottleConfig { throttle: true, ..ThrottleConfig::default() };
    let mut driver =
        Driver::with_peers(with(ModifierConfig { throttle, ..Default::default() }), &["a"]);
    let mut throttled = 0;
    for _ in 0..1_000 {
        let ticket = driver.delegate(job());
        match driver.calls.first().map(|call| call.peer.clone()) {
            Some(peer) => driver.fail(&peer, CallError::Answered(Failure::Busy)),
            None => {
                let failure = driver.failure(ticket);
                assert_eq!(failure, &Failure::Throttled { retry_after: ms(3_000) });
                assert!(failure.is_refusal());
                throttled += 1;
            }
        }
        driver.advance(ms(100));
    }
    // 12 s pass until there are 120 requests, one per second of the window; after that nearly all.
    assert!((850..=881).contains(&throttled), "{throttled}");
    driver.assert_idle();
}

#[test]
fn a_peer_that_fails_a_third_of_its_jobs_is_ejected() {
    let ejection = EjectionConfig {
        eject: true,
        eject_rate_jobs: 20,
        eject_interval: ms(10_000),
        ..EjectionConfig::default()
    };
    let mut driver = Driver::with_peers(
        with(ModifierConfig { ejection, ..Default::default() }),
        &["a", "b", "c", "d", "e", "f", "g", "h"],
    );
    let mut of_a = 0;
    let mut late = 0;
    for number in 0..1_000 {
        let ticket = driver.delegate(job());
        let peer = driver.only_peer();
        of_a += usize::from(peer == "a");
        late += usize::from(peer == "a" && number >= 600);
        if peer == "a" && of_a % 3 == 0 {
            driver.fail("a", Failure::JobFailed("no paper".into()).into());
        } else {
            driver.work_answered(&peer);
            assert_eq!(driver.done_by(ticket), peer);
        }
        driver.advance(ms(20));
    }
    let health = HealthConfig::default();
    assert!(health.max_failures == 3 && of_a > 30, "never three failures in a row");
    assert_eq!(late, 0, "after 10 s it gets nothing for 30 s");
    let ejected = |note: &&Note| matches!(note, Note::PassedOver { peer, .. } if **peer == *"a");
    assert_eq!(driver.notes.iter().filter(ejected).count(), 1);
}

#[test]
fn a_busy_agent_says_when_and_its_callers_wait() {
    let mut settings = config("random");
    settings.admission.busy_hint = true;
    let mut peer = Driver::new(settings);
    // One slot and a queue of one; a job takes 100 ms.
    peer.work(job());
    peer.advance(ms(100));
    let done = peer.running.remove(0).0;
    peer.agent.handle_job_result(peer.now, done, Ok(output()));
    peer.drain();
    let tickets = [peer.work(job()), peer.work(job()), peer.work(job())];
    let busy = peer.failure(tickets[2]).clone();
    assert_eq!(busy, Failure::BusyFor(ms(100)));

    let mut driver = Driver::with_peers(config("random"), &["a", "b"]);
    let ticket = driver.delegate(job());
    let first = driver.only_peer();
    driver.fail(&first, busy.clone().into());
    let second = driver.only_peer();
    driver.work_answered(&second);
    assert_eq!(driver.done_by(ticket), second);
    for _ in 0..20 {
        driver.delegate(job());
        driver.work_answered(&second);
    }
    // Both are full: better than nobody, and the retry goes to the other one.
    let ticket = driver.delegate(job());
    driver.fail(&second, busy.clone().into());
    driver.fail(&first, busy.into());
    let all = TriedPeers { busy: 2, unreachable: 0 };
    assert_eq!(driver.failure(ticket), &Failure::AllBusy(all));
    driver.advance(ms(100));
    let seen: BTreeSet<String> = (0..20)
        .map(|_| {
            driver.delegate(job());
            let peer = driver.only_peer();
            driver.work_answered(&peer);
            peer
        })
        .collect();
    assert_eq!(seen.len(), 2, "the time is over");
}

#[test]
fn a_peer_that_joins_gets_its_share_bit_by_bit() {
    let slow_start =
        SlowStartConfig { slow_start: Some(Duration::from_secs(100)), ..Default::default() };
    let mut settings = with(ModifierConfig { slow_start, ..Default::default() });
    settings.membership.refresh = ms(500);
    let mut driver = Driver::with_peers(settings, &["a", "b", "c"]);
    let share_of = |driver: &mut Driver, name: &str| {
        let jobs = (0..2_000).filter(|_| {
            driver.delegate(job());
            let peer = driver.only_peer();
            driver.work_answered(&peer);
            peer == name
        });
        jobs.count() as f64 / 2_000.0
    };
    // Four standard errors of 2,000 draws are 4 %.
    assert!(
        (share_of(&mut driver, "a") - 1.0 / 3.0).abs() < 0.04,
        "the first list has no young peers"
    );
    driver.advance_to_next_list();
    let leases = ["a", "b", "c", "d"].map(lease).into_iter().collect();
    driver.answer_registry(RegistryReply::Listed(Listing { epoch: 1, leases }));
    let joined = driver.now;
    for (age, weight) in [(0, 0.1), (50, 0.5), (100, 1.0)] {
        driver.now = joined + Duration::from_secs(age);
        let share = share_of(&mut driver, "d");
        // With the probability `weight` it is one of four.
        assert!((share - weight / 4.0).abs() < 0.04, "{age}: {share}");
    }
}
