//! What an agent runs on: something that does jobs, and a machine with a load.

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
pub use self::sampler::{Sampler, Scope};

/// What comes of a job: its output, or the reason why there is none. [`Failure::JobFailed`]: it ran
/// and failed. [`Failure::Other`]: what did it answered with this error. A refusal
/// ([`Failure::is_refusal`]): it was not begun. [`Failure::OutcomeUnknown`]: it may have been done.
pub type JobResult = Result<Arc<RawValue>, Failure>;

/// The machine under an agent.
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
