//! One figure of one policy on both sides.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::CompareSpec;
use crate::figures::{Better, Figure, Unit};
use crate::format::{self, six_decimals};
use crate::judge::{Finding, MeasuredFigures};
use crate::statistics::{
    CONFIDENCE, Interval, interval_of_difference, interval_of_mean, paired_interval,
};

/// A figure of A agrees with B if it is off by at most so many percent.
const NEAR_PERCENT: f64 = 10.0;
const NANOS_PER_MILLI: f64 = 1e6;

/// How the interval of a difference is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Student's t of the differences, seed by seed: both sides have the same seeds.
    Paired,
    /// Welch's t of two independent means: the seeds differ.
    Welch,
}

/// One figure of one policy on both sides. Values are milliseconds, or shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FigurePair {
    /// The key of the figure: `success`, `mean`, `p50` ... `max`.
    pub figure: &'static str,
    /// The figure itself.
    #[serde(skip)]
    #[schemars(skip)]
    pub(super) row: &'static Figure,
    /// The figure in A: the mean over its seeds; null without requests.
    pub a: Option<f64>,
    /// The same figure in B.
    pub b: Option<f64>,
    /// A - B; null if one of them is missing.
    pub difference: Option<f64>,
    /// (A - B) / B in percent; null if one of them is missing or B is 0.
    pub error_percent: Option<f64>,
    /// How the interval is made.
    pub method: IntervalMethod,
    /// The 95 % confidence interval of the difference; null with fewer than five seeds on a side.
    pub interval: Option<[f64; 2]>,
    /// What the interval shows about A: `better`, `worse`, `no_difference`, `too_few_seeds`.
    pub finding: Finding,
    /// Whether A is within 10 % of B, or within the 95 % confidence interval of B's mean; null where
    /// the error is.
    pub agrees: Option<bool>,
    /// Whether A is worse than B by more than the tolerance and than chance explains in so many
    /// comparisons (Bonferroni).
    pub is_regression: bool,
}

/// The runs of a policy by seed.
type Runs = BTreeMap<u64, MeasuredFigures>;

impl FigurePair {
    pub(super) fn of(
        row: &'static Figure,
        method: IntervalMethod,
        (a, b): (&Runs, &Runs),
        strict: f64,
        spec: &CompareSpec,
    ) -> Self {
        let values = |runs: &Runs, other: &Runs| -> Vec<f64> {
            // Of pairs, both need requests.
            let has_none = other.values().all(|run| run.requests.sent == 0);
            let has_pair = |seed: &u64| {
                method == IntervalMethod::Welch
                    || has_none
                    || other.get(seed).is_some_and(|run| run.requests.sent > 0)
            };
            let met = runs.iter().filter(|(seed, run)| run.requests.sent > 0 && has_pair(seed));
            met.map(|(_, run)| run.get(row).number() / scale(row.unit)).collect()
        };
        let (of_a, of_b) = (values(a, b), values(b, a));
        let mean = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (!values.is_empty()).then(|| six_decimals(mean))
        };
        let (mean_a, mean_b) = (mean(&of_a), mean(&of_b));
        let difference = mean_a.zip(mean_b).map(|(a, b)| six_decimals(a - b));
        let error_percent = difference
            .zip(mean_b.filter(|b| *b > 0.0))
            .map(|(difference, b)| six_decimals(100.0 * difference / b));
        let interval_at = |confidence: f64| match method {
            IntervalMethod::Paired => {
                let differences: Vec<f64> = of_a.iter().zip(&of_b).map(|(a, b)| a - b).collect();
                paired_interval(&differences, confidence)
            }
            IntervalMethod::Welch => interval_of_difference(&of_a, &of_b, confidence),
        };
        let interval = interval_at(CONFIDENCE);
        let of_reference = interval_of_mean(&of_b);
        let agrees = error_percent.zip(mean_a).map(|(error, a)| {
            let is_in = of_reference.is_some_and(|within| (within.low..=within.high).contains(&a));
            error.abs() <= NEAR_PERCENT || is_in
        });
        let beyond = match row.unit {
            Unit::Share => difference.map(|points| 100.0 * points),
            Unit::Latency => error_percent,
        };
        let is_worse = Finding::of(row.better, interval_at(strict)) == Finding::Worse;
        let is_beyond = beyond.is_some_and(|by| match row.better {
            Better::More => -by > spec.tolerance_percent,
            Better::Less => by > spec.tolerance_percent,
        });
        Self {
            figure: row.key,
            row,
            a: mean_a,
            b: mean_b,
            difference,
            error_percent,
            method,
            interval: interval.map(|i: Interval| [six_decimals(i.low), six_decimals(i.high)]),
            finding: Finding::of(row.better, interval),
            agrees,
            // The extremes of a run are luck.
            is_regression: row.threshold.is_some() && is_worse && is_beyond,
        }
    }
}

impl FigurePair {
    /// What a difference is multiplied by to be in percent of B, or in percentage points of a share;
    /// `None` if B has no value or 0.
    pub(super) fn percent(&self) -> Option<f64> {
        match (self.row.unit, self.b) {
            (Unit::Share, _) => Some(100.0),
            (Unit::Latency, Some(b)) if b > 0.0 => Some(100.0 / b),
            (Unit::Latency, _) => None,
        }
    }
}

/// The text of a value of a figure, which files have in milliseconds or as a share; a dash if there
/// is none.
pub(super) fn value_text(unit: Unit, value: Option<f64>) -> String {
    /// Significant digits of a latency.
    const DIGITS: usize = 4;
    match (unit, value) {
        (_, None) => "-".to_owned(),
        (Unit::Share, Some(share)) => format!("{:.2}", 100.0 * share),
        (Unit::Latency, Some(ms)) => {
            format::latency((ms * NANOS_PER_MILLI).round().max(0.0) as u64, DIGITS)
        }
    }
}

/// What a value in memory is divided by.
const fn scale(unit: Unit) -> f64 {
    match unit {
        Unit::Share => 1.0,
        Unit::Latency => NANOS_PER_MILLI,
    }
}
