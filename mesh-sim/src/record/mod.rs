//! What one run of one policy with one seed left behind.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Answered,
    /// With a JSON-RPC error; the reason is the error's short name ("busy", "no_peers" ...).
    Refused(&'static str),
    /// The client gave up at the deadline.
    TimedOut,
    /// The connection failed before an answer; the reason says how ("connect", "reset").
    Lost(&'static str),
}

/// Everything that the reports need of one run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Label of the policy.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// Requests due after the warm-up, by outcome.
    pub requests: Counts,
    /// Nanoseconds from the intended start to the end, of every request due after the warm-up. One
    /// that was not answered counts as its whole deadline, so that failing fast never looks fast.
    pub latency: Histogram<u64>,
    /// Requests not answered after the warm-up, by reason.
    pub failures: BTreeMap<&'static str, u64>,
    /// One entry per simulated second, the warm-up and the drain included.
    pub timeline: Vec<Second>,
    /// Jobs finished per agent, in the scenario's order, warm-up excluded.
    pub work_per_agent: Vec<u64>,
    /// Hash of every event of the run in order.
    pub event_hash: u64,
    /// Number of events hashed.
    pub events: u64,
    /// Broken oracles, in the order they broke.
    pub violations: Vec<Violation>,
}

/// Requests by outcome; `sent` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
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

/// One second of the time line. Outcomes count in the second in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Requests due in this second.
    pub due: u64,
    /// Requests that ended in this second, by outcome; `sent` is their sum.
    pub ended: Counts,
    /// Median latency of the requests answered in this second, nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// Requests open at the end of this second.
    pub in_flight: u64,
    /// CPU % of each agent at the end of this second, in the scenario's order.
    pub cpu_percent: Vec<f64>,
}

/// A broken oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The oracle's name.
    pub oracle: &'static str,
    /// When, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// What was seen, in a sentence.
    pub detail: String,
}
