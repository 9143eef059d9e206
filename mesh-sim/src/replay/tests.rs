//! Stories of made-up runs.

use mesh_core::agent::{Ending, FailureKind, Note, RetryReason};
use mesh_core::registry::{self, Deafness, LeaseNoteKind, RegisterError};
use mesh_core::resilience::PassOverReason;

use super::*;
use crate::experiment::example::scenario;
use crate::faults::{Crash, CrashMode, Partition};
use crate::host::AgentId;
use crate::journal::{ConnectionFailure, RequestRefusal, SentAgain};
use crate::presence::Presence;

const BUSY: Ending = Ending::Failed(FailureKind::Busy);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The host of the agent with this number, from 1, as in its name.
fn agent(number: u32) -> HostId {
    AgentId::new(number - 1).host()
}

/// A run of four agents in which the test says what happens.
struct Told(LoggedFacts);

impl Told {
    fn new(faults: Vec<Fault>) -> Self {
        let mut scenario = scenario(4, Duration::from_secs(60), &["random"]);
        scenario.faults = faults;
        scenario.warm_up = Duration::ZERO;
        Self(LoggedFacts::new(&scenario))
    }

    fn happens(mut self, at_ms: u64, host: HostId, fact: Fact) -> Self {
        self.0.observe(&JournalEntry { at: at(at_ms), host, fact });
        self
    }

    fn notes(self, at_ms: u64, number: u32, note: Note) -> Self {
        self.happens(at_ms, agent(number), Fact::AgentNoted(note))
    }

    fn due(self, at_ms: u64, request: u64, entry: u32) -> Self {
        let (entry, demand) = (AgentId::new(entry - 1), Duration::ZERO);
        let due = Fact::RequestDue { request, kind: 0, entry, demand, wait: demand };
        self.happens(at_ms, HostId::CLIENT, due).notes_delegating(at_ms + 2, entry, request)
    }

    fn notes_delegating(self, at_ms: u64, entry: AgentId, request: u64) -> Self {
        self.happens(at_ms, entry.host(), Fact::AgentNoted(Note::Delegating { request }))
    }

    fn ends(self, at_ms: u64, request: u64, due_ms: u64, outcome: RequestOutcome) -> Self {
        let due = at(due_ms);
        let ended = Fact::RequestEnded { request, kind: 0, due, outcome };
        self.happens(at_ms, HostId::CLIENT, ended)
    }

    fn routed(self, at_ms: u64, request: u64, attempt: u32, peer: &str) -> Self {
        let peer = peer.into();
        self.notes(at_ms, 1, Note::Routed { request, attempt, peer, incarnation: 1 })
    }
}

fn oracle(at_ms: u64, request: Option<u64>, hosts: &[&str]) -> RunFailure {
    let hosts = hosts.iter().map(|host| (*host).into()).collect();
    let (defect, detail) = (Defect::Oracle("x"), "that is wrong".to_owned());
    RunFailure { defect, detail, at: Some(at(at_ms)), request, hosts }
}

fn missed(cause: Option<&'static str>) -> RunFailure {
    let (defect, detail) = (Defect::Threshold { field: "max_p99", cause }, String::new());
    RunFailure { defect, detail, at: None, request: None, hosts: Vec::new() }
}

fn partition(from_ms: u64, lasts_ms: u64) -> Fault {
    let groups = vec![vec!["agent-1".into()], vec!["agent-2".into(), "registry".into()]];
    let kind = Partition { groups, one_way: false }.into();
    Fault { at: ms(from_ms), lasts: Some(ms(lasts_ms)), kind }
}

fn crash(from_ms: u64, lasts_ms: u64) -> Fault {
    let kind = Crash { hosts: vec!["agent-2".into()], mode: CrashMode::Machine }.into();
    Fault { at: ms(from_ms), lasts: Some(ms(lasts_ms)), kind }
}

