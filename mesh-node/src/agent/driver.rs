//! The driver: the only code that touches the agent's state machine.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_core::agent::{
    Agent, AgentConfig, CallId, Effect, Failure, Handle, Identity, JobId, Note, Ticket,
};
use mesh_core::hash::FastMap;
use mesh_core::protocol::{Name, Reply, Request, Task};
use mesh_core::registry::HEARTBEATS_PER_TTL;
use mesh_core::seed::Seed;
use mesh_core::{Timestamp, jsonrpc};
use slotmap::SecondaryMap;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::AgentParts;
use super::metrics::{AgentMetrics, Gauges};
use crate::host::JobResult;
use crate::http::{Client, Response};
use crate::{Clock, Host, Net, Observer};

/// An answer, or the reason why there is none.
pub(super) type RequestResult = Result<Reply, Failure>;

/// A state machine and what carries out its effects.
pub(super) struct AgentDriver<N, H, O> {
    pub(super) name: Name,
    pub(super) registry: Arc<str>,
    pub(super) clock: Clock,
    pub(super) client: Client<N>,
    pub(super) json: jsonrpc::Limits,
    /// How long to wait for the registry.
    pub(super) patience: Duration,
    /// How long a lease lasts if the registry doesn't say.
    pub(super) usual_ttl: Duration,
    /// The registry did not answer the last time.
    pub(super) registry_is_silent: AtomicBool,
    /// What it answered the last time was no registry's.
    pub(super) registry_is_strange: AtomicBool,
    pub(super) host: H,
    pub(super) observer: (AgentMetrics, O),
    started: Timestamp,
    state: Mutex<DriverState>,
    /// The time to wake has moved forward.
    sooner: Notify,
    /// The agent may have become drained.
    quieter: Notify,
}

struct DriverState {
    agent: Agent,
    next_ticket: Ticket,
    waiting: BTreeMap<Ticket, oneshot::Sender<RequestResult>>,
    /// Notifications under way: they go on when their senders leave.
    kept: BTreeMap<Ticket, Handle>,
    calls: FastMap<CallId, AbortHandle>,
    jobs: SecondaryMap<JobId, AbortHandle>,
    /// Jobs that take no time, for when the lock is free.
    instant: Vec<(JobId, Task)>,
    wake_at: Timestamp,
}

impl<N: Net, H: Host, O: Observer> AgentDriver<N, H, O> {
    pub(super) fn new(
        identity: Identity,
        config: AgentConfig,
        seed: &Seed,
        parts: AgentParts<N, H, O>,
    ) -> Arc<Self> {
        let AgentParts { net, clock, host, observer, registry, client, json, server: _ } = parts;
        let name = identity.name.clone();
        let patience = config.membership.timeout;
        let usual_ttl = config.membership.heartbeat.saturating_mul(HEARTBEATS_PER_TTL);
        let state = DriverState {
            agent: Agent::new(clock.now(), identity, config, seed),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            kept: BTreeMap::new(),
            calls: FastMap::default(),
            jobs: SecondaryMap::new(),
            instant: Vec::new(),
            wake_at: Timestamp::MAX,
        };
        Arc::new(Self {
            name,
            registry,
            clock,
            client: Client::new(net, client),
            json,
            patience,
            usual_ttl,
            registry_is_silent: AtomicBool::new(false),
            registry_is_strange: AtomicBool::new(false),
            host,
            observer: (AgentMetrics::default(), observer),
            started: clock.now(),
            state: Mutex::new(state),
            sooner: Notify::new(),
            quieter: Notify::new(),
        })
    }

