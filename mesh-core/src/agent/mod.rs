//! The agent as a state machine: which jobs it takes, how it delegates, how it stays in the mesh.
//!
//! An [`Agent`] is driven by `handle_*` calls that are given the time. Each call may leave
//! [`Effect`]s, which the driver drains with [`Agent::poll_effect`] before the next call, and may
//! move the time at which [`Agent::poll_timeout`] asks to be woken.
//!
//! Three parts share the agent and know little of each other:
//!
//! - *admission* (`admission`, `jobs`, `idle`): a `work` request runs, waits in a bounded queue or is
//!   refused; an `idle` request is answered when a slot is free;
//! - *delegation* (`delegate`, `probing`, `attempt`): a `delegate` request goes in rounds, each of
//!   which chooses a peer, until one has done the job. `chooser` holds the policy, `asking` the jobs
//!   that it holds back until a peer has a free slot, `view`, `peers` and `contacts` what is known
//!   of the peers, `fate` says what a failed call means for the job;
//! - *membership* (`membership`, `known_registry`, `known_lists`, `trust`): heartbeats keep the lease
//!   at each registry, and lists of peers keep the view fresh.

mod admission;
mod asking;
mod attempt;
pub mod bulk;
mod choice_log;
mod chooser;
pub mod config;
mod contacts;
mod delegate;
mod delegation;
mod draining;
mod effect;
mod failure;
mod fate;
mod idle;
mod jobs;
mod known_lists;
mod known_registry;
mod membership;
mod note;
mod peers;
mod probing;
mod service_log;
mod symptom;
mod timers;
mod tracing;
mod trust;
mod view;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use slotmap::SlotMap;

pub use self::choice_log::{ChoiceLog, ChoiceReason, PeersAside};
pub use self::config::{AgentConfig, Identity};
pub use self::effect::{
    CallId, DelegationId, Effect, JobId, RegistryReply, RegistryRequest, RequestHandle, Ticket,
};
pub use self::failure::{CallError, Failure, FailureKind, TriedPeers, Unavailability};
pub use self::fate::{Fate, ObservedEnd};
pub use self::idle::{LONGEST_HOLD, LONGEST_WAIT, MAX_IDLE_CALLERS, WaiterId};
pub use self::note::{Ending, Note, RetryReason};
pub use self::peers::Peers;

use self::chooser::Chooser;
use self::config::DelegationConfig;
use self::delegation::Delegation;
use self::idle::SlotOffers;
use self::jobs::AdmittedJobs;
use self::membership::Membership;
use self::service_log::{ServedHow, ServiceLog};
use self::timers::Timer;
use self::tracing::SpanRecorder;
use self::trust::ListTrust;
use self::view::View;
use crate::VERSION;
use crate::load::LoadReport;
use crate::protocol::{InfoReply, Name, Reply, Request, ServiceReply, Task, WorkReply};
use crate::resilience::{Decorator, DecoratorConfig, Decorators, decorators};
use crate::roster::{ListedLease, Roster};
use crate::routing::Interests;
use crate::seed::{Rng, Seed};
use crate::time::Timestamp;

