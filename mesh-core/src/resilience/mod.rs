//! What protects a delegation whatever its policy is: no policy knows of it.

mod passive_health;
mod retry_budget;

pub use self::passive_health::HealthConfig;
pub(crate) use self::passive_health::PassiveHealth;
pub use self::retry_budget::{RetryBudget, RetryConfig};

/// What the end of a call says of the peer's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// It does its jobs.
    Well,
    /// Nothing: it is full, or the request was at fault.
    None,
    /// A failure that may be the job's own: several in a row count.
    Failed(PassOverReason),
    /// It can do no job: one counts.
    Down(PassOverReason),
}

/// How a peer failed that is passed over for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassOverReason {
    /// No connection to it could be opened.
    NotSent,
    /// It left a probe or jobs without an answer.
    NoAnswer,
    /// It says that it is stopping.
    ShuttingDown,
    /// It says that what does its jobs can't begin any.
    Unavailable,
    /// Its jobs ran and failed.
    JobFailed,
    /// It doesn't know what has become of its jobs.
    OutcomeUnknown,
    /// It answered jobs with errors that are not the mesh's, or with something that answers no job.
    OtherError,
}

impl PassOverReason {
    /// A short name for metrics and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NoAnswer => "no_answer",
            Self::ShuttingDown => "shutting_down",
            Self::Unavailable => "unavailable",
            Self::JobFailed => "job_failed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::OtherError => "other_error",
        }
    }
}
