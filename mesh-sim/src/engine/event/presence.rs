//! Agents that join and leave the mesh in the middle of a run.

use std::time::Duration;

use mesh_core::Timestamp;

use super::{Event, EventSimulation};
use crate::host::AgentId;
use crate::journal::Fact;
use crate::presence::Presence;

impl EventSimulation<'_> {
    /// An agent's process starts: now, or as soon as its host is up.
    pub(super) fn join(&mut self, now: Timestamp, agent: AgentId) {
        self.agent_hosts[agent].presence = Presence::Member;
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Member));
        if !self.hosts[agent.host()].is_down {
            self.start_agent(now, agent);
        }
    }

    /// An agent is told to shut down. It is gone once all of its jobs and requests have ended, or
    /// after `limit`; at once if its host is down.
    pub(super) fn leave(&mut self, now: Timestamp, agent: AgentId, limit: Duration) {
        self.agent_hosts[agent].presence = Presence::Leaving;
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Leaving));
        if self.hosts[agent.host()].is_down {
            return self.gone(now, agent);
        }
        let life = self.hosts[agent.host()].life;
        self.queue.push(now + limit, Event::DrainEnds { agent, life });
        self.with_agent(now, agent, |agent, local| agent.handle_shutdown(local));
    }

    /// The process of a leaving agent ends: its jobs and requests have ended, or their time is
    /// over. `life` is that of the process which was told to leave.
    pub(super) fn process_ends(&mut self, now: Timestamp, agent: AgentId, life: u32) {
        let is_same = self.hosts[agent.host()].life == life;
        if is_same && self.agent_hosts[agent].presence == Presence::Leaving {
            self.hosts[agent.host()].life += 1;
            self.close_connections(now, agent.host());
            self.agent_hosts[agent].stop(now);
            self.gone(now, agent);
        }
    }

    pub(super) fn gone(&mut self, now: Timestamp, agent: AgentId) {
        self.agent_hosts[agent].presence = Presence::Gone;
        self.journal.record(now, agent, Fact::PresenceChanged(Presence::Gone));
    }
}
