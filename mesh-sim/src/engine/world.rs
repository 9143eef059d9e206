//! The watchers of a run, shared by the tasks of an engine that has many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness};
use mesh_node::Observer;

use super::Run;
use super::watchers::Watchers;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId};
use crate::presence::Presence;
use crate::record::{Outcome, RunRecord};
use crate::workload::Arrival;

/// The watchers of one run. Copies watch the same run; once it is over they see nothing more.
#[derive(Clone)]
pub(super) struct World {
    agents: Arc<BTreeMap<Name, AgentId>>,
    watchers: Arc<Mutex<Option<Watchers>>>,
}

impl World {
    pub(super) fn new(run: &Run<'_>, faults: &Arc<FaultSchedule>, resolution: Duration) -> Self {
        let hosts = faults.hosts().iter();
        let agents = hosts.filter_map(|(host, name)| Some((name.clone(), host.agent()?)));
        let watchers = Watchers::new(run, faults, resolution).out_of_order(run);
        Self { agents: Arc::new(agents.collect()), watchers: Arc::new(Mutex::new(Some(watchers))) }
    }

    /// How long the run must last.
    pub(super) fn end(&self) -> Timestamp {
        self.lock().as_ref().map(Watchers::end).unwrap_or_default()
    }

    /// A request of the workload is sent.
    pub(super) fn due(&self, arrival: &Arrival, entry: &Name) {
        self.with(|watchers| watchers.due(arrival, entry));
    }

    /// It ended.
    pub(super) fn ended(&self, now: Timestamp, arrival: &Arrival, outcome: &Outcome) {
        self.with(|watchers| watchers.ended(now, arrival, outcome));
    }

    /// A host goes down or comes up.
    pub(super) fn host_changed(&self, now: Timestamp, host: HostId, up: bool) {
        self.with(|watchers| watchers.host_changed(now, host, up));
    }

    /// An agent has joined, is leaving, or is gone.
    pub(super) fn presence_changed(&self, now: Timestamp, agent: AgentId, presence: Presence) {
        self.with(|watchers| watchers.presence_changed(now, agent, presence));
    }

    /// How busy an agent's machine was in a second: which second, and CPU %.
    pub(super) fn cpu(&self, agent: AgentId, busy: (u64, f64)) {
        self.with(|watchers| watchers.cpu(agent, busy));
    }

    /// Nothing that happened before this time will be told any more.
    pub(super) fn settle(&self, before: Timestamp) {
        self.with(|watchers| watchers.settle(before));
    }

    /// The run is over: what it left behind. `None` if it was over before.
    pub(super) fn finish(&self, now: Timestamp) -> Option<RunRecord> {
        let watchers = self.lock().take()?;
        Some(watchers.finish(now))
    }

    fn with(&self, act: impl FnOnce(&mut Watchers)) {
        if let Some(watchers) = &mut *self.lock() {
            act(watchers);
        }
    }

    fn with_agent(&self, name: &Name, act: impl FnOnce(&mut Watchers, AgentId)) {
        if let Some(&agent) = self.agents.get(name) {
            self.with(|watchers| act(watchers, agent));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Watchers>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for World {
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        self.with_agent(agent, |watchers, agent| watchers.agent(now, agent, note));
    }

    fn load(&self, now: Timestamp, agent: &Name, load: &LoadReport, open: usize) {
        self.with_agent(agent, |watchers, agent| watchers.load(now, agent, load, open));
    }

    fn view(&self, now: Timestamp, agent: &Name, peers: &Peers) {
        self.with_agent(agent, |watchers, agent| watchers.view(now, agent, peers));
    }

    fn deafness(&self, now: Timestamp, deafness: Deafness) {
        self.with(|watchers| watchers.deafness(now, deafness));
    }

    fn registry(&self, now: Timestamp, note: &registry::Note) {
        self.with(|watchers| watchers.registry(now, note));
    }
}
