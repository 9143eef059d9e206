//! What goes wrong and what is demanded, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Hosts;
use crate::faults::FaultKind;
use crate::units::DurationText;

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Fault {
    #[serde(flatten)]
    pub(crate) kind: FaultKind<Hosts>,
    /// When it begins.
    pub(crate) at: DurationText,
    /// How long it lasts; to the end of the run if left out.
    #[serde(rename = "for")]
    pub(crate) lasts: Option<DurationText>,
}

/// Thresholds of one policy; what is left out is not demanded.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Least share of sent requests that are answered.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) min_success: Option<f64>,
    /// Greatest mean latency.
    pub(crate) max_mean: Option<DurationText>,
    /// Greatest median latency.
    pub(crate) max_p50: Option<DurationText>,
    /// Greatest 90th percentile of latency.
    pub(crate) max_p90: Option<DurationText>,
    /// Greatest 99th percentile of latency.
    pub(crate) max_p99: Option<DurationText>,
    /// Greatest 99.9th percentile of latency.
    pub(crate) max_p99_9: Option<DurationText>,
}
