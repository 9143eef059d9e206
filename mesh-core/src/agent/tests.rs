//! Several attempts at once, which no setting leads to so exactly, and what is counted of choices.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::resilience::RetryConfig;
use crate::roster::{ListedLease, Listing, Roster};

use crate::routing::PolicySettings;

/// An agent with three peers and one delegation, and what the agent has asked its driver for.
struct DelegatingAgent {
    agent: Agent,
    now: Timestamp,
    id: DelegationId,
    /// Open calls by the peer's name, each with the number of its attempt.
    calls: BTreeMap<String, (CallId, u32)>,
    answers: Vec<Result<Reply, Failure>>,
    /// How many further attempts were announced by a note; each must come before the attempt.
    announced: u32,
}

fn job(idempotent: bool) -> Task {
    Task { timeout: Some(Duration::from_secs(1)), idempotent, request: 7, ..Task::new("x") }
}

fn done_by(peer: &str) -> Result<Reply, CallError> {
    let result = RawValue::from_string("1".into()).unwrap().into();
    Ok(Reply::Work(WorkReply { agent: peer.into(), result, latency: Duration::ZERO }))
}

impl DelegatingAgent {
    fn new(idempotent: bool, attempt_timeout_ms: u64) -> Self {
        let now = Timestamp::ZERO;
        let random: PolicySettings = "random".parse().expect("a built-in policy");
        let mut config = AgentConfig { policy: Arc::new(random), ..AgentConfig::default() };
        config.delegation.retry = RetryConfig { ratio: 0.0, floor: 10.0 };
        config.delegation.attempt_timeout = Some(Duration::from_millis(attempt_timeout_ms));
        let identity = Identity { name: "me".into(), url: "me:1".into(), incarnation: 1 };
        let mut agent = Agent::new(now, identity, config, &Seed::root(1));
        let leases: Roster = ["a", "b", "c"]
            .map(|name| ListedLease::new(name, "h:1", 1, None))
            .into_iter()
            .collect();
        agent.handle_timeout(now);
        let call = std::iter::from_fn(|| agent.poll_effect()).find_map(|effect| match effect {
            Effect::Registry { call, request: RegistryRequest::List, .. } => Some(call),
            _ => None,
        });
        let listed = RegistryReply::Listed(Listing { epoch: 1, leases });
        agent.handle_registry_reply(now, call.expect("it asks for the list"), listed);
        let Some(RequestHandle::Delegation(id)) =
            agent.handle_request(now, 1, Request::Delegate(job(idempotent)))
        else {
            panic!("the delegation is open")
        };
        let (calls, answers) = (BTreeMap::new(), Vec::new());
        let mut mesh = Self { agent, now, id, calls, answers, announced: 0 };
        mesh.drain();
        mesh
    }

    fn drain(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                Effect::Call { call, peer, request: Request::Work(task), .. } => {
                    assert_eq!(task.attempt, self.announced, "oracles know it");
                    let before = self.calls.insert(peer.name.to_string(), (call, task.attempt));
                    assert_eq!(before, None, "a peer gets a job once");
                }
                Effect::Abandon { call, .. } => {
                    let open = self.calls.len();
                    self.calls.retain(|_, (id, _)| *id != call);
                    assert_eq!(self.calls.len(), open - 1, "only open calls are abandoned");
                }
                Effect::Note(Note::Retrying { .. }) => self.announced += 1,
                Effect::Reply { answer, .. } => self.answers.push(answer),
                _ => {}
            }
        }
    }

    fn attempt_beside(&mut self) -> bool {
        let is_sent = self.agent.attempt_beside(self.now, self.id);
        self.drain();
        is_sent
    }

    /// The peer that has attempt number `attempt`.
    fn peer_of(&self, attempt: u32) -> String {
        let mut peers = self.calls.iter().filter(|(_, (_, number))| *number == attempt);
        peers.next().expect("the attempt is open").0.clone()
    }

    fn end(&mut self, peer: &str, result: Result<Reply, CallError>) {
        let (call, _) = self.calls.remove(peer).expect("it has the job");
        self.agent.handle_call_result(self.now, call, result);
        self.drain();
    }

    fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.agent.poll_timeout() <= until {
            self.now = self.agent.poll_timeout();
            self.agent.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn assert_over(&self) {
        assert!(self.calls.is_empty(), "not abandoned: {:?}", self.calls);
        assert_eq!((self.agent.open(), self.answers.len()), (0, 1));
    }
}

#[test]
fn the_first_answer_wins_and_the_other_attempt_is_abandoned() {
    for winner in [0, 1] {
        let mut mesh = DelegatingAgent::new(true, 500);
        assert!(mesh.attempt_beside());
        assert_eq!(mesh.calls.len(), 2, "two different peers");
        let peer = mesh.peer_of(winner);
        mesh.end(&peer, done_by(&peer));
        mesh.assert_over();
        let Ok(Reply::Delegate(reply)) = &mesh.answers[0] else { panic!("{:?}", mesh.answers) };
        assert_eq!(*reply.delegated_to.agent, *peer);
    }
}

#[test]
fn an_attempt_that_fails_while_another_is_open_does_not_end_the_delegation() {
    for error in [CallError::NotSent, CallError::NoAnswer, CallError::Answered(Failure::Busy)] {
        let mut mesh = DelegatingAgent::new(true, 500);
        mesh.attempt_beside();
        let (first, second) = (mesh.peer_of(0), mesh.peer_of(1));
        mesh.end(&first, Err(error));
        assert!(mesh.answers.is_empty());
        assert_eq!(mesh.calls.len(), 1, "nor does it lead to a third");
        mesh.end(&second, done_by(&second));
        mesh.assert_over();
    }
}

