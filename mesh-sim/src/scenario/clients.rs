//! What clients do about requests that do not succeed at first: the table `[workload.client]`.

use std::time::Duration;

use mesh_core::conflict::Conflict;
use mesh_core::resilience::RetryConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{DurationText, duration_text, format_duration};

/// What clients do about requests that do not succeed at first.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSpec {
    /// Whether a request goes to another entry agent at once if no connection to its entry agent
    /// could be opened.
    pub failover: bool,
    /// How clients send requests again that failed otherwise; they don't if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<ClientRetries>,
}

impl Default for ClientSpec {
    fn default() -> Self {
        Self { failover: true, retries: None }
    }
}

/// How clients send requests again after a pause: those whose jobs were certainly not begun, and
/// those without an answer whose jobs may be done twice.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct ClientRetries {
    /// How many retries a request may have.
    #[schemars(range(min = 0, max = 100))]
    pub max: u32,
    /// The longest pause before the first retry. It doubles with each further retry of a request;
    /// each pause is drawn between zero and that time.
    #[serde(default = "default_backoff", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub backoff: Duration,
    /// The pauses grow no longer than this, unless an error asks for a longer one.
    #[serde(default = "default_max_backoff", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub max_backoff: Duration,
    /// The budget that all retries of the clients are taken from.
    #[serde(flatten)]
    pub budget: RetryConfig,
}

fn default_backoff() -> Duration {
    Duration::from_millis(100)
}

fn default_max_backoff() -> Duration {
    Duration::from_secs(10)
}

impl ClientRetries {
    /// The longest pause before a retry of a request that has had `retries`, without what an error
    /// asks for.
    pub fn longest_pause(&self, retries: u32) -> Duration {
        let doubled = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(doubled).min(self.max_backoff)
    }

    /// The fields that contradict each other.
    pub(super) fn conflict(&self) -> Option<Conflict> {
        (self.max_backoff < self.backoff).then(|| Conflict {
            setting: "max_backoff",
            problem: "the longest pause is shorter than the first",
            expected: format!("`backoff`, which is {}, or more", format_duration(self.backoff)),
        })
    }
}
