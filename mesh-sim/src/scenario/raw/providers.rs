//! The providers of a scenario file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Hosts;
use crate::scenario::text;

/// A service that agents use for their jobs, like a model behind an API. Its limits hold for all of
/// them together; a job beyond them is answered with HTTP status 429. At least one of
/// `requests_per_minute` and `concurrency` says what the limits are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    /// What reports call it.
    #[schemars(extend("pattern" = text::NAME, "examples" = ["model"]))]
    pub(crate) name: String,
    /// The agents that use it. An agent has at most one provider.
    pub(crate) agents: Hosts,
    /// How many jobs may begin per minute; any number if left out. The right to begin one comes
    /// evenly, and is kept until it is used, up to `burst`.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub(crate) requests_per_minute: Option<u32>,
    /// How many jobs may begin at once after a pause; as many as per second, at least 1, if left
    /// out.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<u32>,
    /// How many jobs may use it at once; any number if left out.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) concurrency: Option<u32>,
    /// The kinds of jobs that use it; all if left out. Subjobs of these kinds use it, too.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) jobs: Option<Vec<JobName>>,
}

/// The name of a kind in `workload.jobs`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = text::NAME, "examples" = ["summarise"]))]
pub(crate) struct JobName(pub(crate) String);