/// One agent of the mesh, from its start until it has shut down.
///
/// A driver owns it: a process that serves sockets, or a simulation. The driver hands in requests,
/// results and the time, and carries out the effects. The agent itself opens no connection and runs
/// no job. The documentation of the crate has a whole driver.
#[derive(Debug)]
pub struct Agent {
    name: Name,
    config: Arc<AgentConfig>,
    started: Timestamp,
    /// The root of the agent's own random choices.
    seed: Seed,
    /// Draws the span ids of jobs that belong to a trace; `None` until there is one.
    span_ids: Option<Box<Rng>>,
    /// `None` if it records no traces.
    recorder: Option<Box<SpanRecorder>>,
    /// `None` until the agent delegates for the first time: many agents of a mesh only work.
    chooser: Option<Box<Chooser>>,
    /// What the policy wants to be told; nothing while there is no policy. A copy, so that events
    /// cost nothing under a policy without interests.
    interests: Interests,
    jobs: AdmittedJobs,
    /// Jobs that it has refused because it was full.
    refused: u64,
    /// How its jobs went; `None` until somebody asks for it.
    service: Option<Box<ServiceLog>>,
    /// Its free slots, as it offers them; `None` until somebody asks for one.
    offers: Option<Box<SlotOffers>>,
    delegations: SlotMap<DelegationId, Box<Delegation>>,
    /// Calls to peers that have no result yet.
    open_calls: u32,
    view: View,
    /// Boxed, because it is rarely used: so the fields that are used all the time lie close
    /// together in memory.
    membership: Box<Membership>,
    /// When the membership wants to be woken. A copy, so that most polls don't look into the box.
    membership_at: Timestamp,
    decorators: Decorators,
    /// The earliest first. A timer is never taken out early: if its job or delegation is gone, or
    /// now waits for another time, the timer is skipped when it comes up.
    timers: BinaryHeap<Reverse<(Timestamp, Timer)>>,
    cpu_percent: f64,
    memory_percent: f64,
    stopping: bool,
    /// Since when it drains, if it does.
    draining: Option<Timestamp>,
    /// The next timeout may be earlier than when the driver last asked.
    rearmed: bool,
    /// What the driver has not drained yet.
    effects: VecDeque<Effect>,
}

impl Agent {
    /// An agent that starts at `now` and draws its random choices from `seed`.
    pub fn new(
        now: Timestamp,
        identity: Identity,
        config: impl Into<Arc<AgentConfig>>,
        seed: &Seed,
    ) -> Self {
        let (name, config) = (identity.name.clone(), config.into());
        let rng = seed.child("heartbeat").sparse_rng();
        let membership = Box::new(Membership::new(now, identity, config.clone(), rng));
        let DelegationConfig { retry, health, modifiers, .. } = &config.delegation;
        let protection = DecoratorConfig { retry: *retry, health, modifiers };
        Self {
            name,
            seed: seed.child("routing"),
            span_ids: None,
            recorder: config.tracing.map(|config| SpanRecorder::new(now, config).into()),
            chooser: None,
            interests: Interests::NONE,
            jobs: AdmittedJobs::default(),
            refused: 0,
            service: None,
            offers: None,
            delegations: SlotMap::with_key(),
            open_calls: 0,
            view: View::new(config.profile.site(), modifiers.locality),
            membership_at: membership.poll_timeout(),
            membership,
            decorators: decorators(now, protection, seed),
            config,
            timers: BinaryHeap::new(),
            cpu_percent: 0.0,
            memory_percent: 0.0,
            stopping: false,
            draining: None,
            rearmed: true,
            effects: VecDeque::new(),
            started: now,
        }
    }

    /// Takes a request. The driver chooses the `ticket`, and the answer will bear it. The returned
    /// handle cancels the request while it is unanswered; it is `None` if the answer is already
    /// among the effects.
    pub fn handle_request(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        request: Request,
    ) -> Option<RequestHandle> {
        if self.stopping || self.refuses_while_draining(&request) {
            // `info` and `idle` too: so callers that ask this agent learn that it takes no jobs.
            self.reply(ticket, Err(Failure::ShuttingDown));
            return None;
        }
        match request {
            Request::Info => {
                let info = self.info(now);
                self.reply(ticket, Ok(Reply::Info(info)));
                None
            }
            Request::Service => {
                let (info, slots) = (self.info(now), self.config.admission.concurrency.limit());
                let log = self.service.get_or_insert_with(|| Box::new(ServiceLog::new(now)));
                let service = log.report(now, info.load.in_flight, slots);
                let reply = Reply::Service(Box::new(ServiceReply { info, service }));
                self.reply(ticket, Ok(reply));
                None
            }
            Request::Idle(request) => self.idle(now, ticket, request).map(RequestHandle::Waiter),
            Request::Work(task) => self.admit(now, ticket, task).map(RequestHandle::Job),
            Request::Delegate(task) => {
                let id = self.delegate(now, ticket, task);
                self.serve_policy(now);
                id.map(RequestHandle::Delegation)
            }
        }
    }

