//! Jobs that end with an error on purpose: to see what a mesh does with peers that fail.

use std::time::Duration;

use mesh_core::agent::Failure;
use mesh_core::conflict::Conflict;
use mesh_core::duration::{AsOptionalText, AsText};
use mesh_core::seed::Rng;
use serde::{Deserialize, Serialize};

/// Which share of its jobs an agent ends with an error, with which error, and after how long.
///
/// ```
/// use mesh_node::work::{ErrorAnswer, JobErrors};
///
/// let errors: JobErrors = serde_json::from_str(r#"{ "rate": 0.2, "answer": "busy" }"#)?;
/// assert_eq!((errors.answer, errors.after.is_zero()), (ErrorAnswer::Busy, true));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JobErrors {
    /// Share of the jobs that end with the error. The others are done as usual.
    #[serde(default = "all")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub rate: f64,
    /// How these jobs end.
    pub answer: ErrorAnswer,
    /// How long it takes until the error is answered; 0s: at once. The job keeps its slot until
    /// then, but needs no CPU.
    #[serde(default, with = "AsText")]
    pub after: Duration,
    /// Whether the job is done first, so that the error comes as late as a result would. Only
    /// with `job_failed` and `lost`.
    #[serde(default)]
    pub after_job: bool,
    /// How long callers are asked to stay away. Only with `too_many_requests`.
    #[serde(default, with = "AsOptionalText", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// How a job ends that ends with an error on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorAnswer {
    /// The agent refuses it as busy: it was not begun.
    Busy,
    /// The service behind the agent refuses it with HTTP status 429: it was not begun.
    TooManyRequests,
    /// It fails.
    JobFailed,
    /// Its answer is lost on the way to the agent: nobody knows whether it was done.
    Lost,
}

const fn all() -> f64 {
    1.0
}

impl JobErrors {
    /// The fields that contradict each other.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        let mut add = |setting, problem, expected: &str| {
            conflicts.push(Conflict { setting, problem, expected: expected.to_owned() });
        };
        let is_begun = matches!(self.answer, ErrorAnswer::JobFailed | ErrorAnswer::Lost);
        if self.after_job && !is_begun {
            let problem = "a job that is refused is never begun";
            add("after_job", problem, "false, or `answer` job_failed or lost");
        }
        if self.retry_after.is_some() && self.answer != ErrorAnswer::TooManyRequests {
            let problem = "only a 429 says when to come back";
            add("retry_after", problem, "none, or `answer` too_many_requests");
        }
        conflicts
    }

    /// Draws whether a job ends with the error. Takes one number from `rng`, whatever the rate.
    pub fn strike(&self, rng: &mut Rng) -> bool {
        rng.unit() < self.rate
    }

    /// The failure that such a job ends with.
    pub fn failure(&self) -> Failure {
        match self.answer {
            ErrorAnswer::Busy => Failure::Busy,
            ErrorAnswer::TooManyRequests => {
                Failure::Unavailable("HTTP status 429".into()).with_retry_after(self.retry_after)
            }
            ErrorAnswer::JobFailed => Failure::JobFailed("it was told to fail".to_owned()),
            ErrorAnswer::Lost => {
                Failure::OutcomeUnknown { peer: "the service behind the agent".to_owned() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::seed::Seed;

    use super::*;

    fn errors(text: &str) -> JobErrors {
        serde_json::from_str(text).expect("errors")
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let named = |text: &str| -> Vec<&str> {
            errors(text).conflicts().iter().map(|conflict| conflict.setting).collect()
        };
        assert_eq!(named(r#"{ "answer": "busy" }"#), [""; 0]);
        assert_eq!(named(r#"{ "answer": "lost", "after_job": true }"#), [""; 0]);
        let all = r#"{ "answer": "busy", "after_job": true, "retry_after": "1s" }"#;
        assert_eq!(named(all), ["after_job", "retry_after"]);
    }

    #[test]
    fn the_rate_is_the_share_of_the_jobs() {
        let mut rng = Seed::root(1).rng();
        let mut struck = |rate: f64| {
            let errors = JobErrors { rate, ..errors(r#"{ "answer": "job_failed" }"#) };
            (0..10_000).filter(|_| errors.strike(&mut rng)).count()
        };
        assert_eq!((struck(0.0), struck(1.0)), (0, 10_000));
        assert!((1_900..2_100).contains(&struck(0.2)));
    }
}
