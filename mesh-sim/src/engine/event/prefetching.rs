//! Prefetches the memory that coming events will need.
//!
//! An event touches the state of one host. With thousands of hosts that state is in no cache, and
//! most of the event's time would be spent waiting for memory, one cache line after another. The
//! queue knows which events come next. So the engine tells the processor early which memory they
//! need, and the processor loads it while other events are handled: first the exchange of a
//! message, which names the host, then the host's record, then step by step what the record
//! points to.

use mesh_core::agent::bulk::{PREFETCH_STEPS, prefetch, prefetch_arc};
use mesh_core::protocol::{Reply, Request};

use super::calls::{self, Message};
use super::exchange::{Exchange, Payload, ReplyTo};
use super::queue::Lane;
use super::{Event, EventSimulation};
use crate::host::{AgentId, HostId};

/// Prefetching starts with this many agents. Fewer fit into the second-level cache, where it would
/// only take time.
const MANY_AGENTS: usize = 500;
/// An exchange is prefetched this many messages before its own.
const EXCHANGE_AHEAD: usize = 24;
/// A host's record is prefetched this many events before its own.
const HOST_AHEAD: usize = 16;
/// For each step along the pointers of a record: how many messages before its own.
const STEPS_AHEAD: [usize; PREFETCH_STEPS] = [8, 4, 2];
/// After a host on which a job ends was prefetched, its record has arrived within this many
/// messages; then the job itself can be prefetched.
const MESSAGES_BEFORE_JOB: u32 = 2;

impl EventSimulation<'_> {
    /// Called before each event is handled: prefetches for some that come later.
    pub(super) fn prefetch_for_later(&mut self, event: &Event) {
        if self.agent_hosts.len() >= MANY_AGENTS {
            self.prefetch_for_many_agents(event);
        }
    }

    /// Prefetches for the client's next request, which goes to this agent.
    pub(super) fn prefetch_for_request(&self, entry: AgentId) {
        if self.agent_hosts.len() >= MANY_AGENTS {
            prefetch_arc(&self.faults.hosts()[entry.host()]);
            self.client_pool.prefetch(entry.host());
        }
    }

    /// Apart from [`Self::prefetch_for_later`] and not inlined: it is large, and small meshes never
    /// call it.
    #[inline(never)]
    fn prefetch_for_many_agents(&mut self, event: &Event) {
        match event {
            Event::Arrives(..) => {
                self.prefetch_for_messages();
                self.messages_since_other += 1;
                if self.messages_since_other == MESSAGES_BEFORE_JOB {
                    self.prefetch_for_ending_job();
                }
            }
            Event::SampleLoad { .. } => {
                if let Some(Event::SampleLoad { agent, .. }) =
                    self.queue.ahead(Lane::Sample, HOST_AHEAD)
                {
                    self.prefetch_agent(*agent, true);
                }
            }
            _ => {
                if let Some(Event::WakeAgent(agent) | Event::JobEnds(agent)) =
                    self.queue.next_other()
                {
                    self.prefetch_agent(*agent, true);
                }
                self.messages_since_other = 0;
            }
        }
    }

    fn prefetch_for_messages(&self) {
        if let Some(Event::Arrives(_, id)) = self.queue.ahead(Lane::Message, EXCHANGE_AHEAD)
            && let Some(slot) = self.exchanges.slot(*id)
        {
            prefetch(slot);
        }
        match self.message_ahead(HOST_AHEAD) {
            // Opening a connection needs only the exchange.
            None | Some((_, Message::Connect | Message::Accept, _)) => {}
            Some((HostId::CLIENT, _, exchange)) => self.prefetch_for_request_end(exchange),
            Some((host, _, exchange)) => {
                let is_job = matches!(&exchange.payload, Payload::Request(Request::Work(_)));
                if let Some(agent) = host.agent() {
                    self.prefetch_agent(agent, is_job);
                }
            }
        }
        for (step, ahead) in STEPS_AHEAD.into_iter().enumerate() {
            let Some((host, message, exchange)) = self.message_ahead(ahead) else { continue };
            if step == 0 {
                prefetch_names(&exchange.payload);
            }
            if let Some(agent) = host.agent() {
                self.agent_hosts[agent].prefetch_parts(message, exchange, step);
            }
        }
    }

    /// The message that has `others` messages before it: its receiver, kind and exchange.
    fn message_ahead(&self, others: usize) -> Option<(HostId, Message, &Exchange)> {
        let Some(Event::Arrives(message, id)) = self.queue.ahead(Lane::Message, others) else {
            return None;
        };
        let exchange = self.exchanges.peek(*id)?;
        Some((calls::sender_and_receiver(exchange, *message).1, *message, exchange))
    }

    /// Prefetches what most events at an agent's host read first.
    fn prefetch_agent(&self, agent: AgentId, with_machine: bool) {
        self.agent_hosts[agent].prefetch(with_machine);
        prefetch_arc(&self.faults.hosts()[agent.host()]);
    }

    /// Prefetches for a message that ends a request of the client.
    fn prefetch_for_request_end(&self, exchange: &Exchange) {
        self.client_pool.prefetch(exchange.callee);
        if let Payload::Reply(Ok(Reply::Delegate(reply))) = &exchange.payload {
            prefetch(&**reply);
        }
        if let ReplyTo::Client(request) = exchange.reply_to {
            self.client.prefetch(request);
        }
    }

    fn prefetch_for_ending_job(&self) {
        if let Some(Event::JobEnds(agent)) = self.queue.next_other()
            && let Some(id) = self.agent_hosts[*agent].prefetch_job()
            && let Some(slot) = self.exchanges.slot(id)
        {
            prefetch(slot);
        }
    }
}

/// Prefetches the names in an answer. Their reference counts are touched when it is dropped.
fn prefetch_names(payload: &Payload) {
    match payload {
        Payload::Reply(Ok(Reply::Info(info))) => prefetch_arc(&info.agent),
        Payload::Reply(Ok(Reply::Work(work))) => prefetch_arc(&work.agent),
        Payload::Reply(Ok(Reply::Delegate(reply))) => {
            prefetch_arc(&reply.delegated_to.agent);
            prefetch_arc(&reply.delegated_to.url);
        }
        _ => {}
    }
}
