//! The workload, as a scenario file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::text;
use crate::units::DurationText;

/// What load arrives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Workload {
    #[serde(flatten)]
    pub(crate) arrivals: Arrivals,
    /// CPU time of a job on a core of speed 1.
    pub(crate) demand: Distribution,
    /// Which agent gets a request: "random", "round_robin", or always the one of this name.
    #[serde(default = "default_entry")]
    #[schemars(extend("pattern" = text::NAME, "examples" = ["random", "round_robin", "agent-3"]))]
    pub(crate) entry: String,
    /// The client gives up this long after a request was due.
    #[serde(default = "default_deadline")]
    pub(crate) deadline: DurationText,
    /// Whether requests say that they may safely be done twice.
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
        /// Later rates, in order.
        #[serde(default)]
        #[schemars(length(max = 10_000))]
        steps: Vec<RateStep>,
    },
    /// Open loop with equal gaps.
    Constant {
        /// Requests per second.
        #[schemars(range(max = 1_000_000.0), extend("exclusiveMinimum" = 0.0))]
        rate: f64,
        /// Later rates, in order.
        #[serde(default)]
        #[schemars(length(max = 10_000))]
        steps: Vec<RateStep>,
    },
    /// Closed loop: each client sends, waits for the answer, thinks, and sends again.
    Closed {
        /// How many clients.
        #[schemars(range(min = 1, max = 100_000))]
        clients: u32,
        /// Time between an answer and the next request.
        think: Distribution,
    },
}

/// A rate from a time on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateStep {
    /// From here on.
    pub(crate) at: DurationText,
    /// Requests per second; 0 pauses.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(crate) rate: f64,
}

/// A distribution of times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Distribution {
    /// Always the same.
    Constant {
        /// The value.
        value: DurationText,
    },
    /// Exponential.
    Exponential {
        /// The mean.
        mean: DurationText,
    },
    /// Lognormal.
    Lognormal {
        /// The median.
        median: DurationText,
        /// Standard deviation of the logarithm.
        #[schemars(range(min = 0.0, max = 10.0))]
        sigma: f64,
    },
    /// Pareto (type I), cut at a maximum.
    Pareto {
        /// The smallest value.
        min: DurationText,
        /// Tail index: smaller is heavier.
        #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 0.0))]
        shape: f64,
        /// Larger values are cut to this.
        max: DurationText,
    },
    /// Uniform.
    Uniform {
        /// The smallest value.
        min: DurationText,
        /// The greatest value.
        max: DurationText,
    },
    /// Normal; draws below zero count as zero.
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
