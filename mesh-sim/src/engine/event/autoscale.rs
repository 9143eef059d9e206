//! How the engine asks the autoscaler of a run, and carries out its orders.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::scaling::ScalingAction;
use mesh_node::agent::LAST_ANSWERS_TIME;

use super::{Event, EventSimulation};
use crate::engine::simulated_scaler::ScalingOrder;
use crate::host::{AgentId, HostId};
use crate::journal::Fact;
use crate::presence::Presence;

impl EventSimulation<'_> {
    /// The autoscaler decides, and will again.
    pub(super) fn scale(&mut self, now: Timestamp) {
        let Some(scaler) = self.scaler.clone() else { return };
        let (decision, orders) = scaler.decide(now);
        if !matches!(decision.action, ScalingAction::Hold(_)) {
            self.journal.record(now, HostId::CLIENT, Fact::Scaled(decision.into()));
        }
        for order in orders {
            match order {
                ScalingOrder::Start(agent) => {
                    self.queue.push(now + scaler.start_up(), Event::Joins(agent));
                }
                ScalingOrder::End(agent) => self.leave(now, agent, Duration::ZERO),
                ScalingOrder::Drain { name, draining } => self.mark(now, &name, draining),
            }
        }
        self.scale_after(now);
    }

    /// The autoscaler, if there is one, will decide after its interval.
    pub(super) fn scale_after(&mut self, now: Timestamp) {
        let next = self.scaler.as_ref().and_then(|scaler| scaler.after(now));
        if let Some(next) = next {
            self.queue.push(next, Event::Scale);
        }
    }

    /// An agent has begun to drain. At the latest after the time that it may take, it is told to shut
    /// down.
    pub(super) fn drain_begins(&mut self, now: Timestamp, agent: AgentId) {
        if let Some(scaler) = &self.scaler {
            self.queue.push(now + scaler.drain(), Event::DrainLimit { agent, since: now });
        }
    }

    /// A draining agent has nothing more to do, or its time for that is over.
    pub(super) fn drain_is_over(&mut self, now: Timestamp, agent: AgentId) {
        if self.agent_hosts[agent].presence == Presence::Member {
            self.leave(now, agent, LAST_ANSWERS_TIME);
        }
    }

    /// Has the first registry that is up mark an agent. The agent tells the others itself.
    fn mark(&mut self, now: Timestamp, name: &Name, draining: bool) {
        let hosts: Vec<HostId> = self.faults.hosts().registries().collect();
        let up = hosts.into_iter().find(|host| !self.hosts[*host].is_down);
        let Some(host) = up else { return };
        // A registry with a store answers later, and nobody waits for that here.
        let _ = self.registry_at(host).registry.handle_drain(now, name, draining);
        self.drain_registry(now, host);
    }
}
