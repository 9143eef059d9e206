//! When requests are due, as a scenario file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Distribution;
use crate::units::DurationText;

/// When requests are due.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "arrivals", rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// Open loop with exponential gaps.
    Poisson(OpenArrivals),
    /// Open loop with equal gaps.
    Constant(OpenArrivals),
    /// Closed loop: each client sends a request, waits until it has ended, thinks, and sends again.
    Closed(ClosedArrivals),
    /// Open loop with exponential gaps, as with arrivals = "poisson".
    #[serde(untagged)]
    Unnamed(OpenArrivals),
    /// Closed loop, as with arrivals = "closed".
    #[serde(untagged)]
    UnnamedClosed(ClosedArrivals),
}

/// An open loop: requests are due whatever becomes of the earlier ones.
///
/// The rate at a time is `rate`, or that of the last step, times the factors of `bursts`, `curve`
/// and `on_off`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct OpenArrivals {
    /// Requests per second.
    #[schemars(range(max = 1_000_000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) rate: f64,
    /// Later rates, in the order of time.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(crate) steps: Vec<RateStep>,
    /// Times with more requests than usual, or fewer.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub(crate) bursts: Vec<Burst>,
    /// A course of the rate that repeats, like that of a day.
    pub(crate) curve: Option<RateCurve>,
    /// Random changes between two rates (a Markov-modulated process).
    pub(crate) on_off: Option<OnOff>,
    /// The number of requests that are due at once. `rate` counts requests, so batches come at
    /// `rate` divided by their mean size.
    #[serde(default = "one")]
    pub(crate) batch: BatchSize,
}

/// A fixed number of clients.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ClosedArrivals {
    /// The number of clients.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) clients: u32,
    /// The time between the end of a request and the client's next one.
    pub(crate) think: Distribution,
}

fn one() -> BatchSize {
    BatchSize::Fixed(1)
}

/// A rate from a time on: either in requests per second, or as a factor of the first rate.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateStep {
    /// When this rate begins.
    pub(crate) at: DurationText,
    /// Requests per second; 0 pauses.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(crate) rate: Option<f64>,
    /// The rate as a factor of the workload's `rate`.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub(crate) factor: Option<f64>,
}

/// A time with more requests than usual, or fewer. Where bursts overlap, their factors multiply.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    /// When it begins.
    pub(crate) at: DurationText,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub(crate) lasts: DurationText,
    /// How many times as many requests there are.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub(crate) factor: f64,
}

/// A course of the rate that repeats, like that of a day.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateCurve {
    /// The length of one round.
    #[serde(default = "one_day")]
    pub(crate) period: DurationText,
    /// Factors of the rate, in the order of time. Each holds until the next one, the last one of a
    /// round until the first one of the next round.
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) points: Vec<CurvePoint>,
}

fn one_day() -> DurationText {
    DurationText::from_secs(24 * 3_600)
}

/// A factor of the rate, from a time of each round on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CurvePoint {
    /// When this factor begins, from the start of the round.
    pub(crate) at: DurationText,
    /// The factor of the rate.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub(crate) factor: f64,
}

/// Random changes between two rates. The time until each change is exponential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnOff {
    /// The mean time until on becomes off.
    pub(crate) on: DurationText,
    /// The mean time until off becomes on.
    pub(crate) off: DurationText,
    /// The factor of the rate while it is on.
    #[schemars(range(max = 1000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) on_factor: f64,
    /// The factor of the rate while it is off.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub(crate) off_factor: f64,
}

/// The number of requests that are due at once: a number, or a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum BatchSize {
    /// Sizes from 1 on, of which each next one is rarer by the same factor.
    Geometric {
        /// The mean size.
        #[schemars(range(min = 1.0, max = 1000.0))]
        mean: f64,
    },
    /// Each size between two is equally likely.
    Uniform {
        /// The smallest size.
        #[schemars(range(min = 1, max = 10_000))]
        min: u32,
        /// The greatest size.
        #[schemars(range(min = 1, max = 10_000))]
        max: u32,
    },
    /// The same size always.
    #[serde(untagged)]
    Fixed(#[schemars(range(min = 1, max = 10_000))] u32),
}
