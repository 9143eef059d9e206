//! The driver: the only code that touches the agent's state machine.
//!
//! Every entry into the state machine is one mutation under the lock, followed by draining its
//! effects. Effects are started here and run as tasks of their own, so the lock is never held while
//! something waits.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_core::agent::{
    Agent, AgentConfig, CallId, Effect, Failure, Identity, JobId, Note, RequestHandle, Ticket,
};
use mesh_core::hash::FastMap;
use mesh_core::protocol::{Name, Reply, Request, Task};
use mesh_core::registry::HEARTBEATS_PER_TTL;
use mesh_core::seed::Seed;
use mesh_core::trace::TraceId;
use mesh_core::{Timestamp, jsonrpc};
use serde_json::value::{RawValue, to_raw_value};
use slotmap::SecondaryMap;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::AgentParts;
use super::metrics::{AgentMetrics, Gauges, RoutingGauges};
use super::telemetry::TelemetryDesk;
use crate::host::JobResult;
use crate::http::{Client, Response};
use crate::scaling::MemberBody;
use crate::security::AccessDoor;
use crate::spans::SpanDesk;
use crate::{Clock, Host, Net, Observer};

/// How a request ends: with a reply, or with the failure that its client is told.
pub(super) type RequestResult = Result<Reply, Failure>;

/// An agent's state machine, and what carries out its effects. Shared by all requests, timers and
/// jobs of the agent.
pub(super) struct AgentDriver<N, H, O> {
    pub(super) name: Name,
    /// The agent's address for peers, `host:port`.
    pub(super) url: Arc<str>,
    /// In the order in which the state machine counts them.
    pub(super) registries: Vec<CalledRegistry>,
    pub(super) clock: Clock,
    pub(super) client: Client<N>,
    pub(super) json: jsonrpc::Limits,
    /// How long a request to a registry may take.
    pub(super) registry_timeout: Duration,
    /// How long a lease is taken to last if a registry does not say.
    pub(super) assumed_ttl: Duration,
    pub(super) host: H,
    /// The agent's own metrics, which `GET /metrics` shows; its telemetry; where its spans go; and the
    /// observers of the embedder.
    pub(super) observer: (AgentMetrics, (TelemetryDesk, (SpanDesk, O))),
    /// The door that callers have passed; set before the agent serves, if there is one.
    pub(super) access: OnceLock<Arc<AccessDoor>>,
    /// The set that the agent belongs to, and what its CPU is measured of if not of it alone; set
    /// before the agent serves, if there is one.
    pub(super) set: OnceLock<(Name, Option<Arc<str>>)>,
    started: Timestamp,
    state: Mutex<DriverState>,
    /// Wakes [`AgentDriver::drive_timers`] when the next timeout has become earlier.
    earlier_timeout: Notify,
    /// Wakes [`AgentDriver::drained`] when the agent may have nothing under way any more.
    maybe_drained: Notify,
    /// Wakes [`AgentDriver::may_leave`] when a drain has begun or was cancelled, or the agent may
    /// have nothing more to do.
    drain_changed: Notify,
}

/// A registry, and what was logged of it.
pub(super) struct CalledRegistry {
    /// Its address, `host:port`.
    pub(super) address: Arc<str>,
    /// It did not answer the latest request. Kept so that each change is logged once.
    pub(super) is_silent: AtomicBool,
    /// The latest answer from its address was not one of a registry.
    pub(super) is_wrong: AtomicBool,
}

impl From<Arc<str>> for CalledRegistry {
    fn from(address: Arc<str>) -> Self {
        Self { address, is_silent: AtomicBool::new(false), is_wrong: AtomicBool::new(false) }
    }
}

/// What the lock protects.
struct DriverState {
    agent: Agent,
    next_ticket: Ticket,
    /// Where the answers of unanswered requests go.
    waiting: BTreeMap<Ticket, oneshot::Sender<RequestResult>>,
    /// Notifications under way. They are not cancelled when their senders leave, only when the
    /// agent ends.
    notifications: BTreeMap<Ticket, RequestHandle>,
    /// The tasks of calls to peers, so that they can be abandoned.
    calls: FastMap<CallId, AbortHandle>,
    /// The tasks of jobs that run, so that they can be stopped.
    jobs: SecondaryMap<JobId, AbortHandle>,
    /// Jobs that take no time and are to be run once the lock is free.
    instant_jobs: Vec<(JobId, Task)>,
    /// The state machine's next timeout.
    wake_at: Timestamp,
}

