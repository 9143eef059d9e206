//! The agents' hosts: what the engine keeps for each agent, and how it drives the agent's state
//! machine and the model of the machine under it.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::bulk::{Bulk, Upcoming, prefetch};
use mesh_core::agent::{Agent, AgentConfig, Effect, Identity, JobId, Note, RequestHandle};
use mesh_core::protocol::{Request, Task};
use mesh_core::sessions::WarmSessions;
use mesh_core::trace::TraceSpan;

use super::calls::Message;
use super::clock::LocalClock;
use super::exchange::{Exchange, ExchangeId, Payload, ReplyTo};
use super::idle_pool::IdlePool;
use super::message_costs::{MachineWork, MessagesAtWork};
use super::queue::Lane;
use super::subjobs::JobsWithSubjobs;
use super::{Event, EventSimulation};
use crate::engine::address::{address, host_at};
use crate::engine::{RunWatchers, effort, first_sample};
use crate::faults::MachineState;
use crate::host::{AgentId, HostId};
use crate::journal::Fact;
use crate::machine::{ErringJobs, Machine};
use crate::presence::Presence;
use crate::scenario::{AgentSpec, Costs};

/// The host of one agent: the agent's state machine, the machine under it, its clock and its idle
/// connections.
///
/// The simulation has one for every agent of the scenario from the start of the run. The agent
/// inside of it comes and goes: it starts when the agent joins or its host restarts, and is dropped
/// when the host crashes or the agent has left.
pub(super) struct AgentHost {
    /// `None` while the host is down, and before the agent joins or after it has left.
    agent: Option<Agent>,
    pub(super) presence: Presence,
    /// Since when the agent drains, in the time of the run; `None` if it does not.
    pub(super) draining_since: Option<Timestamp>,
    clock: LocalClock,
    machine: Machine<MachineWork>,
    pool: IdlePool,
    /// `None` until it is needed.
    extras: Option<Box<HostExtras>>,
    /// The time of the earliest pending [`Event::WakeAgent`]; [`Timestamp::MAX`] if there is none.
    wake_at: Timestamp,
    /// The time of the earliest pending [`Event::JobEnds`]; [`Timestamp::MAX`] if there is none.
    job_ends_at: Timestamp,
    /// Since the last look at the machine, jobs may have ended on it, or the time of the next end
    /// may have changed.
    machine_changed: bool,
}

/// What most hosts never need. So it is behind one pointer: there may be 100,000 hosts.
#[derive(Default)]
struct HostExtras {
    /// `None` if no job of the agent ever ends with an error.
    erring: Option<ErringJobs<JobId>>,
    sessions: WarmSessions,
    subjobs: JobsWithSubjobs,
    messages: MessagesAtWork,
}

impl AgentHost {
    pub(super) fn new(spec: &AgentSpec, erring: Option<ErringJobs<JobId>>) -> Self {
        let mut machine = Machine::new(&spec.machine);
        // Nothing uses the machine until the agent starts on it.
        machine.switch_off(Timestamp::ZERO);
        Self {
            agent: None,
            presence: Presence::at_start(spec),
            draining_since: None,
            clock: LocalClock::new(spec.clock_rate),
            machine,
            pool: IdlePool::default(),
            extras: erring
                .map(|it| HostExtras { erring: Some(it), ..HostExtras::default() }.into()),
            wake_at: Timestamp::MAX,
            job_ends_at: Timestamp::MAX,
            machine_changed: false,
        }
    }

    fn extras(&mut self) -> &mut HostExtras {
        self.extras.get_or_insert_default()
    }

    fn erring(&mut self) -> Option<&mut ErringJobs<JobId>> {
        self.extras.as_mut()?.erring.as_mut()
    }

    pub(super) fn set_machine(&mut self, now: Timestamp, state: MachineState) {
        self.machine_changed = true;
        self.machine.set_speed_factor(now, state.speed_factor);
        self.machine.set_background_override(now, state.background);
        if let Some(erring) = self.erring() {
            erring.set_fault(state.errors);
        }
    }