    /// One mutation, then drain.
    pub(super) fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut Agent, Timestamp) -> R) -> R {
        let mut state = self.lock();
        let now = self.clock.now();
        let result = act(&mut state.agent, now);
        self.drain(&mut state, now);
        // Each job gets a task of its own: here no caller waits for any of them.
        for (job, task) in std::mem::take(&mut state.instant) {
            self.start(&mut state, job, task);
        }
        result
    }

    /// Hands in a request; the answer comes through the [`PendingRequest`].
    pub(super) fn submit(self: &Arc<Self>, request: Request) -> PendingRequest<N, H, O> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, sender);
        let now = self.clock.now();
        let handle = state.agent.handle_request(now, ticket, request);
        self.drain(&mut state, now);
        let instant = std::mem::take(&mut state.instant);
        drop(state);
        for (job, task) in instant {
            self.run_at_once(job, task);
        }
        PendingRequest { driver: self.clone(), ticket, handle, receiver }
    }

    /// Wakes the state machine whenever it asks for it.
    pub(super) async fn keep_time(self: &Arc<Self>) {
        loop {
            self.with(|agent, now| agent.handle_timeout(now));
            let wake_at = self.lock().wake_at;
            tokio::select! {
                biased;
                () = self.sooner.notified() => {}
                () = self.clock.sleep_until(wake_at) => {}
            }
        }
    }

    /// Samples the machine in the background, never in a request.
    pub(super) async fn sample(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(self.host.window()).await;
            let (cpu_percent, memory_percent) = self.host.sample();
            self.with(|agent, now| {
                agent.handle_sample(in_range(cpu_percent), in_range(memory_percent));
                self.observer.load(now, &self.name, &agent.load(), agent.open());
                self.observer.view(now, &self.name, agent.peers());
            });
        }
    }

    /// Ready once the agent, told to shut down, has nothing under way.
    pub(super) async fn drained(self: &Arc<Self>) {
        while !self.lock().agent.is_drained() {
            self.quieter.notified().await;
        }
    }

    /// Cancels the notifications that are still under way when the service ends.
    pub(super) fn cut_off(self: &Arc<Self>) {
        let kept = std::mem::take(&mut self.lock().kept);
        for handle in kept.into_values() {
            self.with(|agent, now| agent.handle_cancel(now, handle));
        }
    }

    /// The page of `GET /metrics`.
    pub(super) fn page(&self) -> Response {
        let gauges = {
            let state = self.lock();
            Gauges {
                load: state.agent.load(),
                peers: state.agent.peers().len(),
                open: state.agent.open(),
                connections: self.client.connections(),
                uptime: self.clock.now().since(self.started),
            }
        };
        self.observer.0.page(&gauges)
    }

    fn lock(&self) -> MutexGuard<'_, DriverState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(self: &Arc<Self>, state: &mut DriverState, now: Timestamp) {
        while let Some(effect) = state.agent.poll_effect() {
            self.carry_out(state, now, effect);
        }
        let wake_at = state.agent.poll_timeout();
        if wake_at < state.wake_at {
            self.sooner.notify_one();
        }
        state.wake_at = wake_at;
        if state.agent.is_drained() {
            self.quieter.notify_one();
        }
    }

    /// Nothing here waits: what takes time runs in a task of its own.
    fn carry_out(self: &Arc<Self>, state: &mut DriverState, now: Timestamp, effect: Effect) {
        match effect {
            Effect::Note(note) => {
                self.observer.agent(now, &self.name, &note);
                if matches!(note, Note::ViewChanged { .. }) {
                    self.observer.view(now, &self.name, state.agent.peers());
                }
            }
            Effect::Reply { ticket, answer } => {
                state.kept.remove(&ticket);
                if let Some(waiting) = state.waiting.remove(&ticket) {
                    // The caller may have gone in this very moment.
                    let _ = waiting.send(answer);
                }
            }
            Effect::Call { call, peer, request, until } => {
                let driver = self.clone();
                // Boxed, for it is large, and tokio moves a task's future several times.
                let task = tokio::spawn(Box::pin(async move {
                    let result = driver.call_peer(&peer.url, &request, until).await;
                    driver.lock().calls.remove(&call);
                    driver.with(|agent, now| agent.handle_call_result(now, call, result));
                }));
                state.calls.insert(call, task.abort_handle());
            }
            Effect::Abandon { call, .. } => {
                if let Some(task) = state.calls.remove(&call) {
                    task.abort();
                }
            }
            Effect::Start { job, task } if self.host.ends_at_once(&task) => {
                state.instant.push((job, task));
            }
            Effect::Start { job, task } => self.start(state, job, task),
            Effect::Stop(job) => {
                if let Some(task) = state.jobs.remove(job) {
                    task.abort();
                }
            }
            Effect::Registry { call, request } => {
                let driver = self.clone();
                tokio::spawn(async move {
                    let reply = driver.call_registry(request).await;
                    driver.with(|agent, now| agent.handle_registry_reply(now, call, reply));
                });
            }
        }
    }

    fn start(self: &Arc<Self>, state: &mut DriverState, job: JobId, task: Task) {
        let task = tokio::spawn(self.run(job, task));
        state.jobs.insert(job, task.abort_handle());
    }

    /// A job from start to end.
    fn run(self: &Arc<Self>, job: JobId, task: Task) -> BoxFuture<'static, ()> {
        let running = self.host.run(job, task);
        let panics = ReportPanic { driver: self.clone(), job };
        Box::pin(async move {
            let result = running.await;
            panics.driver.job_ended(job, result);
        })
    }

    /// Does a job that takes no time, without a task of its own.
    fn run_at_once(self: &Arc<Self>, job: JobId, task: Task) {
        let mut running = self.run(job, task);
        let mut nobody = Context::from_waker(Waker::noop());
        let poll = AssertUnwindSafe(|| running.as_mut().poll(&mut nobody));
        // What panics has been reported, and is no reason to break its caller's connection.
        if let Ok(Poll::Pending) = catch_unwind(poll) {
            // It takes its time after all.
            let task = tokio::spawn(running);
            self.lock().jobs.insert(job, task.abort_handle());
        }
    }

    fn job_ended(self: &Arc<Self>, job: JobId, result: JobResult) {
        self.lock().jobs.remove(job);
        self.with(|agent, now| agent.handle_job_result(now, job, result));
    }
}