fn fates(story: &FailureStory) -> Vec<(&str, &MessageFate)> {
    let messages = story.events.iter().filter_map(|event| event.message.as_ref());
    messages.map(|message| (&*message.label, &message.fate)).collect()
}

fn words(story: &FailureStory) -> Vec<String> {
    story.lines().into_iter().map(|line| line.words).collect()
}

#[test]
fn messages_are_followed_from_both_ends() {
    let told = Told::new(vec![partition(1_000, 3_000)])
        .due(2_000, 7, 1)
        .routed(2_003, 7, 0, "agent-2")
        .notes(2_500, 1, Note::Retrying { request: 7, attempt: 0, reason: RetryReason::NoAnswer })
        .routed(2_500, 7, 1, "agent-3")
        .notes(2_501, 3, Note::JobEnded { request: 7, attempt: 1, outcome: BUSY })
        .notes(2_502, 1, Note::Retrying { request: 7, attempt: 1, reason: RetryReason::Busy })
        .routed(2_502, 7, 2, "agent-4")
        .notes(2_503, 4, Note::JobStarted { request: 7, attempt: 2 })
        .notes(2_600, 4, Note::JobEnded { request: 7, attempt: 2, outcome: Ending::Done })
        .notes(2_601, 1, Note::Delegated { request: 7, outcome: Ending::Done })
        .ends(2_602, 7, 2_000, RequestOutcome::Answered);
    let story = told.0.story(&oracle(2_700, Some(7), &[]), 99);
    let arrived = |ms| MessageFate::Arrived(at(ms));
    let lost = MessageFate::Lost("the link is cut".to_owned());
    let expected = [
        ("request 7", &arrived(2_002)),
        ("job", &lost),
        ("job, attempt 2", &arrived(2_501)),
        ("busy", &arrived(2_502)),
        ("job, attempt 3", &arrived(2_503)),
        ("result", &arrived(2_601)),
        ("result", &arrived(2_602)),
    ];
    assert_eq!(fates(&story), expected);
    assert_eq!(story.hosts, ["client", "agent-1", "agent-2", "agent-3", "agent-4"].map(Name::from));
    let early = told.0.story(&oracle(2_600, Some(7), &[]), 99);
    assert_eq!(fates(&early).last(), Some(&("result", &MessageFate::UnderWay)));
}

#[test]
fn a_message_that_leaves_no_trace_is_lost_for_a_reason() {
    let lost_to = |faults: Vec<Fault>| {
        let told = Told::new(faults).due(2_000, 7, 1).routed(2_003, 7, 0, "agent-2");
        let told = told.ends(7_000, 7, 2_000, RequestOutcome::TimedOut);
        let story = told.0.story(&missed(None), 99);
        match fates(&story)[1].1 {
            MessageFate::Lost(why) => why.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lost_to(vec![crash(1_000, 2_000)]), "agent-2 is down");
    assert_eq!(lost_to(vec![partition(1_000, 2_000)]), "the link is cut");
    assert_eq!(lost_to(Vec::new()), "it never arrives");

    let retry = Note::Retrying { request: 7, attempt: 0, reason: RetryReason::NotSent };
    let told = Told::new(Vec::new()).due(2_000, 7, 1).routed(2_003, 7, 0, "agent-2");
    let told = told.notes(2_203, 1, retry).ends(7_000, 7, 2_000, RequestOutcome::TimedOut);
    let lost = MessageFate::Lost("no connection".to_owned());
    assert_eq!(fates(&told.0.story(&missed(None), 99))[1].1, &lost);
}

#[test]
fn an_answer_may_come_too_late_or_arrive_without_a_trace() {
    let done = Note::JobEnded { request: 7, attempt: 0, outcome: Ending::Done };
    let failed = Ending::Failed(FailureKind::DeadlineExceeded);
    let told = Told::new(Vec::new())
        .due(2_000, 7, 1)
        .routed(2_003, 7, 0, "agent-2")
        .notes(2_004, 2, Note::JobQueued { request: 7, attempt: 0 })
        .notes(6_999, 2, done)
        .notes(6_999, 1, Note::Delegated { request: 7, outcome: failed })
        .ends(7_000, 7, 2_000, RequestOutcome::TimedOut);
    let story = told.0.story(&missed(Some("timed_out")), 99);
    assert_eq!(fates(&story)[2], ("result", &MessageFate::TooLate));

    let refused = RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::ShuttingDown));
    let (entry, demand) = (AgentId::new(0), Duration::ZERO);
    let due = Fact::RequestDue { request: 1, kind: 0, entry, demand, wait: demand };
    let told = Told::new(Vec::new()).happens(10, HostId::CLIENT, due).ends(14, 1, 10, refused);
    assert_eq!(fates(&told.0.story(&missed(None), 9))[0].1, &MessageFate::ArrivedSometime);
}

