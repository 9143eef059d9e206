//! A policy that is not built in: what it is told, what it may ask for, and the limits on that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{AgentConfig, CallError, CallId, Failure, RegistryReply, RequestHandle};
use mesh_core::protocol::{Reply, Request, Task};
use mesh_core::roster::{ListedLease, Listing, PeerId};
use mesh_core::routing::{
    Candidate, Eligible, Interests, MAX_OWN_PROBES, Picks, Policy, PolicyEvent, PolicyFactory,
    PolicyNeeds, Shortlist, Signal,
};
use mesh_core::seed::Rng;

use crate::driver::{Driver, at, config, done_by, info, job, lease, load, ms};

/// What a scripted policy was told, and what it is to do.
#[derive(Debug, Default)]
struct Script {
    /// Events in words, with the time in ms.
    told: Vec<String>,
    candidates: Vec<Candidate>,
    /// Names of the peers that it will ask to probe, the last one first.
    wants: Vec<&'static str>,
    /// Whether it asks for as many probes as it may have.
    is_greedy: bool,
    /// Whether its shortlist has all peers, and not only the first one.
    ranks_all: bool,
    timeout: Option<Timestamp>,
}

/// A policy that chooses the first peer and records what it is told. It is also its own factory,
/// and shares its script with the test.
#[derive(Clone, Debug)]
struct Scripted {
    script: Arc<Mutex<Script>>,
    signal: Signal,
    interests: Interests,
}

const ALL: Interests = Interests {
    jobs: true,
    probes: true,
    reports: true,
    service: false,
    members: true,
    own_probes: true,
    slots: false,
    timers: true,
};

impl Scripted {
    fn new(signal: Signal, interests: Interests) -> Self {
        Self { script: Arc::default(), signal, interests }
    }

    fn config(&self) -> AgentConfig {
        AgentConfig { policy: Arc::new(self.clone()), ..config("random") }
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().told)
    }

    fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }
}

impl PolicyFactory for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn needs(&self) -> PolicyNeeds {
        PolicyNeeds { signal: self.signal, utilisation: false }
    }

    fn build(&self, _rng: &mut Rng) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

/// The name of a peer of these tests.
fn name_of(peer: PeerId) -> String {
    let lives = |name: &'static str| (1..4).map(move |life| (name, life));
    let mut all = ["a", "b", "c", "d"].into_iter().flat_map(lives);
    let known = all.find(|(name, life)| peer == PeerId::new(name, &format!("{name}:1"), *life));
    known.map(|(name, life)| format!("{name}{life}")).expect("a peer of the test")
}

impl Policy for Scripted {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn interests(&self) -> Interests {
        self.interests
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        _eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Shortlist {
        if self.script.lock().unwrap().ranks_all {
            return Shortlist::All;
        }
        Shortlist::Some(Picks::one(0))
    }

    fn choose(&mut self, _now: Timestamp, candidates: &[Candidate], _rng: &mut Rng) -> usize {
        self.script(|script| script.candidates = candidates.to_vec());
        0
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        let ms = Duration::as_millis;
        let words = match event {
            PolicyEvent::Sent { peer, .. } => format!("sent {}", name_of(*peer)),
            PolicyEvent::Answered { peer, elapsed, at_peer, .. } => {
                format!("answered {} {} {}", name_of(*peer), ms(elapsed), ms(at_peer))
            }
            PolicyEvent::Refused { peer, elapsed, reason, .. } => {
                format!("refused {} {} {reason:?}", name_of(*peer), ms(elapsed))
            }
            PolicyEvent::Failed { peer, elapsed, reason, .. } => {
                format!("failed {} {} {reason:?}", name_of(*peer), ms(elapsed))
            }
            PolicyEvent::Cancelled { peer, elapsed, .. } => {
                format!("cancelled {} {}", name_of(*peer), ms(elapsed))
            }
            PolicyEvent::Load { peer, load, source, .. } => {
                format!("load {} {} {source:?}", name_of(*peer), load.in_flight)
            }
            PolicyEvent::ProbeFailed { peer, elapsed } => {
                format!("probe failed {} {}", name_of(*peer), ms(elapsed))
            }
            PolicyEvent::Joined { peer, name } => format!("joined {name} {}", name_of(*peer)),
            PolicyEvent::Left { peer, name } => format!("left {name} {}", name_of(*peer)),
            other => panic!("an event that the test does not know: {other:?}"),
        };
        let now = ms(&now.elapsed());
        self.script(|script| script.told.push(format!("{now}: {words}")));
    }

    fn poll_timeout(&self) -> Timestamp {
        self.script.lock().unwrap().timeout.unwrap_or(Timestamp::MAX)
    }

