//! Compares two results of one scenario, policy by policy and figure by figure.

mod results;
pub mod table;
#[cfg(test)]
mod tests;

use mesh_sim::figures::Figure;
use mesh_sim::report::summary::{ClockKind, EngineName, RunSummary};
use mesh_sim::statistics::interval_of_mean;
use serde::Serialize;
use thiserror::Error;

pub use self::results::{ResultDirectory, ResultsError};

/// The version of the format. It rises whenever a field comes, goes or changes its meaning.
const SCHEMA_VERSION: u32 = 3;
/// A figure of A agrees with B if it is off by at most so many percent.
const NEAR_PERCENT: f64 = 10.0;

/// Why two results can't be compared.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CompareError {
    /// A policy that was asked for is missing in a result.
    #[error("no policy `{policy}` in {dir}; there are: {known}")]
    MissingPolicy {
        /// The label that was asked for.
        policy: String,
        /// The directory of the result without it.
        dir: String,
        /// The labels that this result has.
        known: String,
    },
    /// No policy is in both results.
    #[error("no policy is in both results: A has {a}; B has {b}")]
    NothingInCommon {
        /// The labels in A.
        a: String,
        /// The labels in B.
        b: String,
    },
}

/// The figures of result A compared with those of result B, with a simulation as A and a live run
/// as B, for example. This is what `mesh-bench compare --json` writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultComparison {
    schema_version: u32,
    /// The result that is judged.
    pub a: Side,
    /// The result that it is judged by.
    pub b: Side,
    /// Sentences about what makes the two results less comparable.
    pub warnings: Vec<String>,
    /// The policies that both results have, in the order of A.
    pub policies: Vec<PolicyComparison>,
}

/// Where one of the two results comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The result's directory.
    pub dir: String,
    /// The name of the scenario.
    pub scenario: String,
    /// The SHA-256 of the scenario's file.
    pub sha256: String,
    /// What ran the scenario: an engine, or processes.
    pub engine: EngineName,
    /// Which clock the latencies were measured by.
    pub clock: ClockKind,
    /// The seeds of the runs.
    pub seeds: Vec<u64>,
}

/// The figures of one policy in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyComparison {
    /// The label of the policy.
    pub policy: String,
    /// Requests that were sent, summed over the seeds.
    pub sent: BothSides<u64>,
    /// The share of the requests that were answered with a result, 0 to 1; null without requests.
    pub success: BothSides<Option<f64>>,
    /// The figures of the latencies.
    pub latency: Vec<LatencyPair>,
}

/// One value from each of the two results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BothSides<T> {
    /// The value in A.
    pub a: T,
    /// The value in B.
    pub b: T,
}

/// One figure of the latencies of one policy, in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyPair {
    /// The key of the figure: `mean`, `p50` ... `max`.
    pub statistic: &'static str,
    /// The heading of the figure in tables.
    #[serde(skip)]
    pub heading: &'static str,
    /// The figure in A, in milliseconds: the mean over its seeds; null without requests.
    pub a_ms: Option<f64>,
    /// The same figure in B.
    pub b_ms: Option<f64>,
    /// A / B; null if one of them is missing or B is 0.
    pub ratio: Option<f64>,
    /// (A - B) / B in percent; null where the ratio is.
    pub error_percent: Option<f64>,
    /// The 95 % confidence interval of B's mean over its seeds; null with fewer than five seeds.
    pub b_interval_ms: Option<[f64; 2]>,
    /// Whether A is within 10 % of B, or within B's interval; null where the ratio is.
    pub agrees: Option<bool>,
}

impl ResultComparison {
    /// Compares the policies with these labels, or all that both results have if `labels` is empty.
    ///
    /// # Errors
    /// If a result lacks a policy that was asked for, or if no policy is in both.
    pub fn of(
        a: &ResultDirectory,
        b: &ResultDirectory,
        labels: &[String],
    ) -> Result<Self, CompareError> {
        for (label, results) in labels.iter().flat_map(|label| [(label, a), (label, b)]) {
            if !results.policies().contains(&&**label) {
                return Err(CompareError::MissingPolicy {
                    policy: label.clone(),
                    dir: results.dir.clone(),
                    known: results.policies().join(", "),
                });
            }
        }
        let is_asked = |label: &str| labels.is_empty() || labels.iter().any(|asked| asked == label);
        let common: Vec<&str> = a
            .policies()
            .into_iter()
            .filter(|label| is_asked(label) && b.policies().contains(label))
            .collect();
        if common.is_empty() {
            let (a, b) = (a.policies().join(", "), b.policies().join(", "));
            return Err(CompareError::NothingInCommon { a, b });
        }
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            a: Side::of(a),
            b: Side::of(b),
            warnings: warnings(a, b, labels.is_empty()),
            policies: common.iter().map(|label| PolicyComparison::of(label, a, b)).collect(),
        })
    }

    /// As pretty-printed JSON, with a line feed at its end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("string keys and finite numbers");
        text + "\n"
    }
}

