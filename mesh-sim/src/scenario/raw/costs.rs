//! `[costs]` of a scenario file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Distribution;
use crate::units::DurationText;

/// What jobs and messages cost on top of what jobs demand. CPU times are those on a core of speed 1.
/// `mesh-bench calibrate` measures them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Costs {
    /// CPU time that each job takes on top of its demand, while it has a slot.
    pub(crate) job: DurationText,
    /// CPU time that each job takes when it arrives, before it runs, waits or is refused.
    pub(crate) work: DurationText,
    /// Time that each job takes on top without using the CPU, for example because timers are late.
    pub(crate) job_delay: DurationText,
    /// CPU time of a probe, at the agent that asks and again at the agent that answers.
    pub(crate) probe: DurationText,
    /// How much later the answer to each probe comes, without using the CPU: probes of several peers
    /// at once get into each other's way. Zero if left out.
    pub(crate) probe_delay: Option<Distribution>,
    /// CPU time that a call to the registry takes at the agent: a heartbeat, or a fetch of the list.
    pub(crate) heartbeat: DurationText,
    /// CPU time that an agent takes to measure its load, once per `cpu_window`.
    pub(crate) sample: DurationText,
    /// CPU time that a delegation takes at the agent that delegates.
    pub(crate) delegation: DurationText,
}
