//! Distributions of times, sampled by inversion.

pub(crate) mod normal;

use std::time::Duration;

use mesh_core::seed::Rng;

/// A distribution of non-negative times, all parameters in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant {
        /// The value.
        value: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean.
        mean: f64,
    },
    /// Lognormal.
    Lognormal {
        /// Median, exp(mu).
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Pareto (type I).
    Pareto {
        /// Smallest value.
        min: f64,
        /// Tail index; the mean is finite above 1.
        shape: f64,
        /// Larger draws are cut to this.
        max: f64,
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

    /// The time that a share `u` of the draws stay below, for `u` in [0, 1). It never falls as `u`
    /// grows. Rounded to a whole nanosecond, at most `u64::MAX` of them.
    pub fn quantile(&self, u: f64) -> Duration {
        from_seconds(match *self {
            Self::Constant { value } => value,
            Self::Exponential { mean } => mean * unit_exponential(u),
            Self::Lognormal { median, sigma } => {
                // Half of the generator's smallest step: zero would give 0 x infinity.
                let u = u.max(1.0 / (1u64 << 54) as f64);
                median * libm::exp(sigma * normal::quantile(u))
            }
            Self::Pareto { min, shape, max } => (min / libm::pow(1.0 - u, 1.0 / shape)).min(max),
            // The rare value is the greater one as a rule; the order keeps draws monotone if not.
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

    /// The mean of the draws, rounded and limited like a draw.
    pub fn mean(&self) -> Duration {
        from_seconds(match *self {
            Self::Constant { value } => value,
            Self::Exponential { mean } => mean,
            Self::Lognormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
            Self::Pareto { min, shape, max } => cut_pareto_mean(min, shape, max),
            Self::Bimodal { low, high, high_ratio } => low + (high - low) * high_ratio,
        })
    }
}

/// Quantile of the exponential distribution of mean 1: -ln(1 - u).
pub(crate) fn unit_exponential(u: f64) -> f64 {
    -libm::log1p(-u)
}

/// Mean of min(X, `max`) for a Pareto X: `min` x (1 + integral of x^-shape from 1 to `max`/`min`).
fn cut_pareto_mean(min: f64, shape: f64, max: f64) -> f64 {
    if max <= min {
        return max;
    }
    let log_range = libm::log(max / min);
    let excess = shape - 1.0;
    let tail = if excess == 0.0 { log_range } else { -libm::expm1(-excess * log_range) / excess };
    min * (1.0 + tail)
}

/// Rounds to whole nanoseconds; `as` saturates, and takes NaN and negative values to zero.
fn from_seconds(seconds: f64) -> Duration {
    Duration::from_nanos((seconds * 1e9).round() as u64)
}

#[cfg(test)]
mod tests;