    /// The caller of a request went away: frees what the request holds, and answers nobody.
    pub fn handle_cancel(&mut self, now: Timestamp, handle: RequestHandle) {
        match handle {
            RequestHandle::Job(id) => {
                self.take_job(now, id, Ending::Cancelled, None);
                self.start_jobs(now);
            }
            RequestHandle::Waiter(id) => self.waiter_left(id),
            RequestHandle::Delegation(id) => {
                self.end_delegation(now, id, Ending::Cancelled, None);
                self.serve_policy(now);
            }
        }
    }

    /// A job that the driver was told to start has ended: with its output, or with the reason why
    /// there is none. Results of jobs that were stopped meanwhile are ignored.
    pub fn handle_job_result(
        &mut self,
        now: Timestamp,
        id: JobId,
        result: Result<Arc<RawValue>, Failure>,
    ) {
        let (outcome, failure) = (Ending::of(&result), result.as_ref().err());
        let Some(job) = self.remove_job(now, id, outcome, failure) else { return };
        if self.config.admission.busy_hint {
            self.jobs.learn(now, &job);
        }
        self.log_job(now, &job, if result.is_ok() { ServedHow::Served } else { ServedHow::Failed });
        let answer = result.map(|result| {
            let agent = self.name.clone();
            Reply::Work(WorkReply { agent, result, latency: now.since(job.received) })
        });
        self.reply(job.ticket, answer);
        self.start_jobs(now);
    }

    /// A registry's answer to call number `call`, or [`RegistryReply::Failed`] if none came.
    pub fn handle_registry_reply(&mut self, now: Timestamp, call: u64, reply: RegistryReply) {
        let listing = self.membership.handle_reply(now, call, reply, &mut self.effects);
        if let Some(listing) = listing {
            self.take_listing(now, listing);
        }
        if let Some(draining) = self.membership.poll_drain() {
            self.handle_drain(now, draining);
        }
        // An agent that has just lost its lease asks for a new one at once.
        self.serve_membership(now);
        self.serve_policy(now);
    }

    /// Takes over what the registries' lists say.
    fn take_listing(&mut self, now: Timestamp, listing: (Roster, ListTrust)) {
        // An agent that may not delegate to itself is not one of its own peers.
        let skip = (!self.config.delegation.to_self).then_some(&self.name);
        let change = self.view.update(now, listing, skip);
        if let Some(before) = change.before {
            // First the policy: `Left` must be the last event about a peer.
            self.tell_policy_of_list(now, &before);
            if change.has_changed {
                self.forget_who_left();
                self.tell_decorators_who_joined(now, &before);
            }
        }
        if change.is_visible {
            self.note(Note::ViewChanged { peers: self.view.len() });
        }
    }

    /// The machine's load, which the driver samples in the background: both in percent, 0 to 100.
    /// The agent reports it until the next sample.
    pub fn handle_sample(&mut self, cpu_percent: f64, memory_percent: f64) {
        self.cpu_percent = cpu_percent;
        self.memory_percent = memory_percent;
    }

    /// Begins to stop: ends the lease and refuses new requests. Jobs and delegations that
    /// are under way go on; [`Self::is_drained`] says when the last one has ended.
    pub fn handle_shutdown(&mut self, now: Timestamp) {
        // Being told twice changes nothing: the lease is given back once.
        if !self.stopping {
            self.stopping = true;
            self.abandon_own_calls(now);
            self.refuse_waiters();
            self.membership.stop(now, &mut self.effects);
            self.rearm_membership();
        }
    }

    /// Whether the agent has stopped: it was told to, has given its lease back (or waited long
    /// enough for the registry), and holds no request.
    pub fn is_drained(&self) -> bool {
        self.membership.is_stopped() && self.jobs.in_flight() == 0 && self.delegations.is_empty()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_timers(now);
        self.serve_membership(now);
        self.serve_policy(now);
    }

    /// The next thing for the driver to do; `None` when all is drained.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`], unless another `handle_*` call comes first.
    pub fn poll_timeout(&mut self) -> Timestamp {
        self.next_timer().map_or(self.membership_at, |at| at.min(self.membership_at))
    }

    /// The agent's name in the registry.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The settings that it was made with.
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// A job that the agent holds, as it was received, and when it must have ended; `None` if it has
    /// ended.
    pub fn job(&self, id: JobId) -> Option<(&Task, Timestamp)> {
        self.jobs.get(id).map(|job| (&job.task, job.deadline))
    }

