//! What is recorded of a run: its requests, their latencies, and a time line.

mod copies;
mod cpu;
mod fault_window;
mod kept_traces;
mod latency_histogram;
mod phases;
mod recorder;
mod sends;

use std::collections::BTreeMap;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use copies::CopyCounts;
pub use fault_window::{FaultWindow, NO_FAULT};
pub use kept_traces::{MAX_TRACES, RequestTrace, TraceKeeper};
pub use latency_histogram::{LatencyHistogram, QuantileRow};
pub use phases::{DelegationMatrix, LatencyPhases, PhaseMeans};
pub use recorder::{Recorder, RecorderConfig};
pub use sends::SendCounts;

use crate::journal::{RequestOutcome, SentAgain};
use crate::machine::ProviderCounts;
use crate::scenario::{Scenario, SeededScenario};

/// The record of a run: one policy with one seed. It has everything that the reports need of the
/// run; a [`Recorder`] makes it, and nothing changes it afterwards.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Label of the policy.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// The requests that were due after the warm-up, by outcome.
    pub requests: OutcomeCounts,
    /// The latencies of these requests, from the intended start to the end. A request that was not
    /// answered counts with its whole deadline, so that failing fast never looks fast.
    pub latency: LatencyHistogram,
    /// Those of these requests that were not answered with a result, by reason. A request that
    /// timed out has the reason [`TIMED_OUT`](crate::journal::TIMED_OUT).
    pub failures: BTreeMap<&'static str, u64>,
    /// How often clients sent these requests again.
    pub sent_again: SentAgainCounts,
    /// How often agents sent jobs to one more peer after the warm-up, beside those that had them.
    pub copies: CopyCounts,
    /// How often agents called peers without a job after the warm-up: for their load or a free
    /// slot, or to give one back. `None` of a live run, where only the agents know.
    pub probes: Option<u64>,
    /// These requests by the fault that they met: one entry per [`FaultWindow`], in the scenario's
    /// order, and a last one for the requests that met no fault.
    pub by_window: Vec<WindowCounts>,
    /// These requests by the kind of their jobs, in the scenario's order. All counts are zero if
    /// there is only one kind.
    pub by_job: Vec<JobCounts>,
    /// One entry per second of simulated time, with the warm-up and the drain.
    pub timeline: Vec<Second>,
    /// How many jobs each agent finished after the warm-up; agents in the scenario's order.
    pub work_per_agent: Vec<u64>,
    /// Where the time of the answered requests went.
    pub phases: LatencyPhases,
    /// Which agents delegated to which.
    pub delegations: DelegationMatrix,
    /// How jobs that were sent one after the other were spread over the peers.
    pub sends: SendCounts,
    /// How many jobs asked each provider after the warm-up; providers in the scenario's order.
    pub providers: Vec<ProviderCounts>,
    /// What the set of agents that an autoscaler owns has cost; `None` without one.
    pub scaling: Option<ScalingUsage>,
    /// The hash of every event of the run in order. Equal runs have equal hashes.
    pub event_hash: u64,
    /// The number of events hashed.
    pub events: u64,
    /// The number of events that the engine took from its queue; 0 if it has no queue.
    pub steps: u64,
    /// Violations of oracles, in the order in which they were found.
    pub violations: Vec<Violation>,
    /// One line of JSON per event, if the run was traced.
    pub trace: Option<String>,
    /// The requests whose spans were kept, if spans were recorded.
    pub traces: Option<Vec<RequestTrace>>,
}

/// What a set of agents has cost that an autoscaler owns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScalingUsage {
    /// The sum of the times for which agents of the set were paid for, in seconds: each from the
    /// order to start it to the end of its process. The drain after the arrivals counts.
    pub agent_seconds: f64,
    /// How many agents were ordered.
    pub started: u64,
    /// How many were told to go.
    pub drained: u64,
    /// How many of these were told to stay after all.
    pub cancelled: u64,
    /// How many agents were paid for, from when on. The first entry is the start of the run.
    pub agents: Vec<(Timestamp, u32)>,
}

impl ScalingUsage {
    /// The most agents that were paid for at a time.
    pub fn most(&self) -> u32 {
        self.agents.iter().map(|(_, count)| *count).max().unwrap_or_default()
    }
}

/// The requests that met one fault, or the requests that met none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// The requests by outcome.
    pub requests: OutcomeCounts,
    /// Those of them that were not answered with a result, by reason.
    pub failures: BTreeMap<&'static str, u64>,
}

impl WindowCounts {
    /// Adds the counts of other requests.
    pub fn merge(&mut self, other: &Self) {
        self.requests.merge(&other.requests);
        add_failures(&mut self.failures, &other.failures);
    }
}

/// Adds counts of failures by reason to others.
pub(crate) fn add_failures(
    sum: &mut BTreeMap<&'static str, u64>,
    other: &BTreeMap<&'static str, u64>,
) {
    for (&reason, count) in other {
        *sum.entry(reason).or_default() += count;
    }
}

