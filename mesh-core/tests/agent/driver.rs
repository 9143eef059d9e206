//! A driver around one agent, which the test moves by hand: time passes when the test says so, and
//! every effect is kept for the test to look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::config::{
    AdmissionConfig, AgentConfig, Concurrency, DelegationConfig, Identity, MembershipConfig,
};
use mesh_core::agent::{
    Agent, CallError, CallId, Effect, Failure, JobId, Note, RegistryReply, RegistryRequest,
    RequestHandle, Ticket,
};
use mesh_core::load::LoadReport;
use mesh_core::profile::Profile;
use mesh_core::protocol::{InfoReply, Reply, Request, Task, WorkReply};
use mesh_core::resilience::RetryConfig;
use mesh_core::roster::{ListedLease, Listing};
use mesh_core::routing::{PolicyFactory, PolicySettings};
use mesh_core::seed::Seed;
use mesh_core::trace::TraceSpan;
use serde_json::value::RawValue;

/// The name of the agent under test.
pub(crate) const ME: &str = "me";

/// The time between heartbeats, and between lists: so long that they don't disturb a test.
pub(crate) const RARELY: Duration = Duration::from_secs(1_000);

/// A call to a peer that has no result yet.
#[derive(Clone, Debug)]
pub(crate) struct OpenCall {
    pub(crate) id: CallId,
    pub(crate) peer: String,
    pub(crate) request: Request,
    pub(crate) until: Timestamp,
}

impl OpenCall {
    /// The task that a call for `work` carries.
    pub(crate) fn task(&self) -> &Task {
        match &self.request {
            Request::Work(task) => task,
            other => panic!("the call to {} is no work: {other:?}", self.peer),
        }
    }
}

/// One agent, and everything that it has asked its driver for.
pub(crate) struct Driver {
    pub(crate) agent: Agent,
    pub(crate) now: Timestamp,
    /// Calls without a result, in the order in which they were sent.
    pub(crate) calls: Vec<OpenCall>,
    pub(crate) answers: BTreeMap<Ticket, Result<Reply, Failure>>,
    pub(crate) running: Vec<(JobId, Task)>,
    pub(crate) stopped: Vec<JobId>,
    /// Calls to the registry without an answer: when each was made, and its number.
    pub(crate) registry: Vec<(Timestamp, u64, RegistryRequest)>,
    pub(crate) notes: Vec<Note>,
    pub(crate) spans: Vec<Arc<TraceSpan>>,
    tickets: Ticket,
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(since_start: Duration) -> Timestamp {
    Timestamp::ZERO + since_start
}

/// A built-in policy from its text, such as "power_of_two signal=own".
pub(crate) fn policy(text: &str) -> Arc<dyn PolicyFactory> {
    let settings: PolicySettings = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Arc::new(settings)
}

/// Settings with a plentiful retry budget.
pub(crate) fn config(policy_text: &str) -> AgentConfig {
    AgentConfig {
        admission: AdmissionConfig {
            concurrency: Concurrency::Limit(1),
            queue: 1,
            default_timeout: ms(5_000),
            ..AdmissionConfig::default()
        },
        profile: Profile::default(),
        delegation: DelegationConfig {
            retry: RetryConfig { ratio: 0.0, floor: 100.0 },
            ..DelegationConfig::default()
        },
        membership: MembershipConfig {
            heartbeat: RARELY,
            refresh: RARELY,
            timeout: ms(1_000),
            ..MembershipConfig::default()
        },
        policy: policy(policy_text),
        ..AgentConfig::default()
    }
}

/// A job that must not be done twice, with a timeout of one second.
pub(crate) fn job() -> Task {
    Task { timeout: Some(ms(1_000)), request: 7, ..Task::new("x") }
}

/// The answer to `info` of an agent without skills.
pub(crate) fn info(agent: &str, load: LoadReport) -> InfoReply {
    let profile = Profile::default();
    InfoReply { agent: agent.into(), load, profile, version: None, uptime: None }
}

pub(crate) fn lease(name: &str) -> ListedLease {
    ListedLease::new(name, format!("{name}:1"), 1, None)
}

pub(crate) fn load(cpu_percent: f64, in_flight: u32) -> LoadReport {
    LoadReport { cpu_percent, in_flight, ..LoadReport::default() }
}

pub(crate) fn output() -> Arc<RawValue> {
    RawValue::from_string("\"out\"".into()).expect("valid JSON").into()
}

impl Driver {
    /// An agent that has been woken once: it has asked for a lease and for the list.
    pub(crate) fn new(config: AgentConfig) -> Self {
        let now = Timestamp::ZERO;
        let identity = Identity { name: ME.into(), url: "me:1".into(), incarnation: 1 };
        let mut driver = Self {
            agent: Agent::new(now, identity, config, &Seed::root(1)),
            now,
            calls: Vec::new(),
            answers: BTreeMap::new(),
            running: Vec::new(),
            stopped: Vec::new(),
            registry: Vec::new(),
            notes: Vec::new(),
            spans: Vec::new(),
            tickets: 0,
        };
        driver.agent.handle_timeout(now);
        driver.drain();
        driver
    }

