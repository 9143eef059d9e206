//! The agents as hosts: each a state machine on a machine of its own.

use std::sync::Arc;

use mesh_core::Timestamp;
use mesh_core::agent::bulk::{Bulk, Upcoming, prefetch};
use mesh_core::agent::{Agent, AgentConfig, Effect, Identity, JobId, Note};
use mesh_core::protocol::Request;

use super::calls::Message;
use super::clock::LocalClock;
use super::exchange::{Caller, Exchange, ExchangeId, Payload};
use super::pool::Pool;
use super::queue::Lane;
use super::{Event, Simulation};
use crate::engine::address::{address, host_at};
use crate::faults::MachineState;
use crate::host::{AgentId, HostId};
use crate::journal::Fact;
use crate::machine::Machine;
use crate::scenario::AgentSpec;

/// An agent's host.
pub(super) struct Node {
    /// None while it is down.
    agent: Option<Agent>,
    clock: LocalClock,
    machine: Machine<JobId>,
    /// Its idle connections.
    pool: Pool,
    /// When the agent will be woken.
    wake_at: Timestamp,
    /// When the machine will be looked at for ended jobs.
    job_at: Timestamp,
    /// Jobs may have ended on the machine, or will end at another time.
    machine_moved: bool,
}

impl Node {
    pub(super) fn new(spec: &AgentSpec) -> Self {
        Self {
            agent: None,
            clock: LocalClock::new(spec.clock_rate),
            machine: Machine::new(&spec.machine),
            pool: Pool::default(),
            wake_at: Timestamp::MAX,
            job_at: Timestamp::MAX,
            machine_moved: false,
        }
    }

    pub(super) fn set_machine(&mut self, now: Timestamp, state: MachineState) {
        self.machine_moved = true;
        self.machine.set_speed_factor(now, state.speed_factor);
        self.machine.set_background_override(now, state.background);
    }

    pub(super) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Asks the processor for the host's record.
    pub(super) fn prefetch(&self, with_machine: bool) {
        prefetch(&self.agent);
        prefetch(&self.pool);
        if with_machine {
            prefetch(&self.machine);
        }
    }

    /// Asks the processor for what a message to the host needs beyond its record.
    pub(super) fn prefetch_parts(&self, message: Message, exchange: &Exchange, step: usize) {
        let Some(agent) = &self.agent else { return };
        match (message, &exchange.payload, exchange.who) {
            (Message::Request, Payload::Request(request), _) => {
                agent.prefetch(Upcoming::Request(request), step);
                if matches!(request, Request::Work(_)) && step == 0 {
                    self.machine.prefetch();
                }
            }
            (Message::Answer, _, Caller::Peer(call)) => {
                agent.prefetch(Upcoming::Result(call), step);
                if step == 0 {
                    self.pool.prefetch(exchange.callee);
                }
            }
            _ => {}
        }
    }

    /// Asks the processor for the job that ends first; gives back for which call it is done.
    pub(super) fn prefetch_job(&self) -> Option<ExchangeId> {
        let job = self.machine.first_to_end()?;
        let ticket = self.agent.as_ref()?.prefetch_job(job)?;
        Some(ExchangeId::of_ticket(ticket))
    }

    pub(super) fn crash(&mut self, now: Timestamp) {
        self.agent = None;
        self.machine.crash(now);
        self.pool = Pool::default();
        self.wake_at = Timestamp::MAX;
    }
}

