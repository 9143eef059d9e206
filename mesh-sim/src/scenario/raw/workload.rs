//! The workload, as a scenario file has it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::HostPattern;
use super::{Arrivals, JobKind, JobNeeds, Sessions};
use crate::scenario::{ClientSpec, text};
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
    /// Which agent gets a request: any at "random", all in turn by "round_robin", or only those of a
    /// name, of a pattern, of a list of these, or of a table of these with weights.
    #[serde(default)]
    pub(crate) entry: Entry,
    /// What clients do about requests that do not succeed at first.
    #[serde(default)]
    pub(crate) client: ClientSpec,
    /// The client gives up this long after a request was due.
    #[serde(default = "default_deadline")]
    pub(crate) deadline: DurationText,
    /// Whether requests say that their jobs may safely be done twice.
    #[serde(default)]
    pub(crate) idempotent: bool,
}

/// Which agent gets a request.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// "random", "round_robin", or agents by name or pattern, each of them equally often.
    One(EntryAgent),
    /// Agents by name or pattern, each of them equally often.
    Several(#[schemars(length(min = 1, max = 10_000))] Vec<HostPattern>),
    /// Agents by name or pattern, with weights. The agents of a pattern share its weight.
    Weighted(BTreeMap<String, EntryWeight>),
}

impl Default for Entry {
    fn default() -> Self {
        Self::One(EntryAgent("random".to_owned()))
    }
}

/// "random", "round_robin", or agents by name or pattern.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = text::HOST_PATTERN))]
#[schemars(extend("examples" = ["random", "round_robin", "agent-3", "gateway-*"]))]
pub(crate) struct EntryAgent(pub(crate) String);

/// How often requests enter through some agents, relative to the other weights.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1_000_000.0))]
pub(crate) struct EntryWeight(pub(crate) f64);

fn default_deadline() -> DurationText {
    DurationText::from_secs(5)
}
