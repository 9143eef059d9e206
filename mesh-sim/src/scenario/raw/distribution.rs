//! Distributions of times, as a scenario file has them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::text;
use crate::units::DurationText;

/// A distribution of times: a duration, which is the same in every draw, or a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Distribution {
    /// The same time in every draw.
    Constant {
        /// That time.
        value: DurationText,
    },
    /// Exponential distribution.
    Exponential {
        /// The mean.
        mean: DurationText,
    },
    /// Lognormal distribution.
    Lognormal {
        /// The median.
        median: DurationText,
        /// Standard deviation of the logarithm.
        #[schemars(range(min = 0.0, max = 10.0))]
        sigma: f64,
    },
    /// Pareto distribution (type I), cut at a maximum.
    Pareto {
        /// The smallest value.
        min: DurationText,
        /// Tail index: the smaller it is, the more values are very large.
        #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 0.0))]
        shape: f64,
        /// Larger values count as this.
        max: DurationText,
    },
    /// Uniform distribution.
    Uniform {
        /// The smallest value.
        min: DurationText,
        /// The greatest value.
        max: DurationText,
    },
    /// Normal distribution; values below zero count as zero.
    Normal {
        /// The mean.
        mean: DurationText,
        /// The standard deviation.
        standard_deviation: DurationText,
    },
    /// Measured quantiles, with straight lines between them.
    Empirical {
        /// A CSV file, named from the scenario's directory, or its lines: each a share from 0 to 1
        /// and a duration, in order.
        #[schemars(extend("pattern" = text::LINES))]
        quantiles: String,
    },
    /// One of two values.
    Bimodal {
        /// The usual value.
        low: DurationText,
        /// The rare value.
        high: DurationText,
        /// Probability of the rare value.
        #[schemars(range(min = 0.0, max = 1.0))]
        high_ratio: f64,
    },
    /// A lognormal distribution, by its median and its 99 % quantile.
    #[serde(untagged)]
    MedianAndP99 {
        /// Half of the draws are below this.
        p50: DurationText,
        /// 99 % of the draws are below this; more than `p50`.
        p99: DurationText,
    },
    /// A lognormal distribution, by its mean and its 99 % quantile.
    #[serde(untagged)]
    MeanAndP99 {
        /// The mean.
        mean: DurationText,
        /// 99 % of the draws are below this; more than `mean`, and at most 14.9 times as much.
        p99: DurationText,
    },
    /// Measured times. Each draw is one of them, and each of them is equally likely.
    #[serde(untagged)]
    Samples {
        /// A CSV file, named from the scenario's directory, or its lines: a duration in each, in
        /// any order.
        #[schemars(extend("pattern" = text::LINES))]
        samples: String,
    },
    /// Measured quantiles, with straight lines between them.
    #[serde(untagged)]
    Quantiles {
        /// A CSV file, named from the scenario's directory, or its lines: each a share from 0 to 1
        /// and a duration, in order.
        #[schemars(extend("pattern" = text::LINES))]
        quantiles: String,
    },
    /// The same time in every draw.
    #[serde(untagged)]
    Same(DurationText),
}

impl Distribution {
    /// Whether each draw is the same time.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Same(_) | Self::Constant { .. })
    }
}
