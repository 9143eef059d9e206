//! What an agent runs on: something that does its jobs, and a machine whose load it reports.

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

/// The output of a job, any JSON value, or the reason why it has none.
///
/// | failure | says of the job |
/// |---|---|
/// | [`Failure::JobFailed`] | it ran and failed; no other agent is asked |
/// | [`Failure::Other`] | it ran, and this error is its answer, passed on as it is |
/// | a refusal ([`Failure::is_refusal`]) | it was not begun, and another agent may do it |
/// | [`Failure::OutcomeUnknown`] | it may have been done: only idempotent jobs are repeated |
pub type JobResult = Result<Arc<RawValue>, Failure>;

/// What an agent runs on. It does the jobs that the agent has admitted, and tells how busy its machine
/// is. [`LiveHost`] is the one of a real agent; simulations bring a model of a machine.
pub trait Host: Send + Sync + 'static {
    /// Whether it does jobs that are calls of foreign methods ([`Task::foreign`]). If not, they
    /// never reach it.
    fn takes_foreign_calls(&self) -> bool {
        false
    }

    /// Whether a job takes no time: then it runs where it is asked for, and needs no task. It must
    /// neither wait nor block.
    fn ends_at_once(&self, task: &Task) -> bool {
        let _ = task;
        false
    }

    /// Does a job. Dropping the future kills it.
    fn run(&self, job: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static;

    /// CPU % since the last sample and memory % now, both 0 to 100.
    fn sample(&self) -> (f64, f64);

    /// Time between samples.
    fn window(&self) -> Duration;
}
