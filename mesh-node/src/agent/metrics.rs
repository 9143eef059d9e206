//! What an agent counts, and the page of its `GET /metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{ChoiceLog, ChoiceReason, Note, PeersAside};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;

use super::rpc_metrics::{CallDurations, MadeCalls};
use crate::Observer;
use crate::http::ConnectionCounts;
use crate::metrics::MetricsPage;
use crate::observer::AnsweredCall;

/// The observer that counts what an agent's `GET /metrics` tells.
#[derive(Debug, Default)]
pub(super) struct AgentMetrics {
    counters: Mutex<AgentCounters>,
    /// Calls to peers.
    pub(super) made: MadeCalls,
}

/// Counters since the agent's start. The keys are the values of the labels: outcomes and reasons.
#[derive(Debug, Default)]
struct AgentCounters {
    /// Calls that were answered.
    calls: CallDurations,
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
    /// How many jobs may run at once, and how many may wait; `None`: any number.
    pub(super) slots: Option<u32>,
    pub(super) queue_limit: u32,
    pub(super) peers: usize,
    /// Calls to peers and delegations under way.
    pub(super) open: usize,
    /// Delegations that wait for a peer with a free slot.
    pub(super) held: usize,
    /// Callers that wait for a free slot of this agent.
    pub(super) idle_callers: usize,
    pub(super) connections: ConnectionCounts,
    pub(super) uptime: Duration,
    pub(super) routing: RoutingGauges,
}

/// What of it is about choices and retries.
pub(super) struct RoutingGauges {
    /// The name of the policy.
    pub(super) policy: String,
    /// Empty until the first choice.
    pub(super) choices: ChoiceLog,
    /// How many results of probes the policy keeps, if it keeps any.
    pub(super) pool_size: Option<usize>,
    pub(super) aside: PeersAside,
    pub(super) retries_left: f64,
}

impl RoutingGauges {
    fn write(&self, page: &mut MetricsPage) {
        let Self { policy, choices, pool_size, aside, retries_left } = self;
        let reasons = ChoiceReason::ALL.map(|reason| {
            let labels = format!("policy=\"{policy}\",reason=\"{}\"", reason.name());
            (labels, choices.count(reason))
        });
        page.counters("mesh_decisions_total", "Choices of a peer, by why it was chosen.", reasons);
        let help = "Age of the load report that a choice was made on.";
        let ages = choices.signal_ages().cloned().unwrap_or_default();
        page.histograms("mesh_signal_age_seconds", help, [(String::new(), &ages)]);
        page.counter("mesh_probes_sent_total", "Probes sent.", choices.probes_sent());
        page.counter("mesh_probes_answered_total", "Probes answered.", choices.probes_answered());
        if let Some(size) = pool_size {
            page.gauge("mesh_probe_pool_results", "Results of probes that are kept.", size);
        }
        let PeersAside { passed_over, held_back } = aside;
        let help = "Peers that get no jobs now, because they failed.";
        page.gauge("mesh_peers_passed_over", help, passed_over);
        let help = "Peers that come after all others, because they are full or new.";
        page.gauge("mesh_peers_held_back", help, held_back);
        let help = "Retries that the budget would grant now.";
        page.gauge("mesh_retry_budget_left", help, retries_left);
    }
}

impl AgentMetrics {
    pub(super) fn page(&self, gauges: &Gauges) -> MetricsPage {
        let mut page = self.lock().page(gauges);
        let help = "From sending a call to a peer until it ended.";
        self.made.lock().write(&mut page, "rpc_client_call_duration_seconds", help);
        page
    }

    fn lock(&self) -> MutexGuard<'_, AgentCounters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for AgentMetrics {
    fn agent(&self, _: Timestamp, _: &Name, note: &Note) {
        self.lock().note(note);
    }

    fn call(&self, _: Timestamp, _: &Name, answered: &AnsweredCall<'_>) {
        self.lock().calls.answered(answered.method, answered.code, answered.took);
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

    fn page(&self, gauges: &Gauges) -> MetricsPage {
        let mut page = MetricsPage::default();
        let Gauges { load, peers, open, held, idle_callers, connections, uptime, .. } = gauges;
        let help = "CPU in use in the last window, 0 to 1.";
        page.gauge("mesh_cpu_usage_ratio", help, load.cpu_percent / 100.0);
        let help = "Memory in use, 0 to 1.";
        page.gauge("mesh_memory_usage_ratio", help, load.memory_percent / 100.0);
        page.gauge("mesh_jobs_in_flight", "Jobs that run or wait.", load.in_flight);
        page.gauge("mesh_jobs_queued", "Jobs that wait for a slot.", load.queued);
        if let Some(slots) = gauges.slots {
            page.gauge("mesh_job_slots", "Jobs that may run at once.", slots);
        }
        page.gauge("mesh_job_queue_limit", "Jobs that may wait for a slot.", gauges.queue_limit);
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
        gauges.routing.write(&mut page);
        let help = "From the arrival of a call to its answer.";
        self.calls.write(&mut page, "rpc_server_call_duration_seconds", help);
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