#[test]
fn a_request_that_finds_no_connection_is_sent_elsewhere() {
    let (after, entry) = (RequestOutcome::Lost(ConnectionFailure::Connect), AgentId::new(2));
    let (how, pause) = (SentAgain::Failover, Duration::ZERO);
    let again =
        Fact::RequestSentAgain { request: 7, due: at(10), how, after, entry, attempt: 0, pause };
    let demand = Duration::ZERO;
    let due =
        Fact::RequestDue { request: 7, kind: 0, entry: AgentId::new(1), demand, wait: demand };
    let told = Told::new(Vec::new())
        .happens(10, HostId::CLIENT, due)
        .happens(210, HostId::CLIENT, again)
        .notes_delegating(212, entry, 7)
        .ends(5_010, 7, 10, RequestOutcome::TimedOut);
    let story = told.0.story(&missed(None), 9);
    let lost = MessageFate::Lost("no connection".to_owned());
    let expected = [("request 7", &lost), ("request 7, again", &MessageFate::Arrived(at(212)))];
    assert_eq!(fates(&story), expected);
}

#[test]
fn every_story_names_the_faults_that_were_there() {
    let faults = vec![partition(1_000, 1_000), crash(20_000, 60_000), partition(50_100, 100)];
    let told =
        Told::new(faults).due(50_000, 7, 1).ends(50_500, 7, 50_000, RequestOutcome::TimedOut);
    // With room for a single event.
    let lines = words(&told.0.story(&missed(None), 1));
    assert_eq!(lines[0], "crash, in effect since 20 s: agent-2");
    let story = told.0.story(&missed(None), 9);
    assert_eq!(
        words(&story),
        [
            "crash, in effect since 20 s: agent-2",
            "sends request 7; arrives after 2.00 ms",
            "takes the request",
            "partition begins: agent-1 | agent-2, registry",
            "partition ends: agent-1 | agent-2, registry",
            "gives request 7 up after 500 ms: no answer",
        ]
    );
    assert_eq!(story.decimals(), 3);

    // Long after the last fault, the last one is named all the same.
    let told = Told::new(vec![partition(1_000, 1_000), crash(3_000, 1_000)]);
    let told = told.due(59_000, 7, 1).ends(59_500, 7, 59_000, RequestOutcome::TimedOut);
    let story = told.0.story(&missed(None), 9);
    assert_eq!(story.faults.len(), 1);
    let expected = ["crash until 4 s: agent-2", "sends request 7; arrives after 2.00 ms"];
    assert_eq!(words(&story)[..2], expected);
    assert!(!story.is_drawn(&story.faults[0]), "it had hit none of the hosts");
}

