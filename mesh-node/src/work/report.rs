//! Jobs that failed: what their callers are told, and what the log says.

use std::time::Duration;

use mesh_core::agent::{Failure, ObservedEnd};
use mesh_core::protocol::Task;
use mesh_core::trace::TraceId;

use crate::Clock;
use crate::process::log_throttle::LogThrottle;

/// The most characters of a reason in the log. Callers get all of it.
const LOGGED_CHARS: usize = 500;

/// What an executor saw of a job that has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JobTrouble {
    /// From this follows what has become of the job.
    pub(super) seen: ObservedEnd,
    /// What happened, for people.
    pub(super) why: String,
    /// How long a service asks its callers to stay away.
    pub(super) retry_after: Option<Duration>,
}

impl JobTrouble {
    /// The job ran and failed.
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self { seen: ObservedEnd::Answer, why: why.into(), retry_after: None }
    }

    /// The job may have been done, and there is no answer that can be read.
    #[cfg(feature = "processes")]
    pub(super) fn no_answer(why: impl Into<String>) -> Self {
        Self { seen: ObservedEnd::NoAnswer, why: why.into(), retry_after: None }
    }

    /// The job was not begun.
    #[cfg(feature = "processes")]
    pub(super) fn not_sent(why: impl Into<String>) -> Self {
        Self { seen: ObservedEnd::NotSent, why: why.into(), retry_after: None }
    }
}

/// The number of a job's request and of its attempt, and its trace if it has one: by these the log
/// names the job.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobNumber {
    request: u64,
    attempt: u32,
    trace: Option<TraceId>,
}

impl From<&Task> for JobNumber {
    fn from(task: &Task) -> Self {
        Self { request: task.request, attempt: task.attempt, trace: task.trace_id() }
    }
}

/// Makes failures of what an executor saw, and logs them. The log never has the text of a job, and
/// does not grow faster than its throttle allows, however many jobs fail.
#[derive(Debug)]
pub(super) struct FailureReport {
    /// How clients are told who did the job.
    whom: String,
    clock: Clock,
    throttle: LogThrottle,
}

impl FailureReport {
    /// A report that calls the command or service behind the agent `whom`.
    pub(super) fn new(whom: String) -> Self {
        Self { whom, clock: Clock::start(), throttle: LogThrottle::default() }
    }

    /// How clients are told who did the job.
    pub(super) fn whom(&self) -> &str {
        &self.whom
    }

    /// What the caller of a job is told. The log gets the reason, too.
    pub(super) fn failure(&self, job: JobNumber, trouble: JobTrouble) -> Failure {
        let JobTrouble { seen, why, retry_after } = trouble;
        let failure = seen.fate().failure(&*self.whom, &*why).with_retry_after(retry_after);
        self.log(job, &failure, &why);
        failure
    }

    /// Logs a failure whose reason is `why`.
    pub(super) fn log(&self, job: JobNumber, failure: &Failure, why: &str) {
        let Some(permit) = self.throttle.admit(self.clock.now()) else { return };
        let JobNumber { request, attempt, trace } = job;
        let trace_id = trace.map(tracing::field::display);
        let why: String = why.chars().take(LOGGED_CHARS).collect();
        let (left_out, failure) = (permit.left_out, failure.name());
        tracing::warn!(
            by = self.whom,
            request,
            attempt,
            trace_id,
            failure,
            why,
            left_out,
            "a job failed"
        );
    }
}
