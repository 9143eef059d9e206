//! What a registry counts, and the page of its `GET /metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};

use super::http::reason;
use crate::Observer;
use crate::metrics::MetricsPage;
use crate::observer::AnsweredRequest;

/// The observer that counts what a registry's `GET /metrics` tells.
#[derive(Debug, Default)]
pub(super) struct RegistryMetrics(Mutex<RegistryCounters>);

/// Counters since the registry's start. The keys are the values of the labels: reasons, kinds of
/// end, and paths with statuses.
#[derive(Debug, Default)]
struct RegistryCounters {
    granted: u64,
    renewed: u64,
    refused: BTreeMap<&'static str, u64>,
    ended: BTreeMap<&'static str, u64>,
    requests: BTreeMap<(&'static str, u16), u64>,
}

impl RegistryMetrics {
    /// The page of `GET /metrics`. The arguments are read when the page is asked for: leases that
    /// are live, the index, and long polls that wait.
    pub(super) fn page(&self, leases: usize, index: u64, waiting: usize) -> MetricsPage {
        self.lock().page(leases, index, waiting)
    }

    fn lock(&self) -> MutexGuard<'_, RegistryCounters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for RegistryMetrics {
    fn registry(&self, _: Timestamp, note: &LeaseNote) {
        self.lock().note(note);
    }

    fn renewed(&self, _: Timestamp, _: &Name) {
        self.lock().renewed += 1;
    }

    fn request(&self, _: Timestamp, answered: &AnsweredRequest) {
        // Paths that are not served count as one, because clients could make the page grow without
        // limit by inventing paths.
        let path = answered.path.unwrap_or("other");
        *self.lock().requests.entry((path, answered.status.as_u16())).or_default() += 1;
    }
}

impl RegistryCounters {
    fn note(&mut self, note: &LeaseNote) {
        let ended = match &note.kind {
            LeaseNoteKind::Granted => return self.granted += 1,
            LeaseNoteKind::Refused(error) => {
                return *self.refused.entry(reason(error)).or_default() += 1;
            }
            LeaseNoteKind::Moved { .. } => return,
            LeaseNoteKind::Replaced => "replaced",
            LeaseNoteKind::Deregistered => "deregistered",
            LeaseNoteKind::Expired { .. } => "expired",
        };
        *self.ended.entry(ended).or_default() += 1;
    }

    fn page(&self, leases: usize, index: u64, waiting: usize) -> MetricsPage {
        let mut page = MetricsPage::default();
        page.gauge("mesh_registry_leases", "Live leases.", leases);
        page.gauge("mesh_registry_index", "Rises with every change of the membership.", index);
        page.gauge("mesh_registry_waiting", "Long polls that wait for a change.", waiting);
        page.counter("mesh_registry_granted_total", "Leases that began.", self.granted);
        page.counter("mesh_registry_renewed_total", "Heartbeats that were granted.", self.renewed);
        let ended = by_label("kind", &self.ended);
        page.counters("mesh_registry_ended_total", "Leases that ended, by how.", ended);
        let refused = by_label("reason", &self.refused);
        page.counters("mesh_registry_refused_total", "Registrations refused, by reason.", refused);
        let requests = self.requests.iter().map(|((path, status), count)| {
            (format!("path=\"{path}\",status=\"{status}\""), *count)
        });
        page.counters("mesh_registry_requests_total", "Requests answered.", requests);
        page
    }
}

/// Counts with their labels, as [`MetricsPage::counters`] takes them.
fn by_label(
    label: &str,
    counts: &BTreeMap<&'static str, u64>,
) -> impl Iterator<Item = (String, u64)> {
    counts.iter().map(move |(value, count)| (format!("{label}=\"{value}\""), *count))
}
