//! The CPU time and the delays of messages, which the same machine works at as at the jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::JobId;
use mesh_core::protocol::Request;
use mesh_core::seed::{Rng, Seed};

use super::EventSimulation;
use super::exchange::{ExchangeId, Payload};
use crate::dist::Distribution;
use crate::host::{AgentId, HostId};
use crate::scenario::Costs;

/// What an agent's machine works at. As large as a [`JobId`], because there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MachineWork {
    Job(JobId),
    /// A message with this number in [`MessagesAtWork`].
    Message(u32),
}

const _: () = assert!(size_of::<MachineWork>() == size_of::<JobId>());

/// The messages that the machine of one agent works at.
#[derive(Debug, Default)]
pub(super) struct MessagesAtWork {
    next: u32,
    /// The request that is handled when the work is done; `None` for work after which nothing
    /// follows.
    requests: BTreeMap<u32, Option<ExchangeId>>,
    /// Draws the delays of probes; `None` before the first one.
    delays: Option<Rng>,
}

impl MessagesAtWork {
    pub(super) fn begin(&mut self, request: Option<ExchangeId>) -> MachineWork {
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.requests.insert(number, request);
        MachineWork::Message(number)
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }

    /// How long the answer to a probe of the agent `name` is delayed.
    fn probe_delay(&mut self, distribution: &Distribution, root: &Seed, name: &str) -> Duration {
        let seed = || root.child("probe delays").child(name).rng();
        distribution.sample(self.delays.get_or_insert_with(seed))
    }

    fn end(&mut self, number: u32) -> Option<ExchangeId> {
        self.requests.remove(&number).flatten()
    }
}

/// The CPU time that a request takes before an agent handles it.
const fn before(request: &Request, costs: &Costs) -> Duration {
    match request {
        Request::Info | Request::Service | Request::Idle(_) => costs.probe,
        Request::Delegate(_) => costs.delegation,
        // The rest of what it costs is a part of the job.
        Request::Work(_) => costs.work,
    }
}

impl EventSimulation<'_> {
    /// A request has arrived. If it takes CPU time or is delayed, the machine begins with it, and the
    /// agent handles the request afterwards; false if it takes no time.
    pub(super) fn takes_cpu(&mut self, now: Timestamp, callee: HostId, id: ExchangeId) -> bool {
        let costs = &self.run.scenario.costs;
        let is_free = [costs.probe, costs.work, costs.delegation].iter().all(Duration::is_zero);
        if is_free && costs.probe_delay.is_none() {
            return false;
        }
        let Some(exchange) = self.exchanges.get(id) else { return false };
        let Payload::Request(request) = &exchange.payload else { return false };
        let (cost, is_probe) = (before(request, costs), request.is_probe());
        let Some(agent) = callee.agent() else { return false };
        let agent_host = &mut self.agent_hosts[agent];
        let delay = costs.probe_delay.as_ref().filter(|_| is_probe).map(|distribution| {
            let name = &self.run.scenario.agent(agent).name;
            agent_host.messages().probe_delay(distribution, &self.seed, name)
        });
        if cost.is_zero() && delay.is_none() {
            return false;
        }
        agent_host.work_at_message(now, (cost, delay.unwrap_or_default()), Some(id));
        self.settle(now, agent);
        true
    }

    /// Lets an agent's machine work at a message that the agent sends.
    pub(super) fn charge(&mut self, now: Timestamp, agent: AgentId, cost: Duration) {
        if !cost.is_zero() {
            self.agent_hosts[agent].work_at_message(now, (cost, Duration::ZERO), None);
        }
    }

    /// A machine has done its work at a message.
    pub(super) fn message_done(&mut self, now: Timestamp, agent: AgentId, number: u32) {
        let agent_host = &mut self.agent_hosts[agent];
        let Some(id) = agent_host.messages().end(number) else { return };
        let Some(exchange) = self.exchanges.get(id) else { return };
        // Otherwise the caller has given up meanwhile.
        if !exchange.callee_done
            && let Payload::Request(request) =
                std::mem::replace(&mut exchange.payload, Payload::None)
        {
            exchange.handle = agent_host.handle_request(now, id, request);
        }
    }
}
