//! The host of a live agent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_core::agent::JobId;
use mesh_core::protocol::Task;

use super::{Host, JobResult};
use crate::work::Executor;

/// The host of a live agent: an [`Executor`] that does its jobs, and a function that samples CPU
/// and memory. Each agent has one of its own.
pub struct LiveHost<E> {
    executor: Arc<E>,
    window: Duration,
    sample: Mutex<Box<dyn FnMut() -> (f64, f64) + Send>>,
}

impl<E: Executor> LiveHost<E> {
    /// A host that calls `sample` once per `window`. `sample` returns the CPU % since its last call
    /// and the memory % now, both from 0 to 100. Policies that go by load compare these figures.
    pub fn new(
        executor: E,
        window: Duration,
        sample: impl FnMut() -> (f64, f64) + Send + 'static,
    ) -> Self {
        Self { executor: Arc::new(executor), window, sample: Mutex::new(Box::new(sample)) }
    }

    /// A host whose figures come from the operating system, once per second.
    #[cfg(feature = "sampler")]
    pub fn sampled(executor: E, scope: super::SampleScope) -> Self {
        let mut sampler = super::Sampler::new(scope);
        Self::new(executor, Duration::from_secs(1), move || sampler.sample())
    }
}

impl<E: Executor> Host for LiveHost<E> {
    fn takes_foreign_calls(&self) -> bool {
        self.executor.takes_foreign_calls()
    }

    fn ends_at_once(&self, task: &Task) -> bool {
        self.executor.ends_at_once(task)
    }

    fn run(&self, _: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        let executor = self.executor.clone();
        async move { executor.run(task).await }
    }

    fn sample(&self) -> (f64, f64) {
        (self.sample.lock().unwrap_or_else(PoisonError::into_inner))()
    }

    fn window(&self) -> Duration {
        self.window
    }
}