    /// Lets the machine work at a message for this CPU time, and delay it for this long. Then the
    /// agent handles `request`, if it is one.
    pub(super) fn work_at_message(
        &mut self,
        now: Timestamp,
        (cost, delay): (Duration, Duration),
        request: Option<ExchangeId>,
    ) {
        // Nobody is there to work at it.
        if self.agent.is_some() {
            self.machine_changed = true;
            let work = self.extras().messages.begin(request);
            self.machine.start(now, work, cost, delay);
        }
    }

    pub(super) fn messages(&mut self) -> &mut MessagesAtWork {
        &mut self.extras().messages
    }

    /// Hands a request to the agent. Returns what cancels it.
    pub(super) fn handle_request(
        &mut self,
        now: Timestamp,
        id: ExchangeId,
        request: Request,
    ) -> Option<RequestHandle> {
        let local = self.clock.show(now);
        self.agent.as_mut()?.handle_request(local, id.ticket(), request)
    }

    /// The jobs that have subjobs under way.
    pub(super) fn subjobs(&mut self) -> &mut JobsWithSubjobs {
        &mut self.extras().subjobs
    }

    /// A job that is to have subjobs, and when it must have ended; `None` if it has none.
    pub(super) fn task_with_subjobs(&self, job: JobId) -> Option<(Task, Timestamp)> {
        let (task, deadline) = self.agent.as_ref()?.job(job)?;
        let details = task.details.as_ref().filter(|details| !details.calls.is_empty());
        details.map(|_| (task.clone(), self.clock.when(deadline)))
    }

    pub(super) fn pool(&mut self) -> &mut IdlePool {
        &mut self.pool
    }

    /// Prefetches this record, and that of the machine if the coming event needs it.
    pub(super) fn prefetch(&self, with_machine: bool) {
        prefetch(&self.agent);
        prefetch(&self.pool);
        prefetch(&self.wake_at);
        prefetch(&self.job_ends_at);
        if with_machine {
            prefetch(&self.machine);
        }
    }

    /// Prefetches what a message to this host needs beyond the record itself. `step` counts up from
    /// zero: each step follows the pointers that the step before has brought into the cache.
    pub(super) fn prefetch_parts(&self, message: Message, exchange: &Exchange, step: usize) {
        let Some(agent) = &self.agent else { return };
        match (message, &exchange.payload, exchange.reply_to) {
            (Message::Request, Payload::Request(request), _) => {
                agent.prefetch(Upcoming::Request(request), step);
                if matches!(request, Request::Work(_)) && step == 0 {
                    self.machine.prefetch();
                }
            }
            (Message::Answer, _, ReplyTo::Peer(call)) => {
                agent.prefetch(Upcoming::Result(call), step);
                if step == 0 {
                    self.pool.prefetch(exchange.callee);
                }
            }
            _ => {}
        }
    }

    /// Prefetches the job that ends first. Returns the exchange that waits for its result.
    pub(super) fn prefetch_job(&self) -> Option<ExchangeId> {
        let MachineWork::Job(job) = self.machine.first_to_end()? else { return None };
        let ticket = self.agent.as_ref()?.prefetch_job(job)?;
        Some(ExchangeId::of_ticket(ticket))
    }

    /// How long a job that begins now computes, alone on a core of speed 1, and how long it waits.
    fn effort(
        &mut self,
        now: Timestamp,
        job: JobId,
        task: &Task,
        costs: &Costs,
    ) -> (Duration, Duration) {
        if self.extras.is_none() && task.details.is_none() {
            return effort(task, &mut WarmSessions::default(), costs);
        }
        let HostExtras { erring, sessions, .. } = self.extras();
        let mut effort = || effort(task, sessions, costs);
        match erring {
            Some(erring) => erring.begin(now, job, task, effort),
            None => effort(),
        }
    }