/// Ends a job whose host panics, which would else hold its place until its deadline.
struct ReportPanic<N: Net, H: Host, O: Observer> {
    driver: Arc<AgentDriver<N, H, O>>,
    job: JobId,
}

impl<N: Net, H: Host, O: Observer> Drop for ReportPanic<N, H, O> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.driver.job_ended(self.job, Err(Failure::JobFailed("it panicked".to_owned())));
        }
    }
}

/// What a host's sample says, as a percentage that a report may carry. Rounding may put a busy
/// share beyond 100, and a registry would turn the whole heartbeat away.
fn in_range(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}

/// A request that is not answered yet. Dropping it cancels the request.
pub(super) struct PendingRequest<N: Net, H: Host, O: Observer> {
    driver: Arc<AgentDriver<N, H, O>>,
    ticket: Ticket,
    handle: Option<Handle>,
    receiver: oneshot::Receiver<RequestResult>,
}

impl<N: Net, H: Host, O: Observer> PendingRequest<N, H, O> {
    /// From now on, dropping it cancels nothing.
    pub(super) fn keep(mut self) -> Self {
        let mut state = self.driver.lock();
        // It may have been answered already.
        if let Some(handle) = self.handle.take()
            && state.waiting.contains_key(&self.ticket)
        {
            state.kept.insert(self.ticket, handle);
        }
        drop(state);
        self
    }

    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> RequestResult {
        let answer = (&mut self.receiver).await;
        self.handle = None;
        // The sender lives until it is used, unless the whole driver is being dropped.
        answer.unwrap_or(Err(Failure::ShuttingDown))
    }
}

impl<N: Net, H: Host, O: Observer> Drop for PendingRequest<N, H, O> {
    fn drop(&mut self) {
        let Some(handle) = self.handle else { return };
        self.driver.lock().waiting.remove(&self.ticket);
        self.driver.with(|agent, now| agent.handle_cancel(now, handle));
    }
}
