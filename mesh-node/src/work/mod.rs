//! What an agent does when it is asked to work.

pub(crate) mod exec;
pub(crate) mod synthetic;
pub(crate) mod upstream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_core::agent::{Failure, JobId};
use mesh_core::protocol::Task;
use mesh_node::Host;
use mesh_node::host::JobResult;

use self::exec::Exec;
use self::synthetic::Synthetic;
use self::upstream::Upstream;
use crate::system::Sampler;

/// Does jobs. Copies share what they need.
#[derive(Clone)]
pub(crate) enum Executor {
    /// Pretends to.
    Synthetic(Synthetic),
    /// Runs a command for each.
    Exec(Arc<Exec>),
    /// Hands them to a service behind the agent.
    Upstream(Arc<Upstream>),
}

/// The machine under a live agent.
pub(crate) struct LiveHost {
    executor: Executor,
    sampler: Mutex<Sampler>,
    window: Duration,
}

impl LiveHost {
    /// Samples the machine once per `window`.
    pub(crate) fn new(executor: Executor, sampler: Sampler, window: Duration) -> Self {
        Self { executor, sampler: Mutex::new(sampler), window }
    }
}

impl Host for LiveHost {
    fn takes_foreign_calls(&self) -> bool {
        matches!(self.executor, Executor::Upstream(_))
    }

    fn ends_at_once(&self, task: &Task) -> bool {
        matches!(&self.executor, Executor::Synthetic(synthetic) if synthetic.takes_no_time(task))
    }

    fn run(&self, _: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        let executor = self.executor.clone();
        async move {
            match executor {
                Executor::Synthetic(synthetic) => synthetic.run(task).await,
                // Boxed, for what they need is large, and every job would have to carry it.
                Executor::Exec(exec) => Box::pin(exec.run(task)).await,
                Executor::Upstream(upstream) => Box::pin(upstream.run(task)).await,
            }
        }
    }

    fn sample(&self) -> (f64, f64) {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner).sample()
    }

    fn window(&self) -> Duration {
        self.window
    }
}

/// A job that ran and failed, with the reason.
fn failed(reason: impl Into<String>) -> Failure {
    Failure::JobFailed(reason.into())
}