    /// An agent that is registered and knows these peers.
    pub(crate) fn with_leases(config: AgentConfig, leases: Vec<ListedLease>) -> Self {
        let mut driver = Self::new(config);
        driver.answer_registry(RegistryReply::Registered {
            ttl: 3 * RARELY,
            rival: None,
            drain: None,
        });
        driver.answer_registry(RegistryReply::Listed(Listing { epoch: 1, leases: leases.into() }));
        driver
    }

    /// As [`Self::with_leases`], with peers of these names that report no load.
    pub(crate) fn with_peers(config: AgentConfig, names: &[&str]) -> Self {
        Self::with_leases(config, names.iter().map(|name| lease(name)).collect())
    }

    /// Answers the oldest open call to the registry that `reply` fits.
    pub(crate) fn answer_registry(&mut self, reply: RegistryReply) {
        let wants_list = matches!(reply, RegistryReply::Listed(_));
        let fits = |request: &RegistryRequest| matches!(request, RegistryRequest::List);
        let position = self.registry.iter().position(|(_, _, r)| fits(r) == wants_list);
        let (_, call, _) = self.registry.remove(position.expect("the agent asked the registry"));
        self.agent.handle_registry_reply(self.now, call, reply);
        self.drain();
    }

    pub(crate) fn request(&mut self, request: Request) -> (Ticket, Option<RequestHandle>) {
        self.tickets += 1;
        let handle = self.agent.handle_request(self.now, self.tickets, request);
        self.drain();
        assert_eq!(handle.is_none(), self.answers.contains_key(&self.tickets));
        (self.tickets, handle)
    }

    pub(crate) fn delegate(&mut self, task: Task) -> Ticket {
        self.request(Request::Delegate(task)).0
    }

    pub(crate) fn work(&mut self, task: Task) -> Ticket {
        self.request(Request::Work(task)).0
    }

    /// Lets time pass, and wakes the agent whenever it asks for it.
    pub(crate) fn advance(&mut self, by: Duration) {
        let target = self.now + by;
        loop {
            let due = self.agent.poll_timeout();
            if due > target {
                break;
            }
            assert!(due >= self.now, "woken too late: {due} is before {}", self.now);
            self.now = due;
            self.agent.handle_timeout(due);
            self.drain();
            assert!(self.agent.poll_timeout() > due, "busy loop at {due}");
        }
        self.now = target;
    }

    /// Lets time pass until the agent asks for the list of peers.
    pub(crate) fn advance_to_next_list(&mut self) {
        while !self.registry.iter().any(|(_, _, call)| matches!(call, RegistryRequest::List)) {
            let due = self.agent.poll_timeout();
            self.advance(due.since(self.now));
        }
    }