impl RunRecord {
    /// The same record by the faults of the original scenario, after a run of the scenario
    /// [for a seed](Scenario::for_seed): the faults that were drawn from one random fault count as
    /// one.
    #[must_use]
    pub fn by_original_faults(mut self, original: &Scenario, seeded: &SeededScenario<'_>) -> Self {
        let faults = original.faults.len() + original.random_faults.len();
        let mut by_window = vec![WindowCounts::default(); faults + 1];
        let origins = seeded.origins.iter().copied().chain([faults]);
        for (origin, counts) in origins.zip(&self.by_window) {
            by_window[origin].merge(counts);
        }
        self.by_window = by_window;
        self
    }
}

/// The requests whose jobs are of one kind.
#[derive(Clone, Debug, Default)]
pub struct JobCounts {
    /// The requests by outcome.
    pub requests: OutcomeCounts,
    /// Their latencies.
    pub latency: LatencyHistogram,
    /// The latencies of jobs of this kind that were parts of other jobs, from their delegation to
    /// their answer. Only those that an answered request tells of.
    pub as_part: LatencyHistogram,
}

/// Numbers of requests by outcome. `sent` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeCounts {
    /// All requests.
    pub sent: u64,
    /// Requests that were answered with a result.
    pub answered: u64,
    /// Requests that were answered with a JSON-RPC error.
    pub refused: u64,
    /// Requests that were not answered by the deadline.
    pub timed_out: u64,
    /// Requests whose connection failed before an answer.
    pub lost: u64,
}

impl OutcomeCounts {
    /// Counts one request.
    pub fn count(&mut self, outcome: RequestOutcome) {
        self.sent += 1;
        match outcome {
            RequestOutcome::Answered => self.answered += 1,
            RequestOutcome::Refused(_) => self.refused += 1,
            RequestOutcome::TimedOut => self.timed_out += 1,
            RequestOutcome::Lost(_) => self.lost += 1,
        }
    }

    /// Adds the requests of another run.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.refused += other.refused;
        self.timed_out += other.timed_out;
        self.lost += other.lost;
    }

    /// Requests that were not answered with a result.
    pub const fn failed(&self) -> u64 {
        self.sent - self.answered
    }

    /// Share of the requests that were answered with a result, 0 to 1; 0 if there were none.
    pub fn success(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.answered as f64 / self.sent as f64 }
    }
}

/// How often clients sent requests again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SentAgain")]
pub struct SentAgainCounts {
    /// At once, to another entry agent.
    pub failovers: u64,
    /// After a pause.
    pub retries: u64,
}

impl SentAgainCounts {
    /// Counts one try.
    pub fn count(&mut self, how: SentAgain) {
        match how {
            SentAgain::Failover => self.failovers += 1,
            SentAgain::Retry => self.retries += 1,
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        self.failovers += other.failovers;
        self.retries += other.retries;
    }

    /// Whether no request was sent again.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// One second of the time line. A request counts in the second in which it was due, and again in
/// the second in which it ended.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Requests that were due in this second.
    pub due: u64,
    /// Requests that ended in this second, by outcome; `sent` is their sum.
    pub ended: OutcomeCounts,
    /// The median latency of the requests that were answered in this second, in nanoseconds; 0 if
    /// there were none.
    pub p50_ns: u64,
    /// The 99th percentile of the same latencies.
    pub p99_ns: u64,
    /// Requests that were open at the end of this second.
    pub in_flight: u64,
    /// How busy each agent's CPU was within this second, 0 to 100 percent; agents in the scenario's
    /// order. If there are more than 1,000 agents, these are the means of 1,000 groups of
    /// neighbours.
    pub cpu_percent: Vec<f64>,
}

/// A violation of an oracle: what was seen, and which request and hosts it is about. With these,
/// `mesh-sim replay` finds the facts that led to it among everything that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The oracle's name.
    pub oracle: &'static str,
    /// When the oracle was violated, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// What was seen, in a sentence.
    pub detail: String,
    /// The request that the violation is about, if it is about one.
    pub request: Option<u64>,
    /// The hosts that the violation is about; the host that did wrong comes first. May be empty.
    pub hosts: Vec<Name>,
}

impl Violation {
    /// A violation of this oracle at this time, about no request and no host.
    pub const fn new(oracle: &'static str, at: Timestamp, detail: String) -> Self {
        Self { oracle, at_ns: at.as_nanos(), detail, request: None, hosts: Vec::new() }
    }

    /// The same violation, about a request.
    #[must_use]
    pub fn request(self, request: u64) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The same violation, about these hosts too.
    #[must_use]
    pub fn hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a Name>) -> Self {
        self.hosts.extend(hosts.into_iter().cloned());
        self
    }
}
