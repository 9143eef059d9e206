//! `[autoscale]` of a scenario file.

use mesh_core::scaling::ScalingConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Hosts;
use crate::units::DurationText;

/// A set of agents that grows and shrinks with its load.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Autoscale {
    /// The agents of the set. So many may run at once; which of them do is decided in the run. Requests
    /// enter the mesh through other agents.
    pub(crate) agents: Hosts,
    /// How many of them run at the start; `min` if left out.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) start: Option<u32>,
    /// The rules. `max` is the number of agents of the set if left out.
    #[serde(flatten)]
    pub(crate) rules: ScalingConfig,
    /// The time between two decisions.
    #[serde(default = "default_every")]
    pub(crate) every: DurationText,
    /// From the order to start an agent to the start of its process. It costs agent-seconds already.
    #[serde(default = "default_start_up")]
    pub(crate) start_up: DurationText,
    /// How much later than an agent's sample of its load the report of it is there.
    #[serde(default)]
    pub(crate) lag: DurationText,
    /// Share of the reports that get lost.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) loss: f64,
    /// How long an agent that is to go may take to finish its jobs. With 0s it is ended at once, with
    /// all of its jobs.
    #[serde(default = "default_drain")]
    pub(crate) drain: DurationText,
    /// Times in which no reports come.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) outages: Vec<ReportOutage>,
}

/// A time in which no reports of load come.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportOutage {
    /// When it begins.
    pub(crate) at: DurationText,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub(crate) lasts: DurationText,
}

fn default_every() -> DurationText {
    DurationText::from_secs(5)
}

fn default_start_up() -> DurationText {
    DurationText::from_secs(10)
}

fn default_drain() -> DurationText {
    DurationText::from_secs(60)
}