#[test]
fn many_events_and_faults_are_counted_and_not_shown() {
    let faults = (0..40).map(|number| crash(100 * number, 50)).collect();
    let mut told = Told::new(faults).due(4_000, 7, 1);
    for attempt in 0..500 {
        told = told.routed(4_010 + u64::from(attempt), 7, attempt, "agent-2");
    }
    let told = told.ends(9_000, 7, 4_000, RequestOutcome::TimedOut);
    let story = told.0.story(&missed(None), 10);
    assert_eq!((story.events.len(), story.left_out), (10, 493));
    assert_eq!(story.events[0].words, "sends request 7", "a story begins at its beginning");
    assert_eq!((story.faults.len(), story.faults_left_out), (12, 28));
    assert_eq!(story, told.0.story(&missed(None), 10), "the same story again");
}

#[test]
fn what_the_failure_names_is_told() {
    let lease = |name: &str, kind| {
        let (name, url) = (name.into(), "h:1".into());
        Fact::RegistryNoted(registry::LeaseNote {
            name,
            incarnation: Some(4),
            url,
            kind,
            revision: None,
        })
    };
    let told = Told::new(Vec::new())
        .happens(10, HostId::REGISTRY, lease("agent-1", LeaseNoteKind::Granted))
        .happens(20, HostId::REGISTRY, lease("agent-3", LeaseNoteKind::Granted))
        .notes(30, 1, Note::ViewChanged { peers: 3 })
        .due(40, 7, 1)
        .happens(50, HostId::REGISTRY, lease("agent-1", LeaseNoteKind::Expired { at: at(49) }))
        .notes(60, 1, Note::ViewChanged { peers: 2 });
    let story = told.0.story(&oracle(55, None, &["agent-1"]), 9);
    let expected = [
        "lists agent-1: grants a lease",
        "knows 3 peers now",
        "strikes agent-1 from its list: the lease was not renewed",
    ];
    assert_eq!(words(&story), expected);
    assert_eq!(story.hosts, ["agent-1", "registry"].map(Name::from));
    assert_eq!(story.failed_host.as_deref(), Some("agent-1"));
    // What happened last is better than nothing.
    let other = told.0.story(&oracle(55, None, &["agent-4"]), 2);
    assert_eq!((other.events.len(), other.left_out), (2, 4));
}

#[test]
fn a_story_of_a_request_tells_what_its_hosts_met_shortly_before() {
    let passed = |peer: &str, penalty| {
        let reason = PassOverReason::NoAnswer;
        Note::PassedOver { peer: peer.into(), reason, penalty: ms(penalty) }
    };
    let told = Told::new(Vec::new())
        .happens(10, agent(1), Fact::HostCrashed(CrashMode::Machine))
        .notes(49_000, 1, passed("agent-2", 500))
        .notes(49_000, 1, passed("agent-3", 5_000))
        .notes(49_000, 1, passed("agent-2", 5_000))
        .happens(49_500, agent(2), Fact::HostCrashed(CrashMode::Process))
        .happens(49_500, agent(4), Fact::HostCrashed(CrashMode::Process))
        .notes(49_600, 1, Note::ViewChanged { peers: 2 })
        .due(50_000, 7, 1)
        .routed(50_002, 7, 0, "agent-2")
        .ends(55_000, 7, 50_000, RequestOutcome::TimedOut);
    let story = told.0.story(&missed(None), 99);
    let expected = [
        "passes agent-2 over for 5.00 s: no answer",
        "crashes: its process stops",
        "sends request 7; arrives after 2.00 ms",
    ];
    assert_eq!(words(&story)[..3], expected);
}

/// Request 1 is answered after 8 ms, request 2 is refused after 1 ms, request 3 later as well.
fn three_requests() -> Told {
    let busy = RequestOutcome::Refused(RequestRefusal::Failed(FailureKind::Busy));
    Told::new(Vec::new())
        .due(1, 1, 1)
        .due(2, 2, 1)
        .ends(3, 2, 2, busy)
        .due(4, 3, 1)
        .ends(5, 3, 4, busy)
        .ends(9, 1, 1, RequestOutcome::Answered)
}

