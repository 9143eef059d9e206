//! Confidence intervals of a mean difference, by Student's t.

use super::student_t;

/// The share of intervals that hold the true mean, if the differences are normal.
pub const CONFIDENCE: f64 = 0.95;

/// From `low` to `high`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower limit.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
}

/// The distance of an interval's ends from the mean, in standard errors, for `pairs` differences.
/// At least two.
pub(super) fn reach(pairs: usize) -> f64 {
    student_t::two_sided(CONFIDENCE, pairs - 1)
}

/// The paired t interval of the mean of `differences`: mean -+ `reach` x s / sqrt(n), where s is
/// their standard deviation with n - 1 below. `reach` is [`reach`] of their number.
///
/// Differences that are all the same leave nothing to estimate: both ends are that difference.
pub(super) fn interval(differences: &[f64], reach: f64) -> Interval {
    if differences.iter().all(|difference| *difference == differences[0]) {
        return Interval { low: differences[0], high: differences[0] };
    }
    let center = mean(differences);
    let count = differences.len() as f64;
    let squares: f64 = differences.iter().map(|value| (value - center) * (value - center)).sum();
    let standard_error = (squares / (count - 1.0) / count).sqrt();
    Interval { low: center - reach * standard_error, high: center + reach * standard_error }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