impl<N: Net, H: Host, O: Observer> AgentDriver<N, H, O> {
    pub(super) fn new(
        identity: Identity,
        config: AgentConfig,
        seed: &Seed,
        parts: AgentParts<N, H, O>,
    ) -> Arc<Self> {
        let AgentParts { net, clock, host, observer, registries, client, json, server: _ } = parts;
        let (name, url) = (identity.name.clone(), identity.url.clone());
        let registry_timeout = config.membership.timeout;
        let assumed_ttl = config.membership.heartbeat.saturating_mul(HEARTBEATS_PER_TTL);
        let state = DriverState {
            agent: Agent::new(clock.now(), identity, config, seed),
            next_ticket: 0,
            waiting: BTreeMap::new(),
            notifications: BTreeMap::new(),
            calls: FastMap::default(),
            jobs: SecondaryMap::new(),
            instant_jobs: Vec::new(),
            wake_at: Timestamp::MAX,
        };
        Arc::new(Self {
            name,
            url,
            registries: registries.into_iter().map(CalledRegistry::from).collect(),
            clock,
            client: Client::new(net, client),
            json,
            registry_timeout,
            assumed_ttl,
            host,
            observer: (
                AgentMetrics::default(),
                (TelemetryDesk::default(), (SpanDesk::default(), observer)),
            ),
            access: OnceLock::new(),
            set: OnceLock::new(),
            started: clock.now(),
            state: Mutex::new(state),
            earlier_timeout: Notify::new(),
            maybe_drained: Notify::new(),
            drain_changed: Notify::new(),
        })
    }