    /// Whether it was told to shut down.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The load that it reports now, in answers to `info` and in heartbeats.
    pub fn load(&self) -> LoadReport {
        LoadReport {
            cpu_percent: self.cpu_percent,
            memory_percent: self.memory_percent,
            in_flight: self.jobs.in_flight(),
            queued: self.jobs.queued(),
        }
    }

    /// How many jobs it has refused because it was full, since it started.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How long ago it started.
    pub fn uptime(&self, now: Timestamp) -> Duration {
        now.since(self.started)
    }

    /// How many jobs it runs at once; `None`: as many as come.
    pub fn slots(&self) -> Option<u32> {
        self.config.admission.concurrency.limit()
    }

    /// How much the agent holds for requests: delegations, calls to peers, and jobs at peers (a job
    /// counts as a call, too). Zero when it has answered all requests; tests look for leaks with
    /// it. Neither probes nor asks for free slots that the policy wants are counted, nor callers that
    /// wait for a free slot, because they may go on without requests.
    pub fn open(&self) -> usize {
        // Most policies make no own calls. Their chooser, which lies elsewhere, is not read.
        let Interests { own_probes, slots, .. } = self.interests;
        let chooser = self.chooser.as_ref().filter(|_| own_probes || slots);
        let own_calls = chooser.map_or(0, |chooser| chooser.open_calls());
        self.delegations.len()
            + (self.open_calls as usize - own_calls)
            + self.view.contacts().all_outstanding() as usize
    }

    /// The peers that it may delegate to, as it knows them now.
    pub fn peers(&self) -> &Peers {
        self.view.peers()
    }

    /// Forgets what is remembered of peers that are not listed any more: it is of no use.
    ///
    /// Whoever remembers a peer holds its lease, and looks it up in the list. Comparing the list
    /// with the one before would take longer: both are long, and while a large mesh starts they
    /// differ everywhere.
    fn forget_who_left(&mut self) {
        let roster = self.view.peers().roster().clone();
        let is_listed = |lease: &Arc<ListedLease>| roster.follow(lease).is_some();
        self.decorators.on_list(&is_listed);
        if let Some(chooser) = &mut self.chooser {
            chooser.forget_who_left(&is_listed);
        }
        let contacts = self.view.contacts_mut();
        for delegation in self.delegations.values_mut() {
            delegation.forget(&is_listed, |peer| contacts.forget_jobs(peer));
        }
        contacts.forget_round_trips(&roster);
    }

    /// Tells the decorators which peers are new in the list since the list `before`, if they want to
    /// know. In its first list an agent sees no new peers, only those that were there before it.
    fn tell_decorators_who_joined(&mut self, now: Timestamp, before: &Roster) {
        if !self.decorators.wants_members() {
            return;
        }
        let own = if self.config.delegation.to_self { None } else { before.find(&self.name) };
        if before.len() == usize::from(own.is_some()) {
            return;
        }
        for (_, new) in before.differences(self.view.peers().roster()) {
            if let Some(lease) = new.filter(|lease| own.is_none_or(|_| lease.name != self.name)) {
                self.decorators.on_joined(now, lease);
            }
        }
    }

    fn info(&self, now: Timestamp) -> InfoReply {
        InfoReply {
            agent: self.name.clone(),
            load: self.load(),
            profile: self.config.profile.clone(),
            version: Some(VERSION.into()),
            uptime: Some(self.uptime(now)),
        }
    }

    fn serve_membership(&mut self, now: Timestamp) {
        let listing = self.membership.handle_timeout(now, self.load(), &mut self.effects);
        if let Some(listing) = listing {
            self.take_listing(now, listing);
        }
        self.rearm_membership();
    }

    fn rearm_membership(&mut self) {
        self.membership_at = self.membership.poll_timeout();
        self.rearmed = true;
    }

    fn reply(&mut self, ticket: Ticket, answer: Result<Reply, Failure>) {
        self.effects.push_back(Effect::Reply { ticket, answer });
    }

    fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }
}

#[cfg(test)]
mod tests;