impl Simulation<'_> {
    pub(super) fn start_agent(&mut self, now: Timestamp, id: AgentId) {
        let spec = self.run.scenario.agent(id);
        // A later life has a greater number; zero stands for agents that have none.
        let incarnation = now.as_nanos() + 1;
        let identity = Identity { name: spec.name.clone(), url: address(id.host()), incarnation };
        let config = self.config_of(spec);
        let seed = self.seed.child("agents").child(&spec.name).child(&incarnation.to_string());
        let node = &mut self.nodes[id];
        let local = node.clock.show(now);
        node.agent = Some(Agent::new(local, identity, config, &seed));
        node.machine.boot(now);
        let life = self.hosts[id.host()].life;
        let sample = Event::Sample { agent: id, life };
        self.queue.push_in(Lane::Sample, now + spec.machine.cpu_window, sample);
        self.with_agent(now, id, |agent, local| agent.handle_timeout(local));
    }

    /// How an agent behaves. Most behave as the one before, and share it.
    fn config_of(&mut self, spec: &AgentSpec) -> Arc<AgentConfig> {
        let config = self.run.scenario.agent_config(spec, self.run.policy);
        let last = self.last_config.take().filter(|last| **last == config);
        self.last_config.insert(last.unwrap_or_else(|| config.into())).clone()
    }

    /// Mutates an agent, if it is up, and carries out what follows.
    pub(super) fn with_agent(
        &mut self,
        now: Timestamp,
        id: AgentId,
        act: impl FnOnce(&mut Agent, Timestamp),
    ) {
        let node = &mut self.nodes[id];
        let Some(agent) = &mut node.agent else { return };
        agent.swap_effects(&mut self.effects);
        act(agent, node.clock.show(now));
        self.carry_out_all(now, id);
        self.see_to_wake_ups(now, id);
    }

    /// The same for the agent that a host is.
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
        let node = &mut self.nodes[id];
        if node.wake_at != now {
            return;
        }
        node.wake_at = Timestamp::MAX;
        self.with_agent(now, id, |agent, local| {
            if agent.poll_timeout() <= local {
                agent.handle_timeout(local);
            }
        });
    }

    pub(super) fn jobs_end(&mut self, now: Timestamp, id: AgentId) {
        let node = &mut self.nodes[id];
        if node.job_at == now {
            node.job_at = Timestamp::MAX;
            node.machine.handle_timeout(now);
            node.machine_moved = true;
            self.settle(now, id);
        }
    }

    pub(super) fn sample(&mut self, now: Timestamp, id: AgentId, life: u32) {
        let node = &mut self.nodes[id];
        let Some(agent) = node.agent.as_mut().filter(|_| self.hosts[id.host()].life == life) else {
            return;
        };
        let cpu_percent = node.machine.sample_cpu(now);
        node.machine_moved = true;
        let jobs = node.machine.running() as u32;
        agent.handle_sample(cpu_percent, node.machine.memory_percent(jobs));
        let (load, open) = (agent.load(), agent.open());
        self.journal.record(now, id, Fact::LoadSampled { load, open });
        self.journal.record(now, id, Fact::PeersKnown(agent.peers().clone()));
        while let Some((second, percent)) = node.machine.poll_second() {
            self.journal.record(now, id, Fact::MachineBusy { second, percent });
        }
        let window = self.run.scenario.agent(id).machine.cpu_window;
        let next = Event::Sample { agent: id, life };
        self.queue.push_in(Lane::Sample, now + window, next);
        self.settle(now, id);
    }

    /// Tells of the busy time since the last samples, at the end of the run.
    pub(super) fn close_machines(&mut self, end: Timestamp) {
        for (id, node) in self.nodes.iter_mut() {
            node.machine.handle_timeout(end);
            let mut record = |(second, percent)| {
                let busy = Fact::MachineBusy { second, percent };
                self.journal.record(end, id, busy);
            };
            while let Some(busy) = node.machine.poll_second() {
                record(busy);
            }
            node.machine.present_second().into_iter().for_each(record);
        }
    }

    /// Carries out all that an agent and its machine ask for, and sees to it that both are woken.
    pub(super) fn settle(&mut self, now: Timestamp, id: AgentId) {
        self.with_agent(now, id, |_, _| {});
    }

    /// Carries out all that an agent and its machine ask for; then the agent gives the memory of
    /// its effects back.
    fn carry_out_all(&mut self, now: Timestamp, id: AgentId) {
        loop {
            let node = &mut self.nodes[id];
            let Some(agent) = &mut node.agent else { return };
            if let Some(effect) = agent.poll_effect() {
                self.carry_out(now, id, effect);
            } else if node.machine_moved
                && let Some(job) = node.machine.poll_finished()
            {
                agent.handle_job_result(node.clock.show(now), job, Ok(self.output.clone()));
            } else {
                return agent.swap_effects(&mut self.effects);
            }
        }
    }

    fn see_to_wake_ups(&mut self, now: Timestamp, id: AgentId) {
        let node = &mut self.nodes[id];
        let Some(agent) = &mut node.agent else { return };
        // An earlier wake-up that is pending will see to a later one.
        if agent.take_rearmed() || node.wake_at == Timestamp::MAX {
            let wake_at = node.clock.when(agent.poll_timeout()).max(now);
            if wake_at < node.wake_at {
                node.wake_at = wake_at;
                self.queue.push(wake_at, Event::Wake(id));
            }
        }
        if std::mem::take(&mut node.machine_moved)
            && let Some(job_at) = node.machine.poll_timeout()
            && job_at < node.job_at
        {
            node.job_at = job_at;
            self.queue.push(job_at, Event::JobEnds(id));
        }
    }

    fn carry_out(&mut self, now: Timestamp, id: AgentId, effect: Effect) {
        let node = &mut self.nodes[id];
        match effect {
            Effect::Note(note) => {
                let peers_changed = matches!(note, Note::ViewChanged { .. });
                self.journal.record(now, id, Fact::AgentNoted(note));
                if peers_changed && let Some(agent) = &node.agent {
                    self.journal.record(now, id, Fact::PeersKnown(agent.peers().clone()));
                }
            }
            Effect::Reply { ticket, answer } => {
                self.answer(now, ExchangeId::of_ticket(ticket), Payload::Reply(answer));
            }
            Effect::Call { call, peer, request, .. } => {
                // The registry lists the scenario's agents alone.
                let Some(callee) = host_at(&peer.url) else { return };
                let request = Payload::Request(request);
                let exchange = self.call(now, id.host(), callee, Caller::Peer(call), request);
                if let Some(agent) = &mut self.nodes[id].agent
                    && !agent.set_call_ticket(call, exchange.ticket())
                {
                    self.abandon(now, exchange);
                }
            }
            Effect::Abandon { ticket, .. } => {
                if let Some(ticket) = ticket {
                    self.abandon(now, ExchangeId::of_ticket(ticket));
                }
            }
            Effect::Start { job, task } => {
                node.machine_moved = true;
                node.machine.start(now, job, task.demand.unwrap_or_default());
            }
            Effect::Stop(job) => {
                node.machine_moved = true;
                node.machine.cancel(now, job);
            }
            Effect::Registry { call, request } => {
                let request = Payload::RegistryRequest(request);
                self.call(now, id.host(), HostId::REGISTRY, Caller::Registry(call), request);
            }
        }
    }
}
