//! The workload, as a scenario file has it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Arrivals, JobKind, JobNeeds, Sessions};
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
    /// Requests that belong together. If left out, each stands for itself.
    pub(crate) sessions: Option<Sessions>,
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
