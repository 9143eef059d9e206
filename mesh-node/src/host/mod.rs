//! What an agent runs on: something that does its jobs and samples the load of a machine.

mod live;
#[cfg(feature = "sampler")]
mod sampler;

use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::{Failure, JobId};
use mesh_core::protocol::Task;
use serde_json::value::RawValue;

pub use self::live::LiveHost;
#[cfg(feature = "sampler")]
pub use self::sampler::{SampleScope, Sampler};

/// How a job ended: with its output, which is any JSON value, or with a failure.
///
/// | failure | what it says of the job |
/// |---|---|
/// | [`Failure::JobFailed`] | it ran and failed; no other agent gets it |
/// | [`Failure::Other`] | it ran and answered with this error, which is passed on as it is |
/// | a refusal ([`Failure::is_refusal`]) | it was not begun; another agent may get it |
/// | [`Failure::OutcomeUnknown`] | it may have been done; only an idempotent job is repeated |
pub type JobResult = Result<Arc<RawValue>, Failure>;

/// Does the jobs that an agent has admitted, and samples how busy its machine is.
///
/// [`LiveHost`] is the one of a real agent: an executor and the operating system's figures. The
/// simulator's host is a model of a machine. The agent decides which jobs run and until when; the
/// host only does them.
pub trait Host: Send + Sync + 'static {
    /// Whether this host does jobs that are calls of foreign methods ([`JobDetails::foreign`](mesh_core::protocol::JobDetails::foreign)). If not,
    /// the agent answers such calls with "method not found".
    fn takes_foreign_calls(&self) -> bool {
        false
    }

    /// Whether a job takes no time. Such a job runs in the task of the request, without one of its
    /// own, and must neither wait nor block.
    fn ends_at_once(&self, task: &Task) -> bool {
        let _ = task;
        false
    }

    /// Does a job. Dropping the future must stop the job.
    fn run(&self, job: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static;

    /// CPU % since the last sample, and memory % now. Both are from 0 to 100.
    fn sample(&self) -> (f64, f64);

    /// The time between two samples.
    fn window(&self) -> Duration;

    /// The time from the agent's start to its first sample. Where many agents start at the same
    /// instant, it should differ: otherwise they measure at the same instants for ever, and those
    /// who go by their figures all turn to another agent at once.
    fn first_sample(&self) -> Duration {
        self.window()
    }
}
