//! What a registry counts, and the page of its `GET /metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{Lease, LeaseNote, LeaseNoteKind};

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
    restored: u64,
    renewed: u64,
    refused: BTreeMap<&'static str, u64>,
    ended: BTreeMap<&'static str, u64>,
    requests: BTreeMap<(&'static str, u16), u64>,
}

/// The leases that are listed, by their state. Each is in one of them: the first that applies, from
/// below.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeaseCounts {
    live: u64,
    draining: u64,
    /// Their agents were not heard since they were taken over from the store.
    recovering: u64,
    /// They have run out, and are kept because too many agents fell silent.
    protected: u64,
}

impl LeaseCounts {
    pub(super) fn of<'a>(leases: impl Iterator<Item = &'a Lease>) -> Self {
        let mut counts = Self::default();
        for lease in leases {
            *match lease {
                lease if lease.is_protected() => &mut counts.protected,
                lease if lease.recovering => &mut counts.recovering,
                lease if lease.draining => &mut counts.draining,
                _ => &mut counts.live,
            } += 1;
        }
        counts
    }
}

/// What is read when the page is asked for.
#[derive(Debug)]
pub(super) struct RegistryGauges {
    pub(super) leases: LeaseCounts,
    pub(super) index: u64,
    /// Whether the store answers, if there is one.
    pub(super) store_up: bool,
    /// Long polls that wait.
    pub(super) waiting: usize,
    /// Those who look at the dashboard; `None` without one.
    pub(super) viewers: Option<usize>,
}

impl RegistryMetrics {
    /// The page of `GET /metrics`.
    pub(super) fn page(&self, gauges: &RegistryGauges) -> MetricsPage {
        self.lock().page(gauges)
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
            LeaseNoteKind::Restored => return self.restored += 1,
            LeaseNoteKind::Moved { .. } | LeaseNoteKind::Drained(_) => return,
            LeaseNoteKind::Replaced => "replaced",
            LeaseNoteKind::Deregistered => "deregistered",
            LeaseNoteKind::Expired { .. } => "expired",
        };
        *self.ended.entry(ended).or_default() += 1;
    }

    fn page(&self, gauges: &RegistryGauges) -> MetricsPage {
        let RegistryGauges { leases, index, store_up, waiting, viewers } = *gauges;
        let LeaseCounts { live, draining, recovering, protected } = leases;
        let mut page = MetricsPage::default();
        let states = [
            ("live", live),
            ("draining", draining),
            ("recovering", recovering),
            ("protected", protected),
        ];
        let states = states.map(|(state, count)| (format!("state=\"{state}\""), count));
        page.gauges("mesh_registry_leases", "Leases that are listed, by state.", states);
        let help = "1 while the store answers, or if there is none.";
        page.gauge("mesh_registry_store_up", help, u8::from(store_up));
        page.gauge("mesh_registry_index", "Rises with every change of the membership.", index);
        page.gauge("mesh_registry_waiting", "Long polls that wait for a change.", waiting);
        if let Some(viewers) = viewers {
            page.gauge("mesh_dashboard_viewers", "Those who look at the dashboard.", viewers);
        }
        page.counter("mesh_registry_granted_total", "Leases that began.", self.granted);
        page.counter(
            "mesh_registry_restored_total",
            "Leases taken over from the store.",
            self.restored,
        );
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
