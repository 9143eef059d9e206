//! How the jobs of a live agent are done: by code of yours, or in one of the ways that come with this
//! crate.
//!
//! | executor | how it does a job |
//! |---|---|
//! | `Synthetic` (feature `processes`) | it sleeps, or burns CPU time, for the demand that the job names |
//! | `Exec` (feature `processes`) | it runs a command per job, with JSON on its standard input and output |
//! | `StdioWorkers` (feature `processes`) | it hands the job to a process that stays, with a line of JSON per job |
//! | [`Upstream`] | it calls a JSON-RPC service behind the agent |
//! | [`Erring`] | as another executor, but some jobs end with an error on purpose ([`JobErrors`]) |
//!
//! A [`BehaviourFile`] tells the synthetic one and `Erring` what changes while the agent runs.
//!
//! An agent needs a [`Host`](crate::Host): [`LiveHost`](crate::host::LiveHost) makes one of an
//! executor and a source of load figures.

mod behaviour;
mod erring;
mod errors;
#[cfg(feature = "processes")]
mod exec;
#[cfg(feature = "processes")]
mod job_command;
#[cfg(feature = "processes")]
mod job_speed;
#[cfg(feature = "processes")]
mod provider;
mod report;
#[cfg(feature = "processes")]
mod stdio;
mod subjobs;
#[cfg(feature = "processes")]
mod synthetic;
#[cfg(feature = "processes")]
mod time_left;
mod upstream;

use std::sync::Arc;

use mesh_core::agent::Failure;
use mesh_core::protocol::Task;
use serde::Serialize;
use serde_json::value::to_raw_value;

pub use self::behaviour::{BehaviourFile, JobBehaviour};
pub use self::erring::Erring;
pub use self::errors::{ErrorAnswer, JobErrors};
#[cfg(feature = "processes")]
pub use self::exec::Exec;
#[cfg(feature = "processes")]
pub use self::job_command::{JobCommand, ProgramError, check_program};
#[cfg(feature = "processes")]
pub use self::job_speed::SharedCores;
#[cfg(feature = "processes")]
pub use self::provider::ProviderClient;
#[cfg(feature = "processes")]
pub use self::stdio::{StartError, StdioSettings, StdioWorkers};
pub use self::subjobs::{SubjobCaller, subjobs_failed};
#[cfg(feature = "processes")]
pub use self::synthetic::Synthetic;
pub use self::upstream::{HttpUrl, Upstream, UpstreamError, UpstreamSettings, UpstreamUrl};
use crate::host::JobResult;

/// Does the jobs of an agent. The agent decides which jobs run, how many at once and until when;
/// the executor only does them.
///
/// ```
/// use mesh_core::protocol::Task;
/// use mesh_node::host::JobResult;
/// use mesh_node::work::{Executor, output};
///
/// struct Shout;
///
/// impl Executor for Shout {
///     async fn run(&self, task: Task) -> JobResult {
///         output(&task.text.to_uppercase())
///     }
/// }
/// ```
pub trait Executor: Send + Sync + 'static {
    /// Whether this executor does calls of foreign methods ([`JobDetails::foreign`](mesh_core::protocol::JobDetails::foreign)). If not, the agent
    /// answers such calls with "method not found".
    fn takes_foreign_calls(&self) -> bool {
        false
    }

    /// Whether [`Executor::run`] neither waits nor blocks for this task. The agent then runs it in
    /// the task of the request, without one of its own in the runtime.
    fn ends_at_once(&self, task: &Task) -> bool {
        let _ = task;
        false
    }

    /// Does a job. The future is dropped when the job's client has left or its deadline has passed,
    /// so whatever it holds must free itself on drop.
    fn run(&self, task: Task) -> impl Future<Output = JobResult> + Send;
}

/// One of the executors of this module, for a program that learns at run time which one it is.
#[cfg(feature = "processes")]
#[non_exhaustive]
pub enum Builtin {
    /// Sleeps or burns CPU time.
    Synthetic(Synthetic),
    /// Sleeps or burns CPU time, and ends some jobs with an error.
    Erring(Box<Erring<Synthetic>>),
    /// Runs a command per job.
    Exec(Exec),
    /// Hands jobs to processes that stay.
    Stdio(StdioWorkers),
    /// Calls a service.
    Upstream(Upstream),
}

#[cfg(feature = "processes")]
impl Executor for Builtin {
    fn takes_foreign_calls(&self) -> bool {
        match self {
            Self::Synthetic(synthetic) => synthetic.takes_foreign_calls(),
            Self::Erring(erring) => erring.takes_foreign_calls(),
            Self::Exec(exec) => exec.takes_foreign_calls(),
            Self::Stdio(workers) => workers.takes_foreign_calls(),
            Self::Upstream(upstream) => upstream.takes_foreign_calls(),
        }
    }

    fn ends_at_once(&self, task: &Task) -> bool {
        match self {
            Self::Synthetic(synthetic) => synthetic.ends_at_once(task),
            Self::Erring(erring) => erring.ends_at_once(task),
            Self::Exec(exec) => exec.ends_at_once(task),
            Self::Stdio(workers) => workers.ends_at_once(task),
            Self::Upstream(upstream) => upstream.ends_at_once(task),
        }
    }

    async fn run(&self, task: Task) -> JobResult {
        match self {
            Self::Synthetic(synthetic) => synthetic.run(task).await,
            Self::Erring(erring) => Box::pin(erring.run(task)).await,
            // Boxed, because these futures are large and every job would have to make room for one.
            Self::Exec(exec) => Box::pin(exec.run(task)).await,
            Self::Stdio(workers) => Box::pin(workers.run(task)).await,
            Self::Upstream(upstream) => Box::pin(upstream.run(task)).await,
        }
    }
}

/// The result of a job that succeeded: `value` as JSON.
///
/// # Errors
/// [`Failure::JobFailed`] if the value can't be written as JSON, such as a map whose keys are not
/// strings.
pub fn output(value: &(impl Serialize + ?Sized)) -> JobResult {
    to_raw_value(value).map(Arc::from).map_err(|error| failed(error.to_string()))
}

/// The failure of a job that ran and failed, with its reason.
fn failed(reason: impl Into<String>) -> Failure {
    Failure::JobFailed(reason.into())
}
