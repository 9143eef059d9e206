//! What one run of one policy with one seed left behind.

mod cpu;
mod fault_window;
mod latency_histogram;
mod recorder;

use std::collections::BTreeMap;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use serde::{Deserialize, Serialize};

pub use fault_window::{FaultWindow, NO_FAULT};
pub use latency_histogram::{LatencyHistogram, QuantileRow};
pub use recorder::{Recorder, RecorderConfig};

use crate::journal::RequestOutcome;

/// Everything that the reports need of one run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Label of the policy.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// Requests due after the warm-up, by outcome.
    pub requests: OutcomeCounts,
    /// Nanoseconds from the intended start to the end, of every request due after the warm-up. One
    /// that was not answered counts as its whole deadline, so that failing fast never looks fast.
    pub latency: LatencyHistogram,
    /// Requests due after the warm-up that were not answered, by reason. A request that timed out
    /// has the reason [`TIMED_OUT`](crate::journal::TIMED_OUT).
    pub failures: BTreeMap<&'static str, u64>,
    /// The same requests by the fault that they met: one entry per [`FaultWindow`], in the
    /// scenario's order, and a last one for those that met none.
    pub by_window: Vec<WindowCounts>,
    /// One entry per simulated second, the warm-up and the drain included.
    pub timeline: Vec<Second>,
    /// Jobs finished per agent, in the scenario's order, those finished in the warm-up excluded.
    pub work_per_agent: Vec<u64>,
    /// Hash of every event of the run in order.
    pub event_hash: u64,
    /// Number of events hashed.
    pub events: u64,
    /// Number of events that the engine took from its queue; 0 if it has none.
    pub steps: u64,
    /// Broken oracles, in the order they broke.
    pub violations: Vec<Violation>,
    /// One line of JSON per event, if the run was traced.
    pub trace: Option<String>,
}

/// Requests that met one fault, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// By outcome.
    pub requests: OutcomeCounts,
    /// Those not answered, by reason.
    pub failures: BTreeMap<&'static str, u64>,
}

/// Requests by outcome; `sent` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeCounts {
    /// All.
    pub sent: u64,
    /// Answered with a result.
    pub answered: u64,
    /// Answered with an error.
    pub refused: u64,
    /// Not answered by the deadline.
    pub timed_out: u64,
    /// Connection failed.
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

    /// Adds those of another run.
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

/// One second of the time line. Outcomes count in the second in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Requests due in this second.
    pub due: u64,
    /// Requests that ended in this second, by outcome; `sent` is their sum.
    pub ended: OutcomeCounts,
    /// Median latency of the requests answered in this second, nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// Requests open at the end of this second.
    pub in_flight: u64,
    /// CPU % of each agent within this second, in the scenario's order; of more than 1,000 agents,
    /// the means of that many groups of neighbours.
    pub cpu_percent: Vec<f64>,
}

/// A broken oracle: what was seen, and what it is about, so that the facts which led to it can be
/// found among all that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The oracle's name.
    pub oracle: &'static str,
    /// When, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// What was seen, in a sentence.
    pub detail: String,
    /// The request that it is about, if it is about one.
    pub request: Option<u64>,
    /// The hosts that it is about, the one that did wrong first; perhaps none.
    pub hosts: Vec<Name>,
}

impl Violation {
    /// Of an oracle, at a time; about nothing in particular.
    pub const fn new(oracle: &'static str, at: Timestamp, detail: String) -> Self {
        Self { oracle, at_ns: at.as_nanos(), detail, request: None, hosts: Vec::new() }
    }

    /// The same, about a request.
    #[must_use]
    pub fn request(self, request: u64) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The same, about these hosts too.
    #[must_use]
    pub fn hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a Name>) -> Self {
        self.hosts.extend(hosts.into_iter().cloned());
        self
    }
}
