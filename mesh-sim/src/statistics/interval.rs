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
fn reach(pairs: usize) -> f64 {
    reach_at(CONFIDENCE, pairs)
}

/// As [`reach`], for intervals of which this share contains the true mean.
pub(crate) fn reach_at(confidence: f64, pairs: usize) -> f64 {
    student_t::two_sided(confidence, pairs - 1)
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
    let standard_error = squared_error(differences).sqrt();
    Interval { low: center - reach * standard_error, high: center + reach * standard_error }
}

/// The t interval of the mean of independent values, or `None` if there are fewer than five.
pub fn interval_of_mean(values: &[f64]) -> Option<Interval> {
    (values.len() >= FEWEST_SEEDS).then(|| interval(values, reach(values.len())))
}

/// The interval of the mean of paired differences, of which the share `confidence` contains the true
/// mean; `None` if there are fewer than five.
pub fn paired_interval(differences: &[f64], confidence: f64) -> Option<Interval> {
    let pairs = differences.len();
    (pairs >= FEWEST_SEEDS).then(|| interval(differences, reach_at(confidence, pairs)))
}

/// The interval of the difference of two means of independent values, `a` less `b`, by Welch's t
/// ("The generalization of Student's problem", Biometrika 34, 1947, with the degrees of freedom
/// rounded down, which makes the interval wider). `None` if a side has fewer than five values.
pub fn interval_of_difference(a: &[f64], b: &[f64], confidence: f64) -> Option<Interval> {
    if a.len() < FEWEST_SEEDS || b.len() < FEWEST_SEEDS {
        return None;
    }
    let (of_a, of_b) = (squared_error(a), squared_error(b));
    let difference = mean(a) - mean(b);
    let squared = of_a + of_b;
    if squared == 0.0 {
        return Some(Interval { low: difference, high: difference });
    }
    let part = |error: f64, values: &[f64]| error * error / (values.len() - 1) as f64;
    let degrees = (squared * squared / (part(of_a, a) + part(of_b, b))).floor().max(1.0);
    let reach = student_t::two_sided(confidence, degrees as usize) * squared.sqrt();
    Some(Interval { low: difference - reach, high: difference + reach })
}

/// The square of the standard error of the mean.
fn squared_error(values: &[f64]) -> f64 {
    let (center, count) = (mean(values), values.len() as f64);
    let squares: f64 = values.iter().map(|value| (value - center) * (value - center)).sum();
    squares / (count - 1.0) / count
}

/// The mean of these values; NaN if there are none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