    /// Takes the open call to `peer`.
    pub(crate) fn take_call(&mut self, peer: &str) -> OpenCall {
        let position = self.calls.iter().position(|call| call.peer == peer);
        self.calls.remove(position.unwrap_or_else(|| panic!("no call to {peer}")))
    }

    pub(crate) fn end_call(&mut self, call: CallId, result: Result<Reply, CallError>) {
        self.agent.handle_call_result(self.now, call, result);
        self.drain();
    }

    /// The peer answers its probe with this load.
    pub(crate) fn probe_answered(&mut self, peer: &str, load: LoadReport) {
        let call = self.take_call(peer);
        assert!(matches!(call.request, Request::Info), "{:?}", call.request);
        let info = info(peer, load);
        self.end_call(call.id, Ok(Reply::Info(info)));
    }

    /// The peer answers that it has done its job, in no time.
    pub(crate) fn work_answered(&mut self, peer: &str) {
        let call = self.take_call(peer);
        assert_eq!(call.task().text.as_ref(), "x");
        self.end_call(call.id, done_by(peer));
    }

    /// The call to `peer` fails.
    pub(crate) fn fail(&mut self, peer: &str, error: CallError) {
        let call = self.take_call(peer);
        self.end_call(call.id, Err(error));
    }

    /// The peer of the only open call.
    pub(crate) fn only_peer(&self) -> String {
        assert_eq!(self.calls.len(), 1, "{:?}", self.calls);
        self.calls[0].peer.clone()
    }

    /// The names of the peers with an open call, sorted.
    pub(crate) fn called(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.calls.iter().map(|call| call.peer.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The failure that a request ended with.
    pub(crate) fn failure(&self, ticket: Ticket) -> &Failure {
        match self.answers.get(&ticket) {
            Some(Err(failure)) => failure,
            other => panic!("request {ticket} did not fail: {other:?}"),
        }
    }

    /// The peer that did a delegated job.
    pub(crate) fn done_by(&self, ticket: Ticket) -> &str {
        match self.answers.get(&ticket) {
            Some(Ok(Reply::Delegate(reply))) => &reply.delegated_to.agent,
            other => panic!("delegation {ticket} is not done: {other:?}"),
        }
    }

    pub(crate) fn is_open(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    /// Asserts that the agent holds no requests, calls or jobs.
    pub(crate) fn assert_idle(&self) {
        assert_eq!(self.agent.open(), 0);
        assert_eq!(self.agent.load().in_flight, 0);
        assert!(self.calls.is_empty(), "not abandoned: {:?}", self.calls);
        assert!(self.running.is_empty(), "not stopped: {:?}", self.running);
    }

    pub(crate) fn drain(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                Effect::Call { call, peer, request, until } => {
                    self.calls.push(OpenCall {
                        id: call,
                        peer: peer.name.to_string(),
                        request,
                        until,
                    });
                }
                Effect::Abandon { call: id, .. } => {
                    let position = self.calls.iter().position(|call| call.id == id);
                    self.calls.remove(position.expect("only open calls are abandoned"));
                }
                Effect::Reply { ticket, answer } => {
                    let before = self.answers.insert(ticket, answer);
                    assert!(before.is_none(), "{ticket} answered twice");
                }
                Effect::Start { job, task } => self.running.push((job, task)),
                Effect::Stop(id) => {
                    let position = self.running.iter().position(|(job, _)| *job == id);
                    self.running.remove(position.expect("only running jobs are stopped"));
                    self.stopped.push(id);
                }
                Effect::Registry { call, request, .. } => {
                    self.registry.push((self.now, call, request));
                }
                Effect::Note(note) | Effect::TracedNote { note, .. } => self.notes.push(note),
                Effect::Span(span) => self.spans.push(span),
            }
        }
    }
}

/// A peer's answer that it has done a job, in no time.
pub(crate) fn done_by(peer: &str) -> Result<Reply, CallError> {
    let latency = Duration::ZERO;
    Ok(Reply::Work(WorkReply { agent: peer.into(), result: output(), latency }))
}
