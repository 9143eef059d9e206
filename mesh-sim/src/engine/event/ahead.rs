//! Asks the processor for the memory of coming events.
//!
//! An event touches what belongs to its host, and with thousands of hosts that is in no cache: most
//! of its time would be waiting, for one line after another. What is pending says which hosts come
//! next, so their memory is on its way while other events happen: first the exchange of a message,
//! which names the host, then the host's record, then step by step what the record points to.

use mesh_core::agent::bulk::{PREFETCH_STEPS, prefetch, prefetch_arc};
use mesh_core::protocol::{Reply, Request};

use super::calls::{self, Message};
use super::exchange::{Caller, Exchange, Payload};
use super::queue::Lane;
use super::{Event, Simulation};
use crate::host::{AgentId, HostId};

/// Fewer agents fit into the second-level cache, and looking ahead would only take time.
const MANY: usize = 500;
/// Messages between the request for an exchange and its turn.
const EXCHANGE_AHEAD: usize = 24;
/// Events between the request for a host's record and its turn.
const HOST_AHEAD: usize = 16;
/// Messages between each step into what a record points to, and their turn.
const STEPS_AHEAD: [usize; PREFETCH_STEPS] = [8, 4, 2];
/// Messages after the request for a host on which a job ends; then its record has come.
const JOB_AFTER: u32 = 2;

impl Simulation<'_> {
    /// To be called before each event: asks for the memory of some that come later.
    pub(super) fn look_ahead(&mut self, event: &Event) {
        if self.nodes.len() >= MANY {
            self.look_beyond(event);
        }
    }

    /// The next request goes to this agent.
    pub(super) fn look_at_due(&self, entry: AgentId) {
        if self.nodes.len() >= MANY {
            prefetch_arc(&self.faults.hosts()[entry.host()]);
            self.pool.prefetch(entry.host());
        }
    }

    /// A function of its own: it is large, and small meshes don't need it.
    #[inline(never)]
    fn look_beyond(&mut self, event: &Event) {
        match event {
            Event::Arrives(..) => {
                self.look_at_messages();
                self.since_other += 1;
                if self.since_other == JOB_AFTER {
                    self.look_at_job();
                }
            }
            Event::Sample { .. } => {
                if let Some(Event::Sample { agent, .. }) =
                    self.queue.ahead(Lane::Sample, HOST_AHEAD)
                {
                    self.prefetch_agent(*agent, true);
                }
            }
            _ => {
                if let Some(Event::Wake(agent) | Event::JobEnds(agent)) = self.queue.next_other() {
                    self.prefetch_agent(*agent, true);
                }
                self.since_other = 0;
            }
        }
    }

    fn look_at_messages(&self) {
        if let Some(Event::Arrives(_, id)) = self.queue.ahead(Lane::Message, EXCHANGE_AHEAD)
            && let Some(place) = self.exchanges.place(*id)
        {
            prefetch(place);
        }
        match self.coming(HOST_AHEAD) {
            // Opening a connection takes no more than the exchange.
            None | Some((_, Message::Connect | Message::Accept, _)) => {}
            Some((HostId::CLIENT, _, exchange)) => self.prefetch_ending(exchange),
            Some((host, _, exchange)) => {
                let is_job = matches!(&exchange.payload, Payload::Request(Request::Work(_)));
                if let Some(agent) = host.agent() {
                    self.prefetch_agent(agent, is_job);
                }
            }
        }
        for (step, ahead) in STEPS_AHEAD.into_iter().enumerate() {
            let Some((host, message, exchange)) = self.coming(ahead) else { continue };
            if step == 0 {
                prefetch_names(&exchange.payload);
            }
            if let Some(agent) = host.agent() {
                self.nodes[agent].prefetch_parts(message, exchange, step);
            }
        }
    }

    /// The message that has so many before it, and to whom it goes.
    fn coming(&self, others: usize) -> Option<(HostId, Message, &Exchange)> {
        let Some(Event::Arrives(message, id)) = self.queue.ahead(Lane::Message, others) else {
            return None;
        };
        let exchange = self.exchanges.peek(*id)?;
        Some((calls::ends(exchange, *message).1, *message, exchange))
    }

    /// What most events at an agent's host read first.
    fn prefetch_agent(&self, agent: AgentId, with_machine: bool) {
        self.nodes[agent].prefetch(with_machine);
        prefetch_arc(&self.faults.hosts()[agent.host()]);
    }

    /// The client hears how its request ended.
    fn prefetch_ending(&self, exchange: &Exchange) {
        self.pool.prefetch(exchange.callee);
        if let Payload::Reply(Ok(Reply::Delegate(reply))) = &exchange.payload {
            prefetch(&**reply);
        }
        if let Caller::Client(request) = exchange.who {
            self.load.prefetch(request);
        }
    }

    fn look_at_job(&self) {
        if let Some(Event::JobEnds(agent)) = self.queue.next_other()
            && let Some(id) = self.nodes[*agent].prefetch_job()
            && let Some(place) = self.exchanges.place(id)
        {
            prefetch(place);
        }
    }
}

/// The names in an answer, which is dropped in the end.
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
