//! What stays of a run: small figures, enough for the files and for paired comparisons.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::ms_number;
use crate::judge::{Statistic, violated};
use crate::record::{Counts, Latency, RunRecord};
use crate::report::summary::LatencyMs;

/// One run, of one policy with one seed in one cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Requests by outcome.
    pub requests: Counts,
    /// Requests that were not answered, by reason.
    pub failures: BTreeMap<String, u64>,
    /// All zero if there were no requests.
    pub latency: LatencyNs,
    /// Hash of every event.
    pub event_hash: u64,
    /// Number of events hashed.
    pub events: u64,
    /// Violated oracles.
    pub broken: Vec<Broken>,
}

/// Figures of a latency distribution, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyNs {
    mean: u64,
    min: u64,
    p50: u64,
    p90: u64,
    p95: u64,
    p99: u64,
    p99_9: u64,
    max: u64,
}

/// An oracle that a run violated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broken {
    /// The oracle's name.
    pub oracle: String,
    /// When it was first violated, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// What was seen then.
    pub detail: String,
    /// How often in all.
    pub times: u64,
}

impl Figures {
    /// Those of a run.
    pub fn of(run: &RunRecord) -> Self {
        let broken = violated(run).into_iter().map(|violated| Broken {
            oracle: violated.first.oracle.to_owned(),
            at_ns: violated.first.at_ns,
            detail: violated.first.detail,
            times: violated.times as u64,
        });
        Self {
            requests: run.requests,
            failures: run.failures.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
            latency: LatencyNs::of(&run.latency),
            event_hash: run.event_hash,
            events: run.events,
            broken: broken.collect(),
        }
    }
}

impl LatencyNs {
    /// Those of a distribution.
    pub fn of(latency: &Latency) -> Self {
        let quantile = |quantile| latency.quantile_ns(quantile);
        Self {
            mean: latency.mean_ns(),
            min: latency.min_ns(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: latency.max_ns(),
        }
    }

    /// One of them.
    pub const fn get(&self, statistic: Statistic) -> u64 {
        match statistic {
            Statistic::Mean => self.mean,
            Statistic::P50 => self.p50,
            Statistic::P90 => self.p90,
            Statistic::P99 => self.p99,
            Statistic::P99_9 => self.p99_9,
        }
    }

    /// All, in the order of the columns of `latency.csv`.
    pub(super) const fn all(&self) -> [u64; 8] {
        [self.mean, self.min, self.p50, self.p90, self.p95, self.p99, self.p99_9, self.max]
    }

    pub(super) fn in_ms(&self) -> LatencyMs {
        let [mean, min, p50, p90, p95, p99, p99_9, max] = self.all().map(ms_number);
        LatencyMs { mean, min, p50, p90, p95, p99, p99_9, max }
    }
}
