//! What an agent counts, and the page of its `GET /metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;

use crate::Observer;
use crate::http::ConnectionCounts;
use crate::metrics::{Histogram, MetricsPage};
use crate::observer::AnsweredCall;

/// The observer that counts what an agent's `GET /metrics` tells.
#[derive(Debug, Default)]
pub(super) struct AgentMetrics(Mutex<AgentCounters>);

/// Counters since the agent's start. The keys are the values of the labels: outcomes, methods and
/// reasons.
#[derive(Debug, Default)]
struct AgentCounters {
    /// Calls that were answered, by method and outcome.
    requests: BTreeMap<(&'static str, &'static str), u64>,
    /// From a call's arrival to its answer, by method.
    seconds: BTreeMap<&'static str, Histogram>,
    jobs: BTreeMap<&'static str, u64>,
    delegations: BTreeMap<&'static str, u64>,
    /// How often a delegation had to wait for a peer with a free slot.
    holds: u64,
    retries: BTreeMap<&'static str, u64>,
    /// Attempts made beside others, by what became of them.
    copies: BTreeMap<&'static str, u64>,
    /// How often a peer was passed over for a while, by how it had failed.
    passed_over: BTreeMap<&'static str, u64>,
    leases_lost: u64,
    is_registered: bool,
}

/// Figures that are read when the page is asked for; the counters are kept all the time.
pub(super) struct Gauges {
    pub(super) load: LoadReport,
    pub(super) peers: usize,
    /// Calls to peers and delegations under way.
    pub(super) open: usize,
    /// Delegations that wait for a peer with a free slot.
    pub(super) held: usize,
    /// Callers that wait for a free slot of this agent.
    pub(super) idle_callers: usize,
    pub(super) connections: ConnectionCounts,
    pub(super) uptime: Duration,
}

impl AgentMetrics {
    pub(super) fn page(&self, gauges: &Gauges) -> MetricsPage {
        self.lock().page(gauges)
    }

    fn lock(&self) -> MutexGuard<'_, AgentCounters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for AgentMetrics {
    fn agent(&self, _: Timestamp, _: &Name, note: &Note) {
        self.lock().note(note);
    }

    fn call(&self, _: Timestamp, _: &Name, answered: &AnsweredCall<'_>) {
        self.lock().call(answered);
    }
}

impl AgentCounters {
    fn note(&mut self, note: &Note) {
        let count = match note {
            Note::Registered { .. } => return self.is_registered = true,
            Note::LeaseLost { .. } => {
                self.is_registered = false;
                &mut self.leases_lost
            }
            Note::PassedOver { reason, .. } => self.passed_over.entry(reason.name()).or_default(),
            Note::Retrying { reason, .. } => self.retries.entry(reason.name()).or_default(),
            Note::CopyWon { .. } => self.copies.entry("won").or_default(),
            Note::CopyDropped { .. } => self.copies.entry("cancelled").or_default(),
            Note::Held { .. } => &mut self.holds,
            Note::Delegated { outcome, .. } => self.delegations.entry(outcome.name()).or_default(),
            Note::JobEnded { outcome, .. } => self.jobs.entry(outcome.name()).or_default(),
            // The other notes are for logs and oracles.
            _ => return,
        };
        *count += 1;
    }

    /// Counts a call. All methods that are not the agent's own count as `other`, because clients
    /// could make the page grow without limit by inventing names.
    fn call(&mut self, answered: &AnsweredCall<'_>) {
        let method =
            ["info", "idle", "work", "delegate"].into_iter().find(|own| *own == answered.method);
        let method = method.unwrap_or("other");
        *self.requests.entry((method, answered.outcome)).or_default() += 1;
        self.seconds.entry(method).or_default().record(answered.took);
    }

    fn page(&self, gauges: &Gauges) -> MetricsPage {
        let mut page = MetricsPage::default();
        let Gauges { load, peers, open, held, idle_callers, connections, uptime } = gauges;
        page.gauge("mesh_cpu_percent", "CPU in the last window, 0 to 100.", load.cpu_percent);
        page.gauge("mesh_memory_percent", "Memory in use, 0 to 100.", load.memory_percent);
        page.gauge("mesh_jobs_in_flight", "Jobs that run or wait.", load.in_flight);
        page.gauge("mesh_jobs_queued", "Jobs that wait for a slot.", load.queued);
        page.gauge("mesh_calls_open", "Calls to peers and delegations under way.", open);
        page.gauge("mesh_delegations_held", "Delegations that wait for a free slot.", held);
        page.gauge("mesh_idle_callers", "Callers that wait for a free slot here.", idle_callers);
        page.gauge("mesh_peers", "Peers known.", peers);
        let is_registered = u8::from(self.is_registered);
        page.gauge("mesh_registered", "1 while the registry has granted a lease.", is_registered);
        page.gauge("mesh_client_connections", "Connections to peers.", connections.open);
        page.gauge("mesh_uptime_seconds", "Time since the start.", uptime.as_secs_f64());
        page.counter("mesh_leases_lost_total", "Leases that the registry lost.", self.leases_lost);
        page.counter("mesh_holds_total", "Delegations that had to wait for a slot.", self.holds);
        let requests = self.requests.iter().map(|((method, outcome), count)| {
            (format!("method=\"{method}\",outcome=\"{outcome}\""), *count)
        });
        page.counters("mesh_requests_total", "Calls answered, by method and outcome.", requests);
        let seconds = self.seconds.iter();
        let seconds = seconds.map(|(method, times)| (format!("method=\"{method}\""), times));
        page.histograms("mesh_request_seconds", "From a call to its answer.", seconds);
        for (name, help, label, counts) in [
            ("mesh_jobs_total", "Jobs that left, by outcome.", "outcome", &self.jobs),
            ("mesh_delegations_total", "Delegations, by outcome.", "outcome", &self.delegations),
            ("mesh_retries_total", "Attempts made again, by reason.", "reason", &self.retries),
            (
                "mesh_copies_total",
                "Jobs that several peers had: answers by a later one, and calls given up.",
                "outcome",
                &self.copies,
            ),
            (
                "mesh_passed_over_total",
                "Times that a peer was passed over for a while, by how it failed.",
                "reason",
                &self.passed_over,
            ),
        ] {
            page.counters(
                name,
                help,
                counts.iter().map(|(value, count)| (format!("{label}=\"{value}\""), *count)),
            );
        }
        page
    }
}
