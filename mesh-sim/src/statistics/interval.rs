//! Confidence intervals of a mean difference, with Student's t.

use super::student_t;

/// The share of intervals that contain the true mean, if the differences are normally distributed.
pub const CONFIDENCE: f64 = 0.95;

/// With fewer pairs of runs than this there is no interval. Figures that are rounded, or nearly
/// always equal, often have the same difference in all of three or four pairs, and an interval of
/// these would have no width.
pub const FEWEST_SEEDS: usize = 5;

/// A confidence interval, in the unit of the differences that it is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end, which belongs to the interval.
    pub low: f64,
    /// The upper end, which belongs to the interval.
    pub high: f64,
}

/// The distance from the mean to either end of an interval, in standard errors, if there are
/// `pairs` differences. `pairs` must be at least two.
pub(crate) fn reach(pairs: usize) -> f64 {
    student_t::two_sided(CONFIDENCE, pairs - 1)
}

/// The paired t interval of the mean of n `differences`: mean -+ `reach` x s / sqrt(n), where s is
/// their standard deviation (with n - 1 in the denominator) and `reach` is [`reach`] of n.
///
/// If all differences are equal, s is zero and both ends are that difference.
pub(crate) fn interval(differences: &[f64], reach: f64) -> Interval {
    if differences.iter().all(|difference| *difference == differences[0]) {
        return Interval { low: differences[0], high: differences[0] };
    }
    let center = mean(differences);
    let count = differences.len() as f64;
    let squares: f64 = differences.iter().map(|value| (value - center) * (value - center)).sum();
    let standard_error = (squares / (count - 1.0) / count).sqrt();
    Interval { low: center - reach * standard_error, high: center + reach * standard_error }
}

/// The t interval of the mean of independent values, or `None` if there are fewer than five.
pub fn interval_of_mean(values: &[f64]) -> Option<Interval> {
    (values.len() >= FEWEST_SEEDS).then(|| interval(values, reach(values.len())))
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