#[test]
fn when_all_attempts_have_failed_another_peer_is_tried() {
    let mut mesh = DelegatingAgent::new(true, 500);
    mesh.attempt_beside();
    let (first, second) = (mesh.peer_of(0), mesh.peer_of(1));
    mesh.end(&second, Err(CallError::NotSent));
    mesh.end(&first, Err(CallError::NotSent));
    let third = mesh.peer_of(2);
    assert!(third != first && third != second);
    mesh.end(&third, done_by(&third));
    mesh.assert_over();
}

#[test]
fn each_attempt_has_its_own_timeout() {
    let mut mesh = DelegatingAgent::new(true, 300);
    mesh.wait(200);
    mesh.attempt_beside();
    let second = mesh.peer_of(1);
    mesh.wait(100);
    assert_eq!(mesh.calls.keys().collect::<Vec<_>>(), [&second], "the first is over");
    mesh.wait(199);
    assert_eq!(mesh.calls.keys().collect::<Vec<_>>(), [&second]);
    mesh.wait(1);
    assert_eq!(mesh.peer_of(2), *mesh.calls.keys().next().unwrap(), "both are over");
    mesh.wait(500);
    mesh.assert_over();
    assert_eq!(
        mesh.answers[0].as_ref().unwrap_err(),
        &Failure::NoReachablePeers(TriedPeers { busy: 0, unreachable: 3 })
    );
}

#[test]
fn an_error_of_the_job_is_an_answer_and_ends_all_attempts() {
    let mut mesh = DelegatingAgent::new(true, 500);
    mesh.attempt_beside();
    let failure = Failure::JobFailed("no paper".into());
    let second = mesh.peer_of(1);
    mesh.end(&second, Err(failure.clone().into()));
    mesh.assert_over();
    assert_eq!(mesh.answers[0].as_ref().unwrap_err(), &failure);
}

#[test]
fn attempts_at_once_keep_to_the_limits() {
    let mut mesh = DelegatingAgent::new(false, 500);
    assert!(!mesh.attempt_beside(), "a job that must not be done twice is at one peer");
    let mut mesh = DelegatingAgent::new(true, 500);
    assert!(mesh.attempt_beside() && mesh.attempt_beside());
    assert!(!mesh.attempt_beside(), "nobody is left");
    mesh.agent.handle_cancel(mesh.now, RequestHandle::Delegation(mesh.id));
    mesh.drain();
    assert!(!mesh.attempt_beside(), "it is over");
    assert!(mesh.calls.is_empty());
    assert_eq!(mesh.agent.open(), 0);
}

#[test]
fn a_peer_that_leaves_and_returns_counts_as_new() {
    let mut mesh = DelegatingAgent::new(true, 500);
    let first = mesh.peer_of(0);
    let list = |names: &[&str]| -> Roster {
        names.iter().map(|name| ListedLease::new(*name, "h:1", 1, None)).collect()
    };
    let others: Vec<&str> = ["a", "b", "c"].into_iter().filter(|name| *name != first).collect();
    for leases in [list(&others), list(&["a", "b", "c"])] {
        let listing = (leases, super::trust::ListTrust::Believed);
        let change = mesh.agent.view.update(mesh.now, listing, None);
        assert!(change.has_changed);
        mesh.agent.forget_who_left();
    }
    assert_eq!(mesh.agent.view.contacts().all_outstanding(), 0);
    let peer = ListedLease::new(&*first, "h:1", 1, None).id();
    // The call that began in its first stay says nothing about its second.
    let before = mesh.agent.view.contacts().outstanding(peer);
    mesh.end(&first, Err(CallError::NotSent));
    assert_eq!((before, mesh.agent.view.contacts().outstanding(peer)), (0, 0));
    let mut passed_over = Vec::new();
    mesh.agent.decorators.passed_over(mesh.now, &mut |lease| passed_over.push(lease));
    assert!(passed_over.is_empty());
    assert!(mesh.agent.delegations[mesh.id].tried.is_empty(), "it may be tried again");
}

#[test]
fn choices_are_counted_by_their_reason() {
    let mut mesh = DelegatingAgent::new(true, 500);
    for attempt in 0..2 {
        let peer = mesh.peer_of(attempt);
        mesh.end(&peer, Err(CallError::NotSent));
    }
    let counts = |agent: &Agent| {
        let log = agent.choices().expect("it has chosen");
        ChoiceReason::ALL.map(|reason| log.count(reason))
    };
    assert_eq!(counts(&mesh.agent), [2, 0, 1, 0, 0], "the last one was the only one left");
    let aside = |passed_over| PeersAside { passed_over, held_back: 0 };
    assert_eq!(mesh.agent.peers_aside(mesh.now), aside(2));
    let last = mesh.peer_of(2);
    mesh.end(&last, Err(CallError::NotSent));
    assert_eq!(mesh.agent.peers_aside(mesh.now), aside(3));
    mesh.agent.handle_request(mesh.now, 2, Request::Delegate(job(false)));
    assert_eq!(counts(&mesh.agent), [2, 0, 1, 0, 1], "all have failed");
    let later = mesh.now + Duration::from_secs(60);
    assert_eq!(mesh.agent.peers_aside(later), aside(0));
    assert_eq!(mesh.agent.choices().expect("a log").probes_sent(), 0, "random asks nobody");
}
