//! The workload, as a scenario file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{JobKind, JobNeeds};
use crate::scenario::text;
use crate::units::DurationText;

/// The requests that clients send.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Workload {
    // Before `arrivals`, which refuses all fields that are left when it is read.
    #[serde(flatten)]
    pub(crate) needs: JobNeeds,
    #[serde(flatten)]
    pub(crate) arrivals: Arrivals,
    /// Several kinds of jobs, instead of `demand`, `wait` and `skill` here.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) jobs: Vec<JobKind>,
    /// Which agent gets a request: "random", "round_robin", or always the one of this name.
    #[serde(default = "default_entry")]
    #[schemars(extend("pattern" = text::NAME, "examples" = ["random", "round_robin", "agent-3"]))]
    pub(crate) entry: String,
    /// The client gives up this long after a request was due.
    #[serde(default = "default_deadline")]
    pub(crate) deadline: DurationText,
    /// Whether requests say that their jobs may safely be done twice.
    #[serde(default)]
    pub(crate) idempotent: bool,
}

fn default_entry() -> String {
    "random".to_owned()
}

fn default_deadline() -> DurationText {
    DurationText::from_secs(5)
}

/// When requests are due.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "arrivals", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Arrivals {
    /// Open loop with exponential gaps.
    Poisson {
        /// Requests per second.
        #[schemars(range(max = 1_000_000.0), extend("exclusiveMinimum" = 0.0))]
        rate: f64,
        /// Later rates, in the order of time.
        #[serde(default)]
        #[schemars(length(max = 10_000))]
        steps: Vec<RateStep>,
    },
    /// Open loop with equal gaps.
    Constant {
        /// Requests per second.
        #[schemars(range(max = 1_000_000.0), extend("exclusiveMinimum" = 0.0))]
        rate: f64,
        /// Later rates, in the order of time.
        #[serde(default)]
        #[schemars(length(max = 10_000))]
        steps: Vec<RateStep>,
    },
    /// Closed loop: each client sends a request, waits until it has ended, thinks, and sends again.
    Closed {
        /// The number of clients.
        #[schemars(range(min = 1, max = 100_000))]
        clients: u32,
        /// The time between the end of a request and the client's next one.
        think: Distribution,
    },
}

/// A rate from a time on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateStep {
    /// When this rate begins.
    pub(crate) at: DurationText,
    /// Requests per second; 0 pauses.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(crate) rate: f64,
}

/// A distribution of times.
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
}
