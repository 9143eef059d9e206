//! Agents that join and leave the mesh in the middle of a run.

use mesh_core::Timestamp;

use super::{Event, Simulation};
use crate::host::AgentId;
use crate::journal::Fact;
use crate::presence::{Presence, drain_limit};

impl Simulation<'_> {
    /// An agent's process starts: now, or as soon as its host is up.
    pub(super) fn join(&mut self, now: Timestamp, agent: AgentId) {
        self.nodes[agent].presence = Presence::Member;
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Member));
        if !self.hosts[agent.host()].is_down {
            self.start_agent(now, agent);
        }
    }

    /// An agent is told to shut down. It is gone once nothing is under way, or when its time to
    /// finish is over; at once if its host is down.
    pub(super) fn leave(&mut self, now: Timestamp, agent: AgentId) {
        self.nodes[agent].presence = Presence::Leaving;
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Leaving));
        if self.hosts[agent.host()].is_down {
            return self.gone(now, agent);
        }
        self.queue.push(now + drain_limit(), Event::DrainEnds(agent));
        self.with_agent(now, agent, |agent, local| agent.handle_shutdown(local));
    }

    /// A leaving agent has finished what was under way, or has had the time for it.
    pub(super) fn process_ends(&mut self, now: Timestamp, agent: AgentId) {
        if self.nodes[agent].presence == Presence::Leaving {
            self.hosts[agent.host()].life += 1;
            self.close_connections(now, agent.host());
            self.nodes[agent].stop(now);
            self.gone(now, agent);
        }
    }

    pub(super) fn gone(&mut self, now: Timestamp, agent: AgentId) {
        self.nodes[agent].presence = Presence::Gone;
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Gone));
    }
}