    fn handle_timeout(&mut self, now: Timestamp, _rng: &mut Rng) {
        let now = now.elapsed().as_millis();
        self.script(|script| script.told.push(format!("{now}: timeout")));
    }

    fn poll_probe(
        &mut self,
        _now: Timestamp,
        eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Option<usize> {
        let mut script = self.script.lock().unwrap();
        if script.is_greedy {
            return Some(0);
        }
        let name = script.wants.pop()?;
        eligible.find(name, PeerId::new(name, &format!("{name}:1"), 1))
    }
}

fn life(name: &str, incarnation: u64) -> ListedLease {
    ListedLease::new(name, format!("{name}:1"), incarnation, None)
}

fn next_list(driver: &mut Driver, leases: Vec<ListedLease>) {
    driver.advance_to_next_list();
    driver.answer_registry(RegistryReply::Listed(Listing { epoch: 1, leases: leases.into() }));
}

#[test]
fn a_policy_is_told_what_became_of_its_choices() {
    let policy = Scripted::new(Signal::None, Interests { jobs: true, ..Interests::NONE });
    let mut driver = Driver::with_peers(policy.config(), &["a", "b", "c"]);
    driver.delegate(job());
    driver.advance(ms(30));
    driver.work_answered("a");
    assert_eq!(policy.told(), ["0: sent a1", "30: answered a1 30 0"]);

    driver.delegate(job());
    driver.advance(ms(5));
    driver.fail("a", CallError::Answered(Failure::Busy));
    driver.advance(ms(1));
    driver.fail("b", CallError::NotSent);
    driver.fail("c", CallError::Answered(Failure::JobFailed("no".into())));
    assert_eq!(
        policy.told(),
        [
            "30: sent a1",
            "35: refused a1 5 Busy",
            "35: sent b1",
            "36: failed b1 1 NotSent",
            "36: sent c1",
            "36: failed c1 0 Error",
        ]
    );

    let (_, handle) = driver.request(Request::Delegate(job()));
    driver.advance(ms(7));
    let handle @ RequestHandle::Delegation(_) = handle.unwrap() else { panic!("{handle:?}") };
    driver.agent.handle_cancel(driver.now, handle);
    driver.drain();
    driver.delegate(job());
    driver.advance(ms(1_000));
    assert_eq!(
        policy.told(),
        ["36: sent a1", "43: cancelled a1 7", "43: sent a1", "1043: failed a1 1000 NoAnswer"]
    );
    driver.assert_idle();
}

#[test]
fn identities_outlive_lists_and_a_new_life_is_another_peer() {
    let interests = Interests { jobs: true, members: true, ..Interests::NONE };
    let policy = Scripted::new(Signal::None, interests);
    let mut settings = policy.config();
    settings.membership.refresh = ms(100);
    let mut driver = Driver::with_peers(settings, &["b", "c"]);
    assert!(policy.told().is_empty(), "it is built when it is needed");
    let patient = Task { timeout: Some(ms(900_000)), ..job() };
    driver.delegate(patient.clone());
    assert_eq!(policy.told(), ["0: joined b b1", "0: joined c c1", "0: sent b1"]);

    // Another peer comes before b in the list, and c starts anew.
    next_list(&mut driver, vec![life("a", 1), life("b", 1), life("c", 2)]);
    let words: Vec<String> = policy.told().iter().map(|told| words_of(told)).collect();
    assert_eq!(words, ["joined a a1", "left c c1", "joined c c2"]);
    driver.work_answered("b");
    let told = policy.told();
    assert!(told[0].contains("answered b1"), "{told:?}");

    // A call whose peer has left the list tells the policy nothing any more.
    driver.delegate(patient);
    next_list(&mut driver, vec![life("b", 1)]);
    driver.fail("a", CallError::NotSent);
    let words: Vec<String> = policy.told().iter().map(|told| words_of(told)).collect();
    assert_eq!(words, ["sent a1", "left a a1", "left c c2", "sent b1"]);
}

/// An event without its time.
fn words_of(told: &str) -> String {
    told.split_once(": ").expect("a time").1.to_owned()
}

#[test]
fn loads_come_from_probes_and_lists() {
    let interests = Interests { probes: true, reports: true, ..Interests::NONE };
    let policy = Scripted::new(Signal::Probes, interests);
    let mut settings = policy.config();
    settings.membership.refresh = ms(100);
    let report = |name, in_flight| ListedLease::new(name, format!("{name}:1"), 1, in_flight);
    let leases = vec![report("a", Some(load(0.0, 4))), report("b", None)];
    let mut driver = Driver::with_leases(settings, leases);
    driver.delegate(job());
    driver.advance(ms(3));
    driver.probe_answered("a", load(0.0, 6));
    driver.work_answered("a");
    driver.delegate(job());
    driver.advance(ms(2));
    driver.fail("a", CallError::NoAnswer);
    assert_eq!(
        policy.told(),
        ["0: load a1 4 Registry", "3: load a1 6 Probe { round_trip: 3ms }", "5: probe failed a1 2"]
    );
    driver.advance(ms(200));
    policy.told();
    // The policy is told only the reports that are new.
    next_list(&mut driver, vec![report("a", Some(load(0.0, 4))), report("b", Some(load(0.0, 1)))]);
    let told = policy.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(words_of(&told[0]), "load b1 1 Registry");
}

#[test]
fn what_is_unknown_is_not_zero() {
    let policy = Scripted::new(Signal::Reports, Interests::NONE);
    policy.script(|script| script.ranks_all = true);
    let mut driver = Driver::with_peers(policy.config(), &["a"]);
    let candidate = |policy: &Scripted| policy.script.lock().unwrap().candidates[0];
    driver.delegate(job());
    let unknown = Candidate::unknown(lease("a").id());
    assert_eq!(candidate(&policy), unknown);
    driver.delegate(job());
    assert_eq!(candidate(&policy), unknown.with_outstanding(1));
    driver.advance(ms(20));
    driver.work_answered("a");
    driver.delegate(job());
    let known = candidate(&policy);
    assert_eq!((known.load(), known.outstanding()), (None, 1));
    assert_eq!(known.latency().map(|latency| latency.value), Some(ms(20)));
    assert!(policy.told().is_empty(), "who wants to know nothing is told nothing");
}

#[test]
fn a_probing_policy_sees_its_own_jobs() {
    let policy = Scripted::new(Signal::Probes, Interests::NONE);
    let mut driver = Driver::with_peers(policy.config(), &["a"]);
    for outstanding in 0..3 {
        driver.delegate(job());
        driver.advance(ms(4));
        // The earlier jobs are open calls to the same peer, so take the probe.
        let probe = open_probes(&driver).remove(0);
        driver.calls.retain(|call| call.id != probe);
        let info = info("a", load(10.0, 7));
        driver.end_call(probe, Ok(Reply::Info(info)));
        let candidate = policy.script.lock().unwrap().candidates[0];
        assert_eq!(candidate.outstanding(), outstanding);
    }
}

#[test]
fn a_policy_sees_how_old_the_answers_to_its_probes_are() {
    let policy = Scripted::new(Signal::Probes, Interests::NONE);
    policy.script(|script| script.ranks_all = true);
    let mut settings = policy.config();
    settings.delegation.probe_timeout = ms(5_000);
    let mut driver = Driver::with_peers(settings, &["a", "b"]);
    driver.delegate(Task { timeout: Some(ms(5_000)), ..job() });
    for (in_flight, answered_after) in [(7, 100), (8, 1_200)] {
        driver.advance(ms(answered_after));
        let load = load(10.0, in_flight);
        let info = info("x", load);
        let probe = open_probes(&driver).remove(0);
        driver.calls.retain(|call| call.id != probe);
        driver.end_call(probe, Ok(Reply::Info(info)));
    }
    let seen = |peer: usize| {
        let candidate = policy.script.lock().unwrap().candidates[peer];
        let (load, latency) = (candidate.load().unwrap(), candidate.latency().unwrap());
        (load.value.in_flight, load.age.as_millis(), latency.value, latency.age)
    };
    // The age of a latency is rounded down to a second.
    assert_eq!(seen(0), (7, 1_200, ms(100), ms(1_000)));
    assert_eq!(seen(1), (8, 0, ms(1_300), ms(0)));
}

#[test]
fn probes_of_its_own_come_back_as_events() {
    let policy = Scripted::new(Signal::None, ALL);
    let mut driver = Driver::with_peers(policy.config(), &["a", "b", "c"]);
    policy.script(|script| script.wants = vec!["c", "b"]);
    let ticket = driver.delegate(job());
    policy.told();
    assert_eq!(driver.called(), ["a", "b", "c"]);
    assert_eq!(driver.agent.open(), 3, "the delegation and its job twice, but not the probes");
    driver.work_answered("a");
    assert_eq!(driver.done_by(ticket), "a");
    driver.advance(ms(8));
    driver.probe_answered("c", load(0.0, 2));
    driver.advance(ms(192));
    assert!(driver.calls.is_empty(), "no probe takes longer than probe_timeout");
    assert_eq!(
        policy.told(),
        [
            "0: answered a1 0 0",
            "8: load c1 2 Probe { round_trip: 8ms }",
            "200: probe failed b1 200",
        ]
    );
    driver.assert_idle();
}

fn open_probes(driver: &Driver) -> Vec<CallId> {
    let probes = driver.calls.iter().filter(|call| matches!(call.request, Request::Info));
    probes.map(|call| call.id).collect()
}

#[test]
fn probes_of_its_own_are_bounded() {
    let policy = Scripted::new(Signal::None, ALL);
    let mut driver = Driver::with_peers(policy.config(), &["a", "b"]);
    policy.script(|script| script.is_greedy = true);
    driver.delegate(job());
    let probes = |driver: &Driver| open_probes(driver).len();
    assert_eq!(probes(&driver), MAX_OWN_PROBES);
    // A failed probe makes room for another one only after the probe timeout.
    let first = open_probes(&driver);
    driver.calls.retain(|call| call.id != first[0]);
    driver.end_call(first[0], Err(CallError::NotSent));
    assert_eq!(probes(&driver), MAX_OWN_PROBES - 1);
    driver.advance(ms(200));
    assert_eq!(probes(&driver), MAX_OWN_PROBES, "all are silent, and all are asked anew");
    driver.end_call(first[1], done_by("a"));
    assert_eq!(probes(&driver), MAX_OWN_PROBES, "a late result is ignored");

    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    assert_eq!(probes(&driver), 0, "nothing is asked while it stops");
    driver.advance(ms(2_000));
    driver.assert_idle();
}

#[test]
fn a_greedy_policy_does_not_stop_time() {
    let policy = Scripted::new(Signal::None, ALL);
    let mut settings = policy.config();
    settings.delegation.probe_timeout = Duration::ZERO;
    let mut driver = Driver::with_peers(settings, &["a"]);
    policy.script(|script| script.is_greedy = true);
    driver.delegate(job());
    driver.work_answered("a");
    driver.advance(ms(3));
    // An answer of another kind counts as a failure: the peer is not probed again at once.
    let first = open_probes(&driver)[0];
    driver.calls.retain(|call| call.id != first);
    driver.end_call(first, done_by("a"));
    assert_eq!(open_probes(&driver).len(), MAX_OWN_PROBES - 1);
}

#[test]
fn a_probe_says_nothing_of_a_peer_that_has_left() {
    let interests = Interests { members: true, probes: true, own_probes: true, ..Interests::NONE };
    let policy = Scripted::new(Signal::None, interests);
    let mut settings = policy.config();
    settings.membership.refresh = ms(100);
    settings.delegation.probe_timeout = ms(900_000);
    let mut driver = Driver::with_peers(settings, &[]);
    driver.delegate(job());
    policy.script(|script| script.wants = vec!["a"]);
    // Only the probe is under way, and the agent knows nothing of any peer.
    next_list(&mut driver, vec![life("a", 1), life("b", 1)]);
    assert_eq!(driver.only_peer(), "a");
    next_list(&mut driver, vec![life("b", 1)]);
    policy.told();
    driver.probe_answered("a", load(0.0, 1));
    assert!(policy.told().is_empty(), "`Left` is the last that is told of a peer");
}

#[test]
fn a_peer_is_free_again_when_its_probe_is_abandoned() {
    let interests = Interests { own_probes: true, ..Interests::NONE };
    let policy = Scripted::new(Signal::None, interests);
    let mut driver = Driver::with_peers(policy.config(), &["a", "b", "c"]);
    policy.script(|script| script.wants = vec!["b"]);
    driver.delegate(job());
    driver.fail("b", CallError::NotSent);
    driver.work_answered("a");
    driver.advance(ms(6_000));
    // The penalty of b is over, and the probe is its trial: all other choices wait for the result.
    policy.script(|script| script.wants = vec!["b"]);
    driver.delegate(job());
    assert_eq!(driver.called(), ["a", "b"]);
    driver.agent.handle_shutdown(driver.now);
    driver.drain();
    driver.fail("a", CallError::NotSent);
    assert_eq!(driver.only_peer(), "b");
}

#[test]
fn a_policy_has_timers() {
    let policy = Scripted::new(Signal::None, ALL);
    let mut driver = Driver::with_peers(policy.config(), &["a"]);
    policy.script(|script| script.timeout = Some(at(ms(50))));
    driver.delegate(job());
    driver.work_answered("a");
    policy.told();
    driver.advance(ms(49));
    assert!(policy.told().is_empty());
    driver.advance(ms(2));
    assert_eq!(policy.told(), ["50: timeout", "51: timeout"], "unmoved, it comes a bit later");
    policy.script(|script| script.timeout = Some(at(ms(500))));
    driver.advance(ms(1));
    policy.told();
    driver.advance(ms(500));
    let told = policy.told();
    assert_eq!(told.first().map(String::as_str), Some("500: timeout"));
    policy.script(|script| script.timeout = None);
    driver.advance(ms(10));
    policy.told();
    driver.advance(ms(1_000));
    assert!(policy.told().is_empty());
}
