//! Distributions of times, sampled by inversion: a draw is the quantile of a uniform random number.

mod lognormal;
pub(crate) mod normal;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::seed::Rng;

/// The points of a measured distribution: pairs of a share from 0 to 1 and the value in seconds
/// that this share of the draws stays below. Shares rise and values never fall.
pub type Quantiles = Arc<[(f64, f64)]>;

/// A distribution of non-negative times, for demands, think times and latencies. All times among
/// the parameters are in seconds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Distribution {
    /// The same time in every draw.
    Constant {
        /// That time.
        value: f64,
    },
    /// The exponential distribution.
    Exponential {
        /// The mean.
        mean: f64,
    },
    /// The lognormal distribution.
    Lognormal {
        /// The median, exp(mu).
        median: f64,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// The Pareto distribution (type I), cut at a maximum.
    Pareto {
        /// The smallest value.
        min: f64,
        /// The tail index: the smaller it is, the more draws are very large.
        shape: f64,
        /// Draws above this count as this.
        max: f64,
    },
    /// The uniform distribution.
    Uniform {
        /// The smallest value.
        min: f64,
        /// The greatest value.
        max: f64,
    },
    /// The normal distribution; draws below zero count as zero.
    Normal {
        /// The mean before negative draws become zero.
        mean: f64,
        /// The standard deviation before negative draws become zero.
        standard_deviation: f64,
    },
    /// Measured quantiles with straight lines between them.
    Empirical {
        /// At least two points.
        quantiles: Quantiles,
    },
    /// One of some measured times, each equally likely.
    Sampled {
        /// At least one time, in ascending order.
        values: Arc<[f64]>,
    },
    /// One of two values.
    Bimodal {
        /// The usual value.
        low: f64,
        /// The rare value.
        high: f64,
        /// Probability of `high`, 0 to 1.
        high_ratio: f64,
    },
}

impl Distribution {
    /// Draws a time.
    ///
    /// Every distribution takes exactly one uniform draw, so two runs that differ in the
    /// distribution alone still draw the same quantiles for the same jobs.
    pub fn sample(&self, rng: &mut Rng) -> Duration {
        self.quantile(rng.unit())
    }

    /// The time that a share `u` of the draws stays below, for `u` in [0, 1). It never falls as `u`
    /// grows. It is rounded to a whole nanosecond, and is at most `u64::MAX` nanoseconds.
    pub fn quantile(&self, u: f64) -> Duration {
        from_seconds(match *self {
            Self::Constant { value } => value,
            Self::Exponential { mean } => mean * unit_exponential(u),
            Self::Lognormal { median, sigma } => {
                median * libm::exp(sigma * normal::quantile(u.max(SMALLEST)))
            }
            Self::Uniform { min, max } => min + (max - min) * u,
            Self::Normal { mean, standard_deviation } => {
                mean + standard_deviation * normal::quantile(u.max(SMALLEST))
            }
            Self::Empirical { ref quantiles } => interpolate(quantiles, u),
            Self::Sampled { ref values } => {
                let position = (u * values.len() as f64) as usize;
                values.get(position).or(values.last()).copied().unwrap_or_default()
            }
            Self::Pareto { min, shape, max } => (min / libm::pow(1.0 - u, 1.0 / shape)).min(max),
            // The rare value is usually the greater one. Where it is the smaller one, it belongs to
            // small `u`, so that the quantile never falls.
            Self::Bimodal { low, high, high_ratio } if low <= high => {
                if u < 1.0 - high_ratio {
                    low
                } else {
                    high
                }
            }
            Self::Bimodal { low, high, high_ratio } => {
                if u < high_ratio {
                    high
                } else {
                    low
                }
            }
        })
    }

    /// The mean of the draws, rounded and limited like a draw ([`Self::quantile`]).
    pub fn mean(&self) -> Duration {
        from_seconds(match *self {
            Self::Constant { value } => value,
            Self::Exponential { mean } => mean,
            Self::Lognormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
            Self::Pareto { min, shape, max } => cut_pareto_mean(min, shape, max),
            Self::Uniform { min, max } => (min + max) / 2.0,
            Self::Normal { mean, standard_deviation } => {
                normal::mean_above_zero(mean, standard_deviation)
            }
            Self::Empirical { ref quantiles } => {
                let part =
                    |ends: &[(f64, f64)]| (ends[1].0 - ends[0].0) * (ends[0].1 + ends[1].1) / 2.0;
                quantiles.windows(2).map(part).sum()
            }
            Self::Sampled { ref values } => values.iter().sum::<f64>() / values.len() as f64,
            Self::Bimodal { low, high, high_ratio } => low + (high - low) * high_ratio,
        })
    }
}

/// Stands for a uniform draw of zero where the quantile of zero is infinite. It is half of the
/// smallest step of the random generator.
const SMALLEST: f64 = 1.0 / (1u64 << 54) as f64;

/// The value at share `u` on straight lines between the points. Outside of them it is that of the
/// nearest point.
fn interpolate(quantiles: &[(f64, f64)], u: f64) -> f64 {
    let after = quantiles.partition_point(|(share, _)| *share <= u);
    match (after.checked_sub(1).map(|at| quantiles[at]), quantiles.get(after)) {
        (Some((share, value)), Some((next_share, next))) => {
            value + (next - value) * (u - share) / (next_share - share)
        }
        (Some((_, value)), None) | (None, Some(&(_, value))) => value,
        (None, None) => 0.0,
    }
}

/// The quantile of the exponential distribution with mean 1: -ln(1 - u).
pub(crate) fn unit_exponential(u: f64) -> f64 {
    -libm::log1p(-u)
}

/// The mean of min(X, `max`) for a Pareto X: `min` x (1 + the integral of x^-shape from 1 to
/// `max`/`min`).
fn cut_pareto_mean(min: f64, shape: f64, max: f64) -> f64 {
    if max <= min {
        return max;
    }
    let log_range = libm::log(max / min);
    let excess = shape - 1.0;
    let tail = if excess == 0.0 { log_range } else { -libm::expm1(-excess * log_range) / excess };
    min * (1.0 + tail)
}

/// Rounds to whole nanoseconds. The cast with `as` saturates, and makes NaN and negative values
/// zero.
fn from_seconds(seconds: f64) -> Duration {
    Duration::from_nanos((seconds * 1e9).round() as u64)
}

#[cfg(test)]
mod tests;
