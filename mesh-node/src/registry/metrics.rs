//! What a registry counts.

use std::collections::BTreeMap;

use mesh_core::registry::{Note, NoteKind};

use super::reason;
use crate::http::Response;
use crate::metrics::Page;

/// Counters since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    granted: u64,
    renewed: u64,
    refused: BTreeMap<&'static str, u64>,
    ended: BTreeMap<&'static str, u64>,
    requests: BTreeMap<(&'static str, u16), u64>,
}

impl Metrics {
    pub(super) fn note(&mut self, note: &Note) {
        let ended = match &note.kind {
            NoteKind::Granted => return self.granted += 1,
            NoteKind::Refused(error) => {
                return *self.refused.entry(reason(error)).or_default() += 1;
            }
            NoteKind::Moved { .. } => return,
            NoteKind::Replaced => "replaced",
            NoteKind::Deregistered => "deregistered",
            NoteKind::Expired { .. } => "expired",
        };
        *self.ended.entry(ended).or_default() += 1;
    }

    pub(super) fn renewed(&mut self) {
        self.renewed += 1;
    }

    /// Paths that are not served count as one, or a stranger could make the page grow.
    pub(super) fn answered(&mut self, path: &str, status: u16) {
        const SERVED: [&str; 5] = ["/register", "/deregister", "/services", "/healthz", "/metrics"];
        let path = SERVED.into_iter().find(|served| *served == path).unwrap_or("other");
        *self.requests.entry((path, status)).or_default() += 1;
    }

    pub(super) fn page(&self, leases: usize, index: u64, waiting: usize) -> Response {
        let mut page = Page::default();
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
        page.into_response()
    }
}

fn by_label(
    label: &str,
    counts: &BTreeMap<&'static str, u64>,
) -> impl Iterator<Item = (String, u64)> {
    counts.iter().map(move |(value, count)| (format!("{label}=\"{value}\""), *count))
}