    /// The process ends, after a shutdown or in a crash: jobs and idle connections are gone.
    pub(super) fn stop(&mut self, now: Timestamp) {
        self.agent = None;
        self.draining_since = None;
        self.machine.switch_off(now);
        self.pool = IdlePool::default();
        if let Some(HostExtras { erring, sessions, subjobs, messages }) = self.extras.as_deref_mut()
        {
            erring.iter_mut().for_each(ErringJobs::clear);
            *sessions = WarmSessions::default();
            subjobs.clear();
            messages.clear();
        }
        self.wake_at = Timestamp::MAX;
    }
}

impl EventSimulation<'_> {
    pub(super) fn start_agent(&mut self, now: Timestamp, id: AgentId) {
        let spec = self.run.scenario.agent(id);
        // An agent that starts again must have a greater incarnation. Zero is not used, because it
        // stands for agents that send no incarnation.
        let incarnation = now.as_nanos() + 1;
        let identity = Identity { name: spec.name.clone(), url: address(id.host()), incarnation };
        let config = self.config_of(spec);
        let seed = self.seed.child("agents").child(&spec.name).child(&incarnation.to_string());
        let agent_host = &mut self.agent_hosts[id];
        let local = agent_host.clock.show(now);
        agent_host.agent = Some(Agent::new(local, identity, config, &seed));
        agent_host.machine.boot(now);
        let life = self.hosts[id.host()].life;
        let sample = Event::SampleLoad { agent: id, life };
        self.queue.push_in(Lane::Sample, now + first_sample(self.run.scenario, id), sample);
        self.with_agent(now, id, |agent, local| agent.handle_timeout(local));
    }

    /// The agent's settings. Most agents have the settings of the one that started before, and
    /// share them with it: 100,000 copies would be large.
    fn config_of(&mut self, spec: &AgentSpec) -> Arc<AgentConfig> {
        let config = RunWatchers::agent_config(self.run, self.truth.as_ref(), spec);
        let last = self.last_config.take().filter(|last| **last == config);
        self.last_config.insert(last.unwrap_or_else(|| config.into())).clone()
    }

    /// Calls a method of an agent, if it is up, then carries out the effects and sets its timers.
    /// `act` gets the agent and the time that the agent's own clock shows.
    pub(super) fn with_agent(
        &mut self,
        now: Timestamp,
        id: AgentId,
        act: impl FnOnce(&mut Agent, Timestamp),
    ) {
        let agent_host = &mut self.agent_hosts[id];
        let Some(agent) = &mut agent_host.agent else { return };
        agent.swap_effects(&mut self.effects);
        act(agent, agent_host.clock.show(now));
        self.carry_out_all(now, id);
        self.see_to_wake_ups(now, id);
    }

    /// As [`Self::with_agent`], for the agent on a host; does nothing for other hosts.
    pub(super) fn with_host(
        &mut self,
        now: Timestamp,
        host: HostId,
        act: impl FnOnce(&mut Agent, Timestamp),
    ) {
        if let Some(id) = host.agent() {
            self.with_agent(now, id, act);
        }
    }

    pub(super) fn wake_agent(&mut self, now: Timestamp, id: AgentId) {
        let agent_host = &mut self.agent_hosts[id];
        // An earlier wake-up has been scheduled since, and took this one's place.
        if agent_host.wake_at != now {
            return;
        }
        agent_host.wake_at = Timestamp::MAX;
        self.with_agent(now, id, |agent, local| {
            if agent.poll_timeout() <= local {
                agent.handle_timeout(local);
            }
        });
    }

    pub(super) fn jobs_end(&mut self, now: Timestamp, id: AgentId) {
        let agent_host = &mut self.agent_hosts[id];
        if agent_host.job_ends_at == now {
            agent_host.job_ends_at = Timestamp::MAX;
            agent_host.machine.handle_timeout(now);
            agent_host.machine_changed = true;
            self.settle(now, id);
        }
    }

    pub(super) fn sample(&mut self, now: Timestamp, id: AgentId, life: u32) {
        let agent_host = &mut self.agent_hosts[id];
        // Each life of the agent schedules its own samples; this one may be left over from another.
        let Some(agent) = agent_host.agent.as_mut().filter(|_| self.hosts[id.host()].life == life)
        else {
            return;
        };
        let cpu_percent = agent_host.machine.sample_cpu(now);
        agent_host.machine_changed = true;
        let messages = agent_host.extras.as_ref().map_or(0, |extras| extras.messages.len());
        let jobs = (agent_host.machine.running() - messages) as u32;
        agent.handle_sample(cpu_percent, agent_host.machine.memory_percent(jobs));
        let (load, open) = (agent.load(), agent.open());
        self.journal.record(now, id, Fact::LoadSampled { load, open });
        self.journal.record(now, id, Fact::PeersKnown(agent.peers().clone()));
        while let Some((second, percent)) = agent_host.machine.poll_second() {
            self.journal.record(now, id, Fact::MachineBusy { second, percent });
        }
        self.charge(now, id, self.run.scenario.costs.sample);
        let window = self.run.scenario.agent(id).machine.cpu_window;
        let next = Event::SampleLoad { agent: id, life };
        self.queue.push_in(Lane::Sample, now + window, next);
        self.settle(now, id);
    }

    /// Records how busy each machine was from its last sample to the end of the run.
    pub(super) fn close_machines(&mut self, end: Timestamp) {
        for (id, agent_host) in self.agent_hosts.iter_mut() {
            agent_host.machine.handle_timeout(end);
            let mut record = |(second, percent)| {
                let busy = Fact::MachineBusy { second, percent };
                self.journal.record(end, id, busy);
            };
            while let Some(busy) = agent_host.machine.poll_second() {
                record(busy);
            }
            agent_host.machine.present_second().into_iter().for_each(record);
        }
    }

    /// Drains an agent and its machine after one of them has changed, and schedules their wake-ups.
    pub(super) fn settle(&mut self, now: Timestamp, id: AgentId) {
        self.with_agent(now, id, |_, _| {});
    }

    /// Drains the effects of an agent and the finished jobs of its machine. Then the agent returns
    /// the buffer for effects, which all agents share.
    fn carry_out_all(&mut self, now: Timestamp, id: AgentId) {
        loop {
            let agent_host = &mut self.agent_hosts[id];
            let Some(agent) = &mut agent_host.agent else { return };
            if let Some(effect) = agent.poll_effect() {
                self.carry_out(now, id, effect);
            } else if agent_host.machine_changed
                && let Some(work) = agent_host.machine.poll_finished()
            {
                match work {
                    MachineWork::Job(job) => self.job_done(now, id, job),
                    MachineWork::Message(number) => self.message_done(now, id, number),
                }
            } else {
                return agent.swap_effects(&mut self.effects);
            }
        }
    }

    /// A machine has done a job. If it has no subjobs, it is over.
    fn job_done(&mut self, now: Timestamp, id: AgentId, job: JobId) {
        let erring = self.agent_hosts[id].erring();
        let failure = erring.and_then(|erring| erring.end(job));
        let may_go_on = failure.is_none() && self.run.scenario.workload.has_subjobs();
        if may_go_on && self.begin_subjobs(now, id, job) {
            return;
        }
        let agent_host = &mut self.agent_hosts[id];
        let local = agent_host.clock.show(now);
        let result = failure.map_or_else(|| Ok(self.output.clone()), Err);
        if let Some(agent) = &mut agent_host.agent {
            agent.handle_job_result(local, job, result);
        }
    }

    fn see_to_wake_ups(&mut self, now: Timestamp, id: AgentId) {
        let agent_host = &mut self.agent_hosts[id];
        let Some(agent) = &mut agent_host.agent else { return };
        if agent_host.presence == Presence::Leaving && agent.is_drained() {
            let life = self.hosts[id.host()].life;
            self.queue.push(now, Event::DrainEnds { agent: id, life });
        }
        if agent_host.draining_since.is_some() && agent.may_leave(agent_host.clock.show(now)) {
            self.queue.push(now, Event::MayLeave(id));
        }
        // A wake-up that is pending for an earlier time schedules the next one when it comes.
        if agent.take_rearmed() || agent_host.wake_at == Timestamp::MAX {
            let wake_at = agent_host.clock.when(agent.poll_timeout()).max(now);
            if wake_at < agent_host.wake_at {
                agent_host.wake_at = wake_at;
                self.queue.push(wake_at, Event::WakeAgent(id));
            }
        }
        let machine_changed = std::mem::take(&mut agent_host.machine_changed);
        if machine_changed && let Some(truth) = &self.truth {
            truth.machine_changed(now, id, agent_host.machine.backlog());
        }
        if machine_changed
            && let Some(job_ends_at) = agent_host.machine.poll_timeout()
            && job_ends_at < agent_host.job_ends_at
        {
            agent_host.job_ends_at = job_ends_at;
            self.queue.push(job_ends_at, Event::JobEnds(id));
        }
    }

    fn carry_out(&mut self, now: Timestamp, id: AgentId, effect: Effect) {
        let agent_host = &mut self.agent_hosts[id];
        match effect {
            Effect::Note(note) | Effect::TracedNote { note, .. } => {
                match note {
                    Note::Draining { .. } => {
                        agent_host.draining_since = Some(now);
                        self.drain_begins(now, id);
                    }
                    Note::DrainCancelled => agent_host.draining_since = None,
                    _ => {}
                }
                // Oracles need the list itself, which the note doesn't have.
                let peers_changed = matches!(note, Note::ViewChanged { .. });
                self.journal.record(now, id, Fact::AgentNoted(note));
                if peers_changed && let Some(agent) = &self.agent_hosts[id].agent {
                    self.journal.record(now, id, Fact::PeersKnown(agent.peers().clone()));
                }
            }
            Effect::Span(span) => {
                // The agent's own clock may be wrong; a trace has one time.
                let [start, end] = [span.start, span.end].map(|at| agent_host.clock.when(at));
                let span = TraceSpan { start, end, ..Arc::unwrap_or_clone(span) };
                self.journal.record(now, id, Fact::SpanEnded(span.into()));
            }
            Effect::Reply { ticket, answer } => {
                self.answer(now, ExchangeId::of_ticket(ticket), Payload::Reply(answer));
            }
            Effect::Call { call, peer, request, .. } => {
                // The registry lists only agents of the scenario, so every address is a host's.
                let Some(callee) = host_at(&peer.url) else { return };
                if request.is_probe() {
                    self.charge(now, id, self.run.scenario.costs.probe);
                }
                let request = Payload::Request(request);
                let exchange = self.call(now, id.host(), callee, ReplyTo::Peer(call), request);
                if let Some(agent) = &mut self.agent_hosts[id].agent
                    && !agent.set_call_ticket(call, exchange.ticket())
                {
                    // The agent has given up the call meanwhile.
                    self.abandon(now, exchange);
                }
            }
            Effect::Abandon { ticket, .. } => {
                if let Some(ticket) = ticket {
                    self.abandon(now, ExchangeId::of_ticket(ticket));
                }
            }
            Effect::Start { job, task } => {
                agent_host.machine_changed = true;
                let costs = &self.run.scenario.costs;
                let (demand, wait) = agent_host.effort(now, job, &task, costs);
                agent_host.machine.start(now, MachineWork::Job(job), demand, wait);
            }
            Effect::Stop(job) => {
                agent_host.machine_changed = true;
                agent_host.machine.cancel(now, MachineWork::Job(job));
                if let Some(erring) = agent_host.erring() {
                    erring.end(job);
                }
                if self.run.scenario.workload.has_subjobs() {
                    self.drop_subjobs(now, id, job);
                }
            }
            Effect::Registry { call, registry, request } => {
                self.charge(now, id, self.run.scenario.costs.heartbeat);
                let request = Payload::RegistryRequest(request);
                let to = HostId::registry(registry, self.agent_hosts.len());
                self.call(now, id.host(), to, ReplyTo::Registry(call), request);
            }
        }
    }
}