#[test]
fn a_missed_threshold_is_shown_by_the_worst_request() {
    let mut told = three_requests();
    let story = told.0.story(&missed(None), 9);
    assert_eq!(story.request, Some(2), "it failed, and before the other");
    let about = "Request 2 shows it: it failed after 1.00 ms (busy).";
    assert_eq!(story.about.as_deref(), Some(about));
    assert_eq!((story.failed_at, story.failed_host.as_deref()), (at(3), Some("client")));
    assert_eq!(told.0.story(&missed(Some("timed_out")), 9).request, Some(2));
    told = told.routed(4, 3, 0, "agent-2");
    assert_eq!(told.0.story(&missed(Some("busy")), 9).request, Some(3), "more is known of it");
    told.0.warm_up = ms(5);
    assert_eq!(told.0.story(&missed(None), 9).request, None, "none was due after the warm-up");

    let told = Told::new(Vec::new()).due(1, 1, 1).ends(9, 1, 1, RequestOutcome::Answered);
    let about = told.0.story(&missed(None), 9).about;
    assert_eq!(about.as_deref(), Some("Request 1 shows it: no other took longer (8.00 ms)."));
}

fn told_words(host: HostId, fact: Fact) -> String {
    let facts = Told::new(Vec::new()).0;
    let teller = Teller::new(&facts.names, [].into_iter());
    teller.tell(&JournalEntry { at: at(1_000), host, fact }).words
}

#[test]
fn every_fact_of_a_client_host_or_registry_has_words() {
    let entry = AgentId::new(1);
    let again = |how, after| Fact::RequestSentAgain {
        request: 7,
        due: at(0),
        how,
        after,
        entry,
        attempt: 1,
        pause: ms(20),
    };
    let ended = |outcome| Fact::RequestEnded { request: 7, kind: 0, due: at(500), outcome };
    let connect = RequestOutcome::Lost(ConnectionFailure::Connect);
    let refused = RequestOutcome::Refused(RequestRefusal::RetriesExhaustedBusy);
    let lease = |kind| {
        let (name, url) = ("agent-1".into(), "h:2".into());
        Fact::RegistryNoted(registry::LeaseNote {
            name,
            incarnation: None,
            url,
            kind,
            revision: None,
        })
    };
    let demand = Duration::ZERO;
    let due = Fact::RequestDue { request: 7, kind: 0, entry, demand, wait: demand };
    let cases = [
        (due, "sends request 7"),
        (again(SentAgain::Failover, connect), "sends request 7 elsewhere: entry agent unreachable"),
        (again(SentAgain::Retry, refused), "sends request 7 again in 20.0 ms: peers busy"),
        (ended(RequestOutcome::Answered), "has the answer to request 7, after 500 ms"),
        (ended(refused), "is refused request 7 after 500 ms: peers busy"),
        (ended(RequestOutcome::TimedOut), "gives request 7 up after 500 ms: no answer"),
        (ended(connect), "loses request 7 after 500 ms: entry agent unreachable"),
        (Fact::HostCrashed(CrashMode::Machine), "crashes: its machine stops"),
        (Fact::HostCrashed(CrashMode::Process), "crashes: its process stops"),
        (Fact::HostRestarted, "runs again"),
        (Fact::PresenceChanged(Presence::NotJoined), "is not in the mesh yet"),
        (Fact::PresenceChanged(Presence::Member), "joins the mesh"),
        (Fact::PresenceChanged(Presence::Leaving), "is told to leave the mesh"),
        (Fact::PresenceChanged(Presence::Gone), "has left the mesh"),
        (lease(LeaseNoteKind::Granted), "lists agent-1: grants a lease"),
        (
            lease(LeaseNoteKind::Moved { from: "h:1".into() }),
            "moves the lease of agent-1 from h:1 to h:2",
        ),
        (lease(LeaseNoteKind::Replaced), "replaces the lease of agent-1: a later incarnation came"),
        (lease(LeaseNoteKind::Deregistered), "strikes agent-1 from its list: agent-1 leaves"),
        (
            lease(LeaseNoteKind::Expired { at: at(9) }),
            "strikes agent-1 from its list: the lease was not renewed",
        ),
        (
            Fact::RegistryHeardTwice { caller: agent(2) },
            "gets a message of agent-2 for the second time",
        ),
        (
            Fact::RegistryWasDeaf(Deafness::Slept(ms(900))),
            "did not run for 900 ms, and extends leases",
        ),
        (
            Fact::RegistryWasDeaf(Deafness::Silence(ms(900))),
            "heard no agent for 900 ms, and extends leases",
        ),
    ];
    for (fact, expected) in cases {
        assert!(fact.is_logged(), "{fact:?}");
        assert_eq!(told_words(HostId::REGISTRY, fact), expected);
    }
    let refused = LeaseNoteKind::Refused(RegisterError::Name);
    assert!(told_words(HostId::REGISTRY, lease(refused)).starts_with("refuses agent-1 a lease: "));
}

