//! After the last fault has healed, every live agent is listed and known again, and no job or call
//! is left in flight.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Peers;
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::roster::Roster;
use mesh_node::agent::LAST_ANSWERS_TIME;

use super::FoundViolations;
use super::bounds::{NoticeBounds, on_clock, slowest_clock};
use super::leases::LeaseOracle;
use super::registry_leases::RegistryLeases;
use crate::faults::FaultSchedule;
use crate::format::counted;
use crate::host::{AgentId, AgentMap, HostId};
use crate::presence::{PlannedChange, Presence, drain_limit, planned_changes, presence_at_start};
use crate::record::Violation;
use crate::scenario::Scenario;

pub(super) const LISTED: &str = "after the last fault every live agent is listed again";
pub(super) const KNOWN: &str = "after the last fault every view converges";
pub(super) const NO_LEAK: &str = "in-flight counters return to zero";

/// Checks the mesh at the end of a run, when there is no load and every fault that ends has ended.
///
/// The counters of every live agent must be zero. Agents that can reach a registry at the end must
/// also be listed there, and those that can reach all registries that are up must know each other.
/// Agents that can't reach one, because a fault lasts to the end, may be listed or not: that depends
/// on whether their last heartbeat got through.
#[derive(Debug)]
pub(super) struct ConvergenceOracle {
    faults: Arc<FaultSchedule>,
    /// When the mesh must have converged and a sample must have shown it.
    end: Timestamp,
    /// Whether agents may choose themselves, so that their views have themselves.
    to_self: bool,
    /// The longest time between two samples of an agent.
    sampling: Duration,
    /// As [`patience`](super::bounds::patience) says.
    patience: Arc<AgentMap<Duration>>,
    /// The last sample of each agent.
    samples: AgentMap<Option<LastSample>>,
    /// The last view of each agent.
    views: AgentMap<Peers>,
    /// Which agents are in the mesh: nobody need know agents that have left or have not joined.
    presence: AgentMap<Presence>,
}

/// What an agent counted when it last sampled its machine.
#[derive(Clone, Copy, Debug)]
struct LastSample {
    at: Timestamp,
    in_flight: u32,
    /// Delegations and calls to peers that are under way.
    open: usize,
}

impl ConvergenceOracle {
    pub(super) fn new(
        scenario: &Scenario,
        faults: Arc<FaultSchedule>,
        bounds: NoticeBounds,
        patience: Arc<AgentMap<Duration>>,
        resolution: Duration,
    ) -> Self {
        let windows = scenario.agents.iter().map(|agent| agent.machine.cpu_window);
        let sampling = windows.max().unwrap_or_default() + resolution;
        let changed = faults.last_change().max(last_departure(scenario));
        // A call that opens a connection arrives after a round trip and one more way. An agent
        // counts a job's deadline from when it receives the job, and it receives a held message
        // late.
        let call = 3 * faults.slowest_of_all();
        let last_receipt = changed.max(Timestamp::from(scenario.duration)) + call;
        let deadline = on_clock(slowest_clock(scenario), scenario.workload.longest_deadline());
        let idle = last_receipt + deadline + call + resolution;
        let end = idle.max(changed + bounds.converge()) + 2 * sampling;
        Self {
            end,
            to_self: scenario.delegation.to_self,
            sampling,
            patience,
            samples: AgentMap::filled(None, scenario.agents.len()),
            views: AgentMap::filled(Peers::default(), scenario.agents.len()),
            presence: presence_at_start(scenario),
            faults,
        }
    }

    pub(super) fn presence_changed(&mut self, agent: AgentId, presence: Presence) {
        self.presence[agent] = presence;
    }

