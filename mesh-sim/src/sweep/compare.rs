//! Paired comparison of policies under common random numbers.
//!
//! With one seed every policy meets the same requests, so the difference of two policies is taken
//! seed by seed, and what the seeds have in common cancels out. Seeds are independent; the requests
//! of one run are not, so nothing here counts requests as if each were an observation.

use mesh_core::seed::Seed;

use super::bootstrap::{Interval, RESAMPLES, intervals, mean};
use super::{Figures, Sweep, Tally};
use crate::report::Statistic;

/// With fewer pairs of runs than this there is no interval.
pub const FEWEST_SEEDS: usize = 5;

/// What policies are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Share of the requests that were answered, 0 to 1. More is better.
    Success,
    /// A figure of the latencies, in nanoseconds. Less is better.
    Latency(Statistic),
}

impl Metric {
    /// All, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Latency(Statistic::Mean),
        Self::Latency(Statistic::P50),
        Self::Latency(Statistic::P90),
        Self::Latency(Statistic::P99),
        Self::Latency(Statistic::P99_9),
    ];

    /// Its value for one run.
    pub fn of(self, run: &Figures) -> f64 {
        match self {
            Self::Success => run.requests.success(),
            Self::Latency(statistic) => run.latency.get(statistic) as f64,
        }
    }
}

/// What a comparison shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The whole interval is on the better side of zero.
    Better,
    /// The whole interval is on the worse side of zero.
    Worse,
    /// Zero is in the interval.
    NoDifference,
    /// There are fewer than [`FEWEST_SEEDS`] pairs.
    TooFewSeeds,
}

impl Finding {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference shown",
            Self::TooFewSeeds => "too few seeds",
        }
    }
}

/// One policy against the baseline, in one cell and by one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Index of the policy.
    pub policy: usize,
    /// By what.
    pub metric: Metric,
    /// Seeds with which both had requests.
    pub pairs: usize,
    /// The baseline's figure, averaged over these seeds.
    pub baseline: f64,
    /// The policy's figure, averaged over these seeds.
    pub figure: f64,
    /// The policy's figure less the baseline's, averaged over these seeds.
    pub difference: f64,
    /// 95 % interval of the difference.
    pub interval: Option<Interval>,
    /// What it shows.
    pub finding: Finding,
}

/// Every policy but the baseline, by every metric, in one cell. Without any pair of runs there is
/// nothing to compare.
pub(super) fn compare(sweep: &Sweep, tally: &Tally, cell: usize) -> Vec<Comparison> {
    let baseline = tally.group(sweep, cell, sweep.baseline).runs;
    let others = (0..sweep.policies.len()).filter(|policy| *policy != sweep.baseline);
    others
        .flat_map(|policy| {
            let own = tally.group(sweep, cell, policy).runs;
            let pairs = baseline.iter().zip(&own).map(|((_, a), (_, b))| (*a, *b));
            let met = |(a, b): &(&Figures, &Figures)| a.requests.sent > 0 && b.requests.sent > 0;
            compare_pairs(policy, &pairs.filter(met).collect::<Vec<_>>())
        })
        .collect()
}

fn compare_pairs(policy: usize, pairs: &[(&Figures, &Figures)]) -> Vec<Comparison> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let differences =
        Metric::ALL.map(|metric| pairs.iter().map(|(a, b)| metric.of(b) - metric.of(a)).collect());
    let enough = pairs.len() >= FEWEST_SEEDS;
    let intervals = enough.then(|| intervals(&differences, RESAMPLES, &resampling()));
    let mut comparisons = Vec::new();
    for (index, metric) in Metric::ALL.into_iter().enumerate() {
        let average = |figures: &dyn Fn(&(&Figures, &Figures)) -> f64| {
            mean(&pairs.iter().map(figures).collect::<Vec<_>>())
        };
        let interval = intervals.as_ref().map(|intervals| intervals[index]);
        comparisons.push(Comparison {
            policy,
            metric,
            pairs: pairs.len(),
            baseline: average(&|(a, _)| metric.of(a)),
            figure: average(&|(_, b)| metric.of(b)),
            difference: mean(&differences[index]),
            interval,
            finding: finding(metric, interval),
        });
    }
    comparisons
}

/// The same resamples for every comparison, so that no comparison depends on another.
fn resampling() -> Seed {
    Seed::root(0).child("bootstrap")
}

fn finding(metric: Metric, interval: Option<Interval>) -> Finding {
    let Some(Interval { low, high }) = interval else { return Finding::TooFewSeeds };
    let more_is_better = metric == Metric::Success;
    if low > 0.0 {
        if more_is_better { Finding::Better } else { Finding::Worse }
    } else if high < 0.0 {
        if more_is_better { Finding::Worse } else { Finding::Better }
    } else {
        Finding::NoDifference
    }
}