/// What makes the two results less comparable. `all_policies`: no labels were asked for.
fn warnings(a: &ResultDirectory, b: &ResultDirectory, all_policies: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let (of_a, of_b) = (&a.summary.scenario, &b.summary.scenario);
    if of_a.name != of_b.name {
        warnings.push(format!("the scenarios differ: {} and {}", of_a.name, of_b.name));
    } else if of_a.sha256 != of_b.sha256 {
        let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
        let (a, b) = (short(&of_a.sha256), short(&of_b.sha256));
        warnings.push(format!("the scenario files differ: sha256 {a} and {b}"));
    }
    if a.summary.seeds != b.summary.seeds {
        warnings.push("the seeds differ, so the requests differ too".to_owned());
    }
    for (name, one, other) in [("A", a, b), ("B", b, a)] {
        let mut only = one.policies();
        only.retain(|label| !other.policies().contains(label));
        if all_policies && !only.is_empty() {
            warnings.push(format!("only {name} has {}", only.join(", ")));
        }
    }
    warnings
}

impl Side {
    fn of(results: &ResultDirectory) -> Self {
        let summary = &results.summary;
        Self {
            dir: results.dir.clone(),
            scenario: summary.scenario.name.clone(),
            sha256: summary.scenario.sha256.clone(),
            engine: summary.engine,
            clock: summary.clock,
            seeds: summary.seeds.clone(),
        }
    }
}

impl PolicyComparison {
    fn of(label: &str, a: &ResultDirectory, b: &ResultDirectory) -> Self {
        let (of_a, of_b) = (a.runs(label), b.runs(label));
        Self {
            policy: label.to_owned(),
            sent: BothSides { a: sent(&of_a), b: sent(&of_b) },
            success: BothSides { a: success(&of_a), b: success(&of_b) },
            latency: Figure::latencies()
                .map(|figure| LatencyPair::of(figure, &of_a, &of_b))
                .collect(),
        }
    }
}

fn sent(runs: &[&RunSummary]) -> u64 {
    runs.iter().map(|run| run.requests.sent).sum()
}

fn success(runs: &[&RunSummary]) -> Option<f64> {
    let answered: u64 = runs.iter().map(|run| run.requests.answered).sum();
    let sent = sent(runs);
    (sent > 0).then(|| rounded(answered as f64 / sent as f64))
}

impl LatencyPair {
    fn of(figure: &'static Figure, a: &[&RunSummary], b: &[&RunSummary]) -> Self {
        let figures = |runs: &[&RunSummary]| -> Vec<f64> {
            let of = |run: &&RunSummary| run.latency_ms.and_then(|latency| latency.get(figure));
            runs.iter().filter_map(of).collect()
        };
        let mean = |figures: &[f64]| {
            let mean = figures.iter().sum::<f64>() / figures.len() as f64;
            (!figures.is_empty()).then(|| rounded(mean))
        };
        let (of_a, of_b) = (figures(a), figures(b));
        let (a_ms, b_ms) = (mean(&of_a), mean(&of_b));
        let ratio = match (a_ms, b_ms) {
            (Some(a), Some(b)) if b > 0.0 => Some(a / b),
            _ => None,
        };
        let error_percent = ratio.map(|ratio| rounded((ratio - 1.0) * 100.0));
        let interval = interval_of_mean(&of_b);
        let agrees = error_percent.zip(a_ms).map(|(error, a)| {
            let is_in = interval.is_some_and(|within| (within.low..=within.high).contains(&a));
            error.abs() <= NEAR_PERCENT || is_in
        });
        Self {
            statistic: figure.key,
            heading: figure.heading,
            a_ms,
            b_ms,
            ratio: ratio.map(rounded),
            error_percent,
            b_interval_ms: interval.map(|within| [rounded(within.low), rounded(within.high)]),
            agrees,
        }
    }
}

/// A number with six decimals, which is as precise as the histograms are.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
