//! A mesh of a few agents without a network. Messages wait in a pool until the schedule delivers,
//! loses or repeats them, and time passes when the schedule says so.

mod clock;
mod faults;
mod oracles;
pub(crate) mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::config::{
    AdmissionConfig, AgentConfig, Concurrency, DelegationConfig, Identity,
};
use mesh_core::agent::{Agent, CallError, CallId, Effect, Failure, JobId, RegistryRequest, Ticket};
use mesh_core::codec::{self, Origin};
use mesh_core::protocol::{IdleRequest, Name, Reply, Request, Task};
use mesh_core::resilience::RetryConfig;
use mesh_core::roster::ListedLease;
use mesh_core::seed::Seed;

use self::oracles::{Caller, HeldRequest, Life, Oracles};
use self::plan::{Plan, Setup};
use crate::driver::{output, policy};

/// The retry budget's share of the requests.
const RATIO: f64 = 0.1;

/// A failure as the caller reads it, after it was written as a JSON-RPC error.
fn over_the_wire(failure: &Failure) -> Failure {
    codec::from_error(&codec::to_error(failure), Some(Origin::of(failure)))
}

/// One of the ways in which a job fails.
fn job_failure(pick: usize) -> Failure {
    match pick % 4 {
        0 => Failure::JobFailed("out of paper".to_owned()),
        1 => Failure::Unavailable("no such file".into()),
        2 => Failure::OutcomeUnknown { peer: "the upstream".to_owned() },
        // The service that did the job is an agent itself, and busy.
        _ => Failure::Other(codec::to_error(&Failure::Busy)),
    }
}

/// The timeout of requests that name none. All requests of the schedules are shorter.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A message on its way.
#[derive(Clone, Debug)]
enum Message {
    Request {
        from: Life,
        call: CallId,
        to: usize,
        request: Request,
    },
    Result {
        to: Life,
        call: CallId,
        result: Result<Reply, CallError>,
    },
    /// The caller dropped the connection of a call.
    Hangup {
        from: Life,
        call: CallId,
    },
}

/// An agent that runs.
struct Alive {
    agent: Agent,
    born: Timestamp,
    running: Vec<(JobId, Task)>,
    /// Calls without a result, each with the driver's ticket if the agent took it in time.
    open: BTreeMap<CallId, Option<Ticket>>,
    /// Those of them that ask for a free slot, and may wait for it at any time.
    asks: BTreeSet<CallId>,
    /// Calls so far; the next one's ticket.
    calls: Ticket,
    stopping: bool,
}

/// One name of the mesh, and the agent that runs under it, if one does.
struct MeshNode {
    name: Name,
    /// How many agents have run under this name; the last one's incarnation.
    life: u64,
    alive: Option<Alive>,
}

