//! A fault, as a scenario file has it.

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
    /// When the fault begins.
    pub(crate) at: DurationText,
    /// How long the fault lasts; to the end of the run if left out.
    #[serde(rename = "for")]
    pub(crate) lasts: Option<DurationText>,
}
