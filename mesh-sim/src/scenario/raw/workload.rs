//! The workload, as a scenario file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Distribution;
use crate::scenario::text;
use crate::units::DurationText;

/// The requests that clients send.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Workload {
    #[serde(flatten)]
    pub(crate) arrivals: Arrivals,
    /// The CPU time of a job on a core of speed 1.
    pub(crate) demand: Distribution,
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