    /// Lets `act` change the state machine, then drains its effects.
    pub(super) fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut Agent, Timestamp) -> R) -> R {
        let mut state = self.lock();
        let now = self.clock.now();
        let result = act(&mut state.agent, now);
        self.drain(&mut state, now);
        // As tasks, because a timer or an answer brought them about: no client waits in this task.
        for (job, task) in std::mem::take(&mut state.instant_jobs) {
            self.start(&mut state, job, task);
        }
        result
    }

    /// Hands a request to the state machine. The answer comes through the [`PendingRequest`].
    pub(super) fn submit(self: &Arc<Self>, request: Request) -> PendingRequest<N, H, O> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, sender);
        let now = self.clock.now();
        let given = request.trace_id();
        let handle = state.agent.handle_request(now, ticket, request);
        let trace = handle.and_then(|handle| state.agent.trace_of(handle)).or(given);
        self.drain(&mut state, now);
        let instant_jobs = std::mem::take(&mut state.instant_jobs);
        drop(state);
        // In the client's own task: a job that takes no time needs no other one.
        for (job, task) in instant_jobs {
            self.run_at_once(job, task);
        }
        PendingRequest { driver: self.clone(), ticket, handle, trace, receiver }
    }

    /// Tells the state machine about every timeout that it asks for. Never ready.
    pub(super) async fn drive_timers(self: &Arc<Self>) {
        loop {
            self.with(|agent, now| agent.handle_timeout(now));
            let wake_at = self.lock().wake_at;
            tokio::select! {
                biased;
                () = self.earlier_timeout.notified() => {}
                () = self.clock.sleep_until(wake_at) => {}
            }
        }
    }

    /// Samples the load once per window, for ever. Runs beside the requests, so that none of them
    /// waits for a sample.
    pub(super) async fn sample_load(self: &Arc<Self>) {
        let mut wait = self.host.first_sample();
        loop {
            tokio::time::sleep(wait).await;
            wait = self.host.window();
            let (cpu_percent, memory_percent) = self.host.sample();
            self.with(|agent, now| {
                agent.handle_sample(clamped(cpu_percent), clamped(memory_percent));
                self.observer.load(now, &self.name, &agent.load(), agent.open());
                self.observer.view(now, &self.name, agent.peers());
            });
        }
    }

    /// Ready once an agent that was told to shut down has nothing under way.
    pub(super) async fn drained(self: &Arc<Self>) {
        while !self.lock().agent.is_drained() {
            self.maybe_drained.notified().await;
        }
    }

    /// What the agent tells the autoscaler of its set, if it belongs to one.
    pub(super) fn member(&self) -> Option<Box<RawValue>> {
        let (set, machine) = self.set.get()?.clone();
        let now = self.clock.now();
        let agent = &self.lock().agent;
        let (slots, refused) = (agent.slots(), agent.refused());
        let uptime_ms = agent.uptime(now).as_millis() as u64;
        to_raw_value(&MemberBody { set, uptime_ms, slots, refused, machine }).ok()
    }

    /// Ready when an agent that was told to drain may leave, or has drained for `limit`. Gives back
    /// what is left of that time. A drain that is cancelled before does not count.
    pub(super) async fn may_leave(self: &Arc<Self>, limit: Duration) -> Duration {
        loop {
            let now = self.clock.now();
            let (since, may_leave) = {
                let agent = &self.lock().agent;
                (agent.draining_since(), agent.may_leave(now))
            };
            let until = since.map_or(Timestamp::MAX, |since| since + limit);
            if may_leave || until <= now {
                return until.since(now);
            }
            tokio::select! {
                biased;
                () = self.drain_changed.notified() => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    /// Cancels the notifications that are still under way. Other requests are cancelled when the
    /// server drops their connections; nothing else ends these.
    pub(super) fn cancel_notifications(self: &Arc<Self>) {
        let notifications = std::mem::take(&mut self.lock().notifications);
        for handle in notifications.into_values() {
            self.with(|agent, now| agent.handle_cancel(now, handle));
        }
    }

    /// The page of `GET /metrics`: what the observer has counted, and the gauges as they are now.
    pub(super) fn metrics_page(&self) -> Response {
        let (gauges, over_limit) = {
            let (state, now) = (self.lock(), self.clock.now());
            let agent = &state.agent;
            let config = agent.config();
            let gauges = Gauges {
                load: agent.load(),
                slots: config.admission.concurrency.limit(),
                queue_limit: config.admission.queue,
                peers: agent.peers().len(),
                open: agent.open(),
                held: agent.held(),
                idle_callers: agent.idle_callers(),
                connections: self.client.connections(),
                uptime: now.since(self.started),
                routing: RoutingGauges {
                    policy: label(config.policy.name()),
                    choices: agent.choices().cloned().unwrap_or_default(),
                    pool_size: agent.pool_size(),
                    aside: agent.peers_aside(now),
                    retries_left: agent.retries_left(now),
                },
            };
            (gauges, agent.traces_over_limit())
        };
        let mut page = self.observer.0.page(&gauges);
        self.spans().write_metrics(&mut page, over_limit);
        if let Some(access) = self.access.get() {
            access.write_metrics(&mut page);
        }
        page.into_response()
    }

    pub(super) fn telemetry(&self) -> &TelemetryDesk {
        &self.observer.1.0
    }

    pub(super) fn spans(&self) -> &SpanDesk {
        &self.observer.1.1.0
    }

    fn lock(&self) -> MutexGuard<'_, DriverState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out all effects, then takes note of the next timeout.
    fn drain(self: &Arc<Self>, state: &mut DriverState, now: Timestamp) {
        while let Some(effect) = state.agent.poll_effect() {
            self.carry_out(state, now, effect);
        }
        let wake_at = state.agent.poll_timeout();
        if wake_at < state.wake_at {
            self.earlier_timeout.notify_one();
        }
        state.wake_at = wake_at;
        if state.agent.is_drained() {
            self.maybe_drained.notify_one();
        }
        if state.agent.may_leave(now) {
            self.drain_changed.notify_one();
        }
    }

    /// Starts what an effect asks for. Never waits: whatever takes time runs in a task of its own.
    fn carry_out(self: &Arc<Self>, state: &mut DriverState, now: Timestamp, effect: Effect) {
        match effect {
            Effect::TracedNote { note, trace } => {
                self.observer.traced(now, &self.name, &note, trace);
            }
            Effect::Span(span) => self.observer.span(now, &self.name, &span),
            Effect::Note(note) => {
                self.observer.agent(now, &self.name, &note);
                match note {
                    Note::ViewChanged { .. } => {
                        self.observer.view(now, &self.name, state.agent.peers());
                    }
                    Note::Draining { .. } | Note::DrainCancelled => {
                        self.drain_changed.notify_one();
                    }
                    _ => {}
                }
            }
            Effect::Reply { ticket, answer } => {
                state.notifications.remove(&ticket);
                if let Some(waiting) = state.waiting.remove(&ticket) {
                    // A failed send is no error: the client may have left in this very moment.
                    let _ = waiting.send(answer);
                }
            }
            Effect::Call { call, peer, request, until } => {
                let driver = self.clone();
                // Boxed, because this future is large and tokio moves a task's future several
                // times.
                let task = tokio::spawn(Box::pin(async move {
                    let result = driver.watched_call(&peer, &request, until).await;
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
                state.instant_jobs.push((job, task));
            }
            Effect::Start { job, task } => self.start(state, job, task),
            Effect::Stop(job) => {
                if let Some(task) = state.jobs.remove(job) {
                    task.abort();
                }
            }
            Effect::Registry { call, registry, request } => {
                let driver = self.clone();
                tokio::spawn(async move {
                    let reply = driver.call_registry(registry, request).await;
                    driver.with(|agent, now| agent.handle_registry_reply(now, call, reply));
                });
            }
        }
    }

    /// Starts a job in a task of its own.
    fn start(self: &Arc<Self>, state: &mut DriverState, job: JobId, task: Task) {
        let task = tokio::spawn(self.run(job, task));
        state.jobs.insert(job, task.abort_handle());
    }

    /// The future of a job: runs it and tells the state machine how it ended.
    fn run(self: &Arc<Self>, job: JobId, task: Task) -> BoxFuture<'static, ()> {
        let running = self.host.run(job, task);
        let on_panic = ReportPanic { driver: self.clone(), job };
        Box::pin(async move {
            let result = running.await;
            on_panic.driver.job_ended(job, result);
        })
    }

    /// Runs a job that takes no time in the present task.
    fn run_at_once(self: &Arc<Self>, job: JobId, task: Task) {
        let mut running = self.run(job, task);
        let mut no_waker = Context::from_waker(Waker::noop());
        let poll = AssertUnwindSafe(|| running.as_mut().poll(&mut no_waker));
        // A panic has been reported to the state machine by `ReportPanic`. It is caught here,
        // because it must not break the client's connection too.
        if let Ok(Poll::Pending) = catch_unwind(poll) {
            // The host was wrong: the job waits after all, and needs a task.
            let task = tokio::spawn(running);
            self.lock().jobs.insert(job, task.abort_handle());
        }
    }

    fn job_ended(self: &Arc<Self>, job: JobId, result: JobResult) {
        self.lock().jobs.remove(job);
        self.with(|agent, now| agent.handle_job_result(now, job, result));
    }
}

/// Reports a job that panicked as failed when it is dropped by the panic. Without it, the job would
/// hold its slot until its deadline.
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

/// A text as the value of a label: one that needs no escapes.
fn label(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() && !"\"\\".contains(*letter)).collect()
}

/// A sample as a percentage that a load report may hold. Rounding may put a busy share above 100,
/// and a registry refuses a heartbeat with such a figure as a whole.
fn clamped(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}

/// A request that has not been answered yet. Dropping it cancels the request, unless
/// [`PendingRequest::detach`] was called.
pub(super) struct PendingRequest<N: Net, H: Host, O: Observer> {
    driver: Arc<AgentDriver<N, H, O>>,
    ticket: Ticket,
    handle: Option<RequestHandle>,
    trace: Option<TraceId>,
    receiver: oneshot::Receiver<RequestResult>,
}

impl<N: Net, H: Host, O: Observer> PendingRequest<N, H, O> {
    /// Lets the request go on even if this is dropped: for notifications, whose senders wait for
    /// nothing.
    pub(super) fn detach(mut self) -> Self {
        let mut state = self.driver.lock();
        // Only if it is not answered yet: the entry would stay for ever.
        if let Some(handle) = self.handle.take()
            && state.waiting.contains_key(&self.ticket)
        {
            state.notifications.insert(self.ticket, handle);
        }
        drop(state);
        self
    }

    /// The trace that the request belongs to.
    pub(super) fn trace(&self) -> Option<TraceId> {
        self.trace
    }

    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> RequestResult {
        let answer = (&mut self.receiver).await;
        self.handle = None;
        // The sender is dropped unused only if the whole driver is being dropped.
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