    /// When the mesh must have converged and a sample of every agent must have shown it.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    pub(super) fn sampled(
        &mut self,
        now: Timestamp,
        agent: AgentId,
        load: &LoadReport,
        open: usize,
    ) {
        self.samples[agent] = Some(LastSample { at: now, in_flight: load.in_flight, open });
    }

    /// Keeps the view. That copies a pointer; the list itself is read only at the end.
    pub(super) fn knows(&mut self, agent: AgentId, peers: &Peers) {
        self.views[agent] = peers.clone();
    }

    pub(super) fn finish(&self, now: Timestamp, leases: &LeaseOracle, found: &mut FoundViolations) {
        let names = self.faults.hosts();
        let is_up = |agent: &AgentId| {
            self.presence[*agent] == Presence::Member && !self.faults.is_down(agent.host(), now)
        };
        let live: Vec<AgentId> = names.agents().filter(is_up).collect();
        for agent in &live {
            self.at_rest(now, *agent, found);
        }
        let named = |agents: &[AgentId]| -> BTreeSet<Name> {
            agents.iter().map(|agent| names[agent.host()].clone()).collect()
        };
        // Nobody can register as long as something is wrong with the stores.
        if self.faults.last_fault_of_stores(now) == Some(now) {
            return;
        }
        let is_up = |registry: &&RegistryLeases| !self.faults.is_down(registry.host, now);
        let registries: Vec<&RegistryLeases> = leases.registries().iter().filter(is_up).collect();
        for registry in &registries {
            let (sure, unsure): (Vec<AgentId>, Vec<AgentId>) =
                live.iter().partition(|agent| self.reaches(**agent, registry.host, now));
            let listed: BTreeSet<Name> = registry.live().cloned().collect();
            let (expected, tolerated) = (named(&sure), named(&unsure));
            if let Some(difference) = ListDifference::between(&expected, &tolerated, &listed) {
                let mut detail = difference.to_string();
                if leases.registries().len() > 1 {
                    detail = format!("{}: {detail}", names[registry.host]);
                }
                found.add(Violation::new(LISTED, now, detail).hosts(difference.hosts()));
            }
        }
        if registries.is_empty() {
            return;
        }
        let (sure, unsure): (Vec<AgentId>, Vec<AgentId>) = live.into_iter().partition(|agent| {
            registries.iter().all(|registry| self.reaches(*agent, registry.host, now))
        });
        let (expected, tolerated) = (named(&sure), named(&unsure));
        // Agents that share a list in memory have the same peers, so one comparison is enough.
        let mut right: Option<&Roster> = None;
        for agent in sure {
            let name = &names[agent.host()];
            let peers = &self.views[agent];
            let own = (!self.to_self).then(|| peers.roster().position(name)).flatten();
            let shared = right.is_some_and(|roster| roster.is_shared_with(peers.roster()));
            let equal = || peers.roster().iter().map(|lease| &lease.name).eq(expected.iter());
            if peers.own() == own && (shared || equal()) {
                right = Some(peers.roster());
                continue;
            }
            let mut expected = expected.clone();
            if !self.to_self {
                expected.remove(name);
            }
            let known = peers.names().cloned().collect();
            if let Some(difference) = ListDifference::between(&expected, &tolerated, &known) {
                let violation = Violation::new(KNOWN, now, format!("{name}: {difference}"));
                found.add(violation.hosts([name]).hosts(difference.hosts()));
            }
        }
    }

    fn at_rest(&self, now: Timestamp, agent: AgentId, found: &mut FoundViolations) {
        let name = &self.faults.hosts()[agent.host()];
        match &self.samples[agent] {
            Some(sample) if now.since(sample.at) <= 2 * self.sampling => {
                if sample.in_flight > 0 || sample.open > 0 {
                    let LastSample { in_flight, open, .. } = sample;
                    let jobs = counted(*in_flight as usize, "job");
                    let calls = counted(*open, "call");
                    let detail = format!("{name} still counts {jobs} and {calls}");
                    found.add(Violation::new(NO_LEAK, now, detail).hosts([name]));
                }
            }
            // Without a recent sample its counters are unknown, and the agent is probably stuck.
            _ => {
                let detail = format!("{name} no longer samples its machine");
                found.add(Violation::new(NO_LEAK, now, detail).hosts([name]));
            }
        }
    }

    /// Whether calls of an agent to a registry succeed at this time.
    fn reaches(&self, agent: AgentId, registry: HostId, now: Timestamp) -> bool {
        let host = agent.host();
        [(host, registry), (registry, host)].into_iter().all(|(from, to)| {
            let way = self.faults.link(from, to, now);
            let quality = self.faults.quality(from, to);
            let latency = quality.slowest() + way.added;
            let patience = self.patience[agent];
            quality.loss + way.loss == 0.0 && !way.cut && !way.held && latency < patience
        })
    }
}

/// When the last agent that joins has joined, and the last one that leaves must be gone.
fn last_departure(scenario: &Scenario) -> Timestamp {
    let changes = planned_changes(scenario).into_iter();
    let settled =
        |change: PlannedChange| if change.joins { change.at } else { change.at + drain_limit() };
    changes.map(settled).max().max(last_drain(scenario)).unwrap_or_default()
}

/// When the last agent is gone that an autoscaler ends; `None` without one. It decides as long as
/// requests arrive, and an agent learns of a drain with one of its next heartbeats.
fn last_drain(scenario: &Scenario) -> Option<Timestamp> {
    let spec = scenario.autoscale.as_ref()?;
    let told = scenario.duration + scenario.membership.heartbeat.saturating_mul(3);
    Some(Timestamp::from(told + spec.drain + LAST_ANSWERS_TIME))
}

/// How a list of agents differs from the expected list.
struct ListDifference<'a> {
    missing: Vec<&'a Name>,
    extra: Vec<&'a Name>,
}

impl<'a> ListDifference<'a> {
    /// `None` if `seen` has all of `expected`, and besides only names that are `tolerated`.
    fn between(
        expected: &'a BTreeSet<Name>,
        tolerated: &BTreeSet<Name>,
        seen: &'a BTreeSet<Name>,
    ) -> Option<Self> {
        let missing: Vec<&Name> = expected.difference(seen).collect();
        let extra = seen.difference(expected).filter(|name| !tolerated.contains(*name));
        let extra: Vec<&Name> = extra.collect();
        (!missing.is_empty() || !extra.is_empty()).then_some(Self { missing, extra })
    }

    /// The agents that are missing or not expected.
    fn hosts(&self) -> impl Iterator<Item = &'a Name> {
        self.missing.iter().chain(&self.extra).copied()
    }
}

impl fmt::Display for ListDifference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, extra } = self;
        write!(f, "missing {missing:?}, not expected {extra:?}")
    }
}
