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
    Failed(&'static str),
    /// It can do no job: one counts.
    Down(&'static str),
}
