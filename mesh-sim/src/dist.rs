//! Distributions of times, sampled by inversion.

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
