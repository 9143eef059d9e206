//! A fault, as a scenario file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Hosts;
use crate::faults::FaultKind;
use crate::units::DurationText;

/// Something that goes wrong: once (`at`), or at random (`every` and `repair`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Fault {
    #[serde(flatten)]
    pub(crate) kind: FaultKind<Hosts>,
    /// When the fault begins.
    pub(crate) at: Option<DurationText>,
    /// How long the fault lasts; to the end of the run if left out.
    #[serde(rename = "for")]
    pub(crate) lasts: Option<DurationText>,
    /// Instead of `at`: the fault comes and goes at random, and this is the mean time without it
    /// until it comes. Each host that it strikes has times of its own; links fail together.
    pub(crate) every: Option<DurationText>,
    /// With `every`: the mean time that the fault lasts.
    pub(crate) repair: Option<DurationText>,
}