/// The whole mesh: agents, messages, a simple registry, and the oracles that watch it.
pub(crate) struct World {
    setup: Setup,
    now: Timestamp,
    nodes: Vec<MeshNode>,
    messages: Vec<Message>,
    /// Results of calls that were handed in.
    past_results: Vec<(Life, CallId, Result<Reply, CallError>)>,
    past_jobs: Vec<(Life, JobId)>,
    leases: BTreeMap<Name, ListedLease>,
    epoch: u64,
    outage: bool,
    /// Calls to the registry that came up while effects were drained. They are answered after that.
    inbox: Vec<(Life, u64, RegistryRequest)>,
    tickets: Ticket,
    requests: u64,
    oracles: Oracles,
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let name = |node| Name::from(format!("agent-{node}"));
        let nodes =
            (0..setup.nodes).map(|node| MeshNode { name: name(node), life: 0, alive: None });
        let mut world = Self {
            now: Timestamp::ZERO,
            nodes: nodes.collect(),
            messages: Vec::new(),
            past_results: Vec::new(),
            past_jobs: Vec::new(),
            leases: BTreeMap::new(),
            epoch: 1,
            outage: false,
            inbox: Vec::new(),
            tickets: 0,
            requests: 0,
            oracles: Oracles::default(),
            setup,
        };
        for node in 0..world.nodes.len() {
            let name = world.nodes[node].name.clone();
            let lease = ListedLease::new(name, "h:1", 1, None);
            world.leases.insert(lease.name.clone(), lease);
        }
        for node in 0..world.nodes.len() {
            world.restart(node);
        }
        world
    }

    /// Runs a plan, heals the mesh, and gives back how often each interesting thing has happened.
    pub(crate) fn run(plan: &Plan) -> BTreeMap<&'static str, u32> {
        let mut world = Self::new(plan.setup.clone());
        for action in &plan.actions {
            world.act(action);
            world.check();
        }
        world.heal();
        world.check_liveness();
        world.oracles.seen
    }

    fn config(&self) -> AgentConfig {
        let Setup { concurrency, queue, attempt_timeout, max_attempts, to_self, .. } = self.setup;
        AgentConfig {
            admission: AdmissionConfig {
                concurrency: Concurrency::Limit(concurrency),
                queue,
                default_timeout: DEFAULT_TIMEOUT,
                ..AdmissionConfig::default()
            },
            delegation: DelegationConfig {
                attempt_timeout,
                max_attempts,
                to_self,
                retry: RetryConfig { ratio: RATIO, floor: self.setup.retry_floor },
                ..DelegationConfig::default()
            },
            policy: policy(self.setup.policy),
            ..AgentConfig::default()
        }
    }

    fn life(&self, node: usize) -> Life {
        (node, self.nodes[node].life)
    }

    fn alive(&mut self, life: Life) -> Option<&mut Alive> {
        let node = &mut self.nodes[life.0];
        if node.life == life.1 { node.alive.as_mut() } else { None }
    }

    /// Lets a live agent act, then carries out its effects.
    fn touch<T>(&mut self, life: Life, act: impl FnOnce(&mut Agent, Timestamp) -> T) -> Option<T> {
        let now = self.now;
        let done = act(&mut self.alive(life)?.agent, now);
        self.drain(life);
        Some(done)
    }

    fn drain(&mut self, life: Life) {
        while let Some(effect) = self.alive(life).and_then(|alive| alive.agent.poll_effect()) {
            self.carry_out(life, effect);
        }
        while let Some((life, call, request)) = self.inbox.pop() {
            if let Some(reply) = self.registry_answers(life, &request) {
                self.touch(life, |agent, now| agent.handle_registry_reply(now, call, reply));
            }
        }
    }

    fn carry_out(&mut self, life: Life, effect: Effect) {
        let now = self.now;
        match effect {
            Effect::Call { call, peer, request, until } => {
                assert!(until >= now);
                self.called(life, call, &peer.name, request);
            }
            Effect::Abandon { call, ticket } => {
                let known = self.alive(life).expect("it acts").open.remove(&call);
                assert_eq!(known, Some(ticket), "abandoned a call that was over, or another");
                self.messages.push(Message::Hangup { from: life, call });
            }
            Effect::Reply { ticket, answer } => {
                if let Caller::Peer(to, call) = self.oracles.answered(now, life, ticket) {
                    let result = answer.map_err(|failure| over_the_wire(&failure).into());
                    self.messages.push(Message::Result { to, call, result });
                }
            }
            Effect::Start { job, task } => {
                self.oracles.started(&task);
                self.alive(life).expect("it acts").running.push((job, task));
            }
            Effect::Stop(job) => {
                let running = &mut self.alive(life).expect("it acts").running;
                let position = running.iter().position(|(id, _)| *id == job);
                running.remove(position.expect("only running jobs are stopped"));
                self.past_jobs.push((life, job));
            }
            Effect::Registry { call, request, .. } => self.inbox.push((life, call, request)),
            Effect::Note(note) | Effect::TracedNote { note, .. } => self.oracles.noted(life, &note),
            Effect::Span(_) => {}
        }
    }

    fn called(&mut self, from: Life, call: CallId, peer: &Name, request: Request) {
        let to = self.nodes.iter().position(|node| node.name == *peer).expect("a known peer");
        assert!(self.setup.to_self || to != from.0, "{peer} delegates to itself");
        let max_attempts = self.setup.max_attempts;
        match &request {
            Request::Work(task) => self.oracles.sent(self.now, from, call, task, max_attempts),
            Request::Info | Request::Service | Request::Idle(_) => {}
            Request::Delegate(_) => panic!("agents don't delegate to delegate"),
        }
        let alive = self.alive(from).expect("it acts");
        let ticket = alive.calls;
        alive.calls += 1;
        let said = alive.agent.set_call_ticket(call, ticket);
        alive.open.insert(call, said.then_some(ticket));
        if matches!(request, Request::Idle(_)) {
            alive.asks.insert(call);
        }
        self.messages.push(Message::Request { from, call, to, request });
    }

    /// A request reaches an agent that runs.
    fn serve(&mut self, of: Life, caller: Caller, request: Request) {
        let timeout = match &request {
            Request::Info | Request::Service => DEFAULT_TIMEOUT,
            Request::Idle(IdleRequest::Ask { timeout, .. }) => *timeout,
            Request::Idle(IdleRequest::Release(_)) => Duration::ZERO,
            Request::Work(task) | Request::Delegate(task) => task.timeout.expect("always set"),
        };
        self.tickets += 1;
        let ticket = self.tickets;
        let deadline = self.now + timeout;
        let waits = matches!(request, Request::Idle(_));
        let asked = HeldRequest { of, caller, deadline, handle: None, open: true, waits };
        self.oracles.tickets.insert(ticket, asked);
        self.oracles.open.insert(ticket);
        let handle = self.touch(of, |agent, now| agent.handle_request(now, ticket, request));
        let asked = self.oracles.tickets.get_mut(&ticket).expect("just put in");
        asked.handle = handle.flatten();
        assert_eq!(asked.handle.is_some(), asked.open, "a handle for every open request");
    }

    fn cancel(&mut self, ticket: Ticket) {
        let asked = self.oracles.tickets.get_mut(&ticket).expect("a ticket");
        asked.open = false;
        self.oracles.open.remove(&ticket);
        let (of, handle) = (asked.of, asked.handle.expect("open requests have one"));
        self.touch(of, |agent, now| agent.handle_cancel(now, handle));
    }

    fn ask(&mut self, node: usize, delegate: bool, timeout: Duration, idempotent: bool) {
        self.requests += 1;
        let task =
            Task { timeout: Some(timeout), idempotent, request: self.requests, ..Task::new("x") };
        self.oracles.requested(&task, self.now + timeout);
        let request = if delegate { Request::Delegate(task) } else { Request::Work(task) };
        let life = self.life(node);
        if self.alive(life).is_some() {
            self.serve(life, Caller::Client, request);
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Request { from, call, to, request } => {
                let of = self.life(to);
                if self.alive(of).is_some() {
                    self.serve(of, Caller::Peer(from, call), request);
                } else {
                    self.hand_in(from, call, Err(CallError::NotSent));
                }
            }
            Message::Result { to, call, result } => self.hand_in(to, call, result),
            Message::Hangup { from, call } => {
                for ticket in self.oracles.open(Caller::Peer(from, call)) {
                    self.oracles.saw("hung up");
                    self.cancel(ticket);
                }
            }
        }
    }

    fn hand_in(&mut self, to: Life, call: CallId, result: Result<Reply, CallError>) {
        let Some(alive) = self.alive(to) else { return };
        if alive.open.remove(&call).is_some() {
            self.oracles.call_ended(to, call, &result);
        } else {
            self.oracles.saw("late result");
        }
        self.past_results.push((to, call, result.clone()));
        self.touch(to, |agent, now| agent.handle_call_result(now, call, result));
    }

    fn end_job(&mut self, life: Life, position: usize, failure: Option<Failure>) {
        let Some(alive) = self.alive(life) else { return };
        let (job, task) = alive.running.remove(position);
        let result = failure.map_or_else(|| Ok(output()), Err);
        match &result {
            Ok(_) => self.oracles.done(&task),
            Err(Failure::Unavailable(_)) => self.oracles.not_begun(&task),
            Err(_) => {}
        }
        self.past_jobs.push((life, job));
        self.touch(life, |agent, now| agent.handle_job_result(now, job, result));
    }

    /// Starts a new agent under a name whose agent has crashed.
    fn restart(&mut self, node: usize) {
        if self.nodes[node].alive.is_some() {
            return;
        }
        self.nodes[node].life += 1;
        let (name, incarnation) = (self.nodes[node].name.clone(), self.nodes[node].life);
        let identity = Identity { name, url: "h:1".into(), incarnation };
        let life = self.life(node);
        let seed = Seed::root(self.setup.seed).child(&format!("{life:?}"));
        let agent = Agent::new(self.now, identity, self.config(), &seed);
        let (running, open, asks) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let alive = Alive { agent, born: self.now, running, open, asks, calls: 0, stopping: false };
        self.nodes[node].alive = Some(alive);
        self.touch(life, Agent::handle_timeout);
    }
}