#[test]
fn every_note_of_an_agent_has_words() {
    let (request, attempt, peer) = (7, 1, Name::from("agent-2"));
    let ended = |outcome| Note::JobEnded { request, attempt, outcome };
    let cases = [
        (Note::Delegating { request }, "takes the request"),
        (Note::Held { request }, "keeps the job: no peer has a free slot"),
        (
            Note::Routed { request, attempt, peer: peer.clone(), incarnation: 1 },
            "sends the job, attempt 2",
        ),
        (
            Note::Retrying { request, attempt, reason: RetryReason::Busy },
            "tries another peer: busy",
        ),
        (Note::CopyWon { request, attempt }, "takes the answer of attempt 2"),
        (Note::CopyDropped { request, attempt }, "gives attempt 2 up"),
        (Note::JobQueued { request, attempt }, "queues the job"),
        (Note::JobStarted { request, attempt }, "starts the job"),
        (ended(Ending::Done), "finishes the job"),
        (ended(Ending::Cancelled), "drops the job: nobody waits for it"),
        (ended(BUSY), "ends the job without a result: busy"),
        (
            ended(Ending::Failed(FailureKind::OutcomeUnknown)),
            "ends the job without a result: outcome unknown",
        ),
        (Note::Delegated { request, outcome: Ending::Done }, "passes the result on"),
        (
            Note::Delegated { request, outcome: Ending::Cancelled },
            "drops the request: nobody waits for it",
        ),
        (Note::Delegated { request, outcome: BUSY }, "answers without a result: busy"),
        (Note::Registered { incarnation: 3 }, "is registered, incarnation 3"),
        (Note::LeaseLost { incarnation: 3 }, "has lost its lease, incarnation 3"),
        (
            Note::HeartbeatShortened { ttl: ms(600), heartbeat: ms(500), period: ms(200) },
            "sends a heartbeat every 200 ms from now on",
        ),
        (
            Note::NameTaken { own: "a:1".into(), holder: "b:1".into() },
            "finds its name taken by b:1",
        ),
        (
            Note::NameContested { own: "a:1".into(), rival: "b:1".into() },
            "learns that b:1 asks for its name",
        ),
        (Note::Draining { jobs: 1 }, "drains, with 1 job to finish"),
        (Note::DrainCancelled, "takes jobs again"),
        (Note::ViewChanged { peers: 1 }, "knows 1 peer now"),
        (
            Note::PassedOver {
                peer: peer.clone(),
                reason: PassOverReason::Outlier,
                penalty: ms(5_000),
            },
            "passes agent-2 over for 5.00 s: it fails more than others",
        ),
        (Note::Recovered { peer }, "sees agent-2 work again"),
    ];
    for (note, expected) in cases {
        assert_eq!(told_words(agent(1), Fact::AgentNoted(note)), expected);
    }
}
