//! The kinds of jobs of a workload, as a scenario file has them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Distribution;
use crate::scenario::text;
use crate::units::DurationText;

/// What a job takes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct JobNeeds {
    /// The CPU time of a job on a core of speed 1; none if left out.
    pub(crate) demand: Option<Distribution>,
    /// How long a job waits for something that takes no CPU time, such as a model, a tool or a
    /// database, after it has had its CPU time; not at all if left out.
    pub(crate) wait: Option<Distribution>,
    /// The skill that a job demands: only agents that have it get the job. Any agent if left out.
    #[schemars(extend("pattern" = text::SKILL, "examples" = ["summarise"]))]
    pub(crate) skill: Option<String>,
}

/// A kind of jobs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct JobKind {
    /// What reports call it.
    #[schemars(extend("pattern" = text::NAME, "examples" = ["summarise"]))]
    pub(crate) name: String,
    /// How many of the requests are of this kind, relative to the shares of the others.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(crate) share: f64,
    #[serde(flatten)]
    pub(crate) needs: JobNeeds,
    /// The jobs that a job has delegated to other agents after it has waited. It ends when they are
    /// answered.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) calls: Vec<CalledJobs>,
    /// How many of these jobs must be answered; a job ends as soon as that many are. All if left
    /// out.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) join: Option<u32>,
    /// Whether each of these jobs is delegated when the one before it has ended, and not all at
    /// once.
    #[serde(default)]
    pub(crate) in_turn: bool,
    /// The client gives up this long after a request was due; the workload's `deadline` if left
    /// out.
    pub(crate) deadline: Option<DurationText>,
    /// Whether requests say that their jobs may safely be done twice; the workload's `idempotent`
    /// if left out.
    pub(crate) idempotent: Option<bool>,
}

/// Sessions: requests that belong together. When requests are due stays as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sessions {
    /// The share of the requests that belong to sessions.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) share: f64,
    /// The mean number of requests of a session; the numbers are geometrically distributed.
    #[schemars(range(min = 1.0, max = 1_000_000.0))]
    pub(crate) length: f64,
    /// The least time between two requests of a session: the next one comes with the next request
    /// of a session that is due after that.
    pub(crate) pause: Distribution,
    /// What is left of a job's demand and wait at the agent that did the session's last job.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) warm: f64,
}

/// Jobs of one kind that a job has done.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalledJobs {
    /// The name of their kind.
    #[schemars(extend("pattern" = text::NAME, "examples" = ["search"]))]
    pub(crate) job: String,
    /// How many of them.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) count: u32,
}

fn once() -> u32 {
    1
}

fn one() -> f64 {
    1.0
}
