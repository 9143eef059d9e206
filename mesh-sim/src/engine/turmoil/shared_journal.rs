//! The journal of a run, shared by the tasks of simulated hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_core::Timestamp;
use mesh_core::agent::{Note, Peers};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Deafness};
use mesh_core::trace::TraceSpan;
use mesh_node::Observer;

use crate::engine::observers::RunJournal;
use crate::faults::FaultSchedule;
use crate::host::{AgentId, HostId};
use crate::journal::Fact;
use crate::record::RunRecord;

/// A handle on the journal of one run. Clones write into the same journal. Once the run is over,
/// what they write is ignored.
///
/// The agents of mesh-node report to it as their [`Observer`], and so do the registries through a
/// [`RegistryJournal`]. They know agents by name; the journal knows them by number, so this finds the number of each name.
#[derive(Clone)]
pub(super) struct SharedJournal {
    agents: Arc<BTreeMap<Name, AgentId>>,
    journal: Arc<Mutex<Option<RunJournal>>>,
}

impl SharedJournal {
    /// Shares the journal of a run. `faults` knows the names of the hosts.
    pub(super) fn new(faults: &FaultSchedule, journal: RunJournal) -> Self {
        let hosts = faults.hosts().iter();
        let agents = hosts.filter_map(|(host, name)| Some((name.clone(), host.agent()?)));
        Self {
            agents: Arc::new(agents.collect()),
            journal: Arc::new(Mutex::new(Some(journal.out_of_order()))),
        }
    }

    /// The same journal for the registry on a host.
    pub(super) fn of_registry(&self, host: HostId) -> RegistryJournal {
        RegistryJournal { journal: self.clone(), host }
    }

    /// How long the run must last.
    pub(super) fn end(&self) -> Timestamp {
        self.lock().as_ref().map(RunJournal::end).unwrap_or_default()
    }

    /// Records that something happened at a host.
    pub(super) fn record(&self, at: Timestamp, host: impl Into<HostId>, fact: Fact) {
        if let Some(journal) = &mut *self.lock() {
            journal.record(at, host, fact);
        }
    }

    /// Tells the journal that nothing that happened before this time will be recorded any more.
    pub(super) fn settle(&self, before: Timestamp) {
        if let Some(journal) = &mut *self.lock() {
            journal.settle(before);
        }
    }

    /// Ends the run and returns its record; `None` if it has ended before.
    pub(super) fn finish(&self, now: Timestamp) -> Option<RunRecord> {
        let journal = self.lock().take()?;
        Some(journal.finish(now))
    }

    /// Records that something happened at the agent of this name.
    fn record_at(&self, at: Timestamp, name: &Name, fact: Fact) {
        if let Some(&agent) = self.agents.get(name) {
            self.record(at, agent, fact);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<RunJournal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for SharedJournal {
    fn agent(&self, now: Timestamp, agent: &Name, note: &Note) {
        self.record_at(now, agent, Fact::AgentNoted(note.clone()));
    }

    fn span(&self, now: Timestamp, agent: &Name, span: &Arc<TraceSpan>) {
        self.record_at(now, agent, Fact::SpanEnded(span.clone()));
    }

    fn load(&self, now: Timestamp, agent: &Name, load: &LoadReport, open: usize) {
        self.record_at(now, agent, Fact::LoadSampled { load: *load, open });
    }

    fn view(&self, now: Timestamp, agent: &Name, peers: &Peers) {
        self.record_at(now, agent, Fact::PeersKnown(peers.clone()));
    }
}

/// The journal as one registry sees it, which does not know on which host it runs.
#[derive(Clone)]
pub(super) struct RegistryJournal {
    journal: SharedJournal,
    host: HostId,
}

impl Observer for RegistryJournal {
    fn deafness(&self, now: Timestamp, deafness: Deafness) {
        self.journal.record(now, self.host, Fact::RegistryWasDeaf(deafness));
    }

    fn registry(&self, now: Timestamp, note: &registry::LeaseNote) {
        self.journal.record(now, self.host, Fact::RegistryNoted(note.clone()));
    }
}
