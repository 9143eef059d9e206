//! Paired comparison of policies under common random numbers.
//!
//! With one seed every policy meets the same requests, so the difference of two policies is taken
//! seed by seed, and what the seeds have in common cancels out. Seeds are independent; the requests
//! of one run are not, so nothing here counts requests as if each were an observation.

use super::interval::{Interval, interval, mean, reach};
use super::{Figures, Sweep, Tally};
use crate::judge::Statistic;

/// With fewer pairs of runs than this there is no interval: figures that are rounded or nearly
/// always the same often agree in all of three or four pairs, which then look like certainty.
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

    /// Its name in every file, with the unit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Latency(Statistic::Mean) => "mean_ms",
            Self::Latency(Statistic::P50) => "p50_ms",
            Self::Latency(Statistic::P90) => "p90_ms",
            Self::Latency(Statistic::P99) => "p99_ms",
            Self::Latency(Statistic::P99_9) => "p99_9_ms",
        }
    }

    /// What it is, in words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Share of the requests that were answered, 0 to 1.",
            Self::Latency(Statistic::Mean) => "Mean latency, ms.",
            Self::Latency(Statistic::P50) => "Median latency, ms.",
            Self::Latency(Statistic::P90) => "90th percentile, ms.",
            Self::Latency(Statistic::P99) => "99th percentile, ms.",
            Self::Latency(Statistic::P99_9) => "99.9th percentile, ms.",
        }
    }

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
    /// All.
    pub const ALL: [Self; 4] = [Self::Better, Self::Worse, Self::NoDifference, Self::TooFewSeeds];

    /// Its name in every file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no_difference",
            Self::TooFewSeeds => "too_few_seeds",
        }
    }

    /// What people read.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoDifference => "no difference shown",
            Self::TooFewSeeds => "too few seeds",
            Self::Better | Self::Worse => self.name(),
        }
    }

    /// What it says of the policies.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Better => "The whole interval is on the better side of zero.",
            Self::Worse => "The whole interval is on the worse side of zero.",
            Self::NoDifference => {
                "Zero is in the interval, which does not mean that the policies are equal."
            }
            Self::TooFewSeeds => "There is no interval.",
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
    let reach = (pairs.len() >= FEWEST_SEEDS).then(|| reach(pairs.len()));
    let mut comparisons = Vec::new();
    for metric in Metric::ALL {
        let average = |figures: &dyn Fn(&(&Figures, &Figures)) -> f64| {
            mean(&pairs.iter().map(figures).collect::<Vec<_>>())
        };
        let differences: Vec<f64> =
            pairs.iter().map(|(a, b)| metric.of(b) - metric.of(a)).collect();
        let interval = reach.map(|reach| interval(&differences, reach));
        comparisons.push(Comparison {
            policy,
            metric,
            pairs: pairs.len(),
            baseline: average(&|(a, _)| metric.of(a)),
            figure: average(&|(_, b)| metric.of(b)),
            difference: mean(&differences),
            interval,
            finding: finding(metric, interval),
        });
    }
    comparisons
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
