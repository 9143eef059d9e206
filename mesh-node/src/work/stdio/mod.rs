//! Hands jobs to processes that stay: a line of JSON per job on their standard input, and a line of
//! JSON per answer on their standard output. So a program that takes long to start, because it loads
//! a model, does so once.
//!
//! | direction | line |
//! |---|---|
//! | from the worker, once | `{"ready": true}`, optional |
//! | to the worker | `{"id": 1, "text": "...", ...}`, with the fields that [`Exec`](super::Exec) gives a command |
//! | from the worker | `{"id": 1, "result": ...}`, or `{"id": 1, "error": ...}` if the job has failed |
//!
//! A worker does one job at a time. `queue` has the jobs that no worker has taken yet, `keeper` the
//! life of one worker after the other, `process` one of them, and `message` what its lines mean.

mod keeper;
mod message;
mod process;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use mesh_core::protocol::Task;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::keeper::WorkerKeeper;
use self::queue::{JobOrder, WorkerQueue, WorkerResult};
use super::report::{FailureReport, JobNumber, JobTrouble};
use super::{Executor, JobCommand};
use crate::Clock;
use crate::host::JobResult;

/// What [`StdioWorkers`] are made of.
#[derive(Clone, Debug)]
pub struct StdioSettings {
    /// The command of each worker.
    pub command: JobCommand,
    /// How many workers there are. If fewer are free than the agent has jobs that run, the other
    /// jobs wait.
    pub workers: u32,
    /// How long a worker may take from its start until it says that it is ready; then it is killed
    /// and started again. `None`: it gets jobs at once.
    pub ready_timeout: Option<Duration>,
    /// How long a worker whose job was cut off may go on with it; then it is killed and started
    /// again. Until then it gets no other job.
    pub grace: Duration,
    /// The most bytes of a result. A job with more has failed.
    pub output_bytes: usize,
    /// How errors name a worker to clients. It should contain the agent's name, because clients may
    /// be many hops away.
    pub name_for_clients: String,
}

/// Why workers can't be started. The message fits after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("start a worker: {0}")]
pub struct StartError(String);

/// Hands each job to one of some processes that stay.
///
/// A worker that ends is started again: at once the first time, and then after a pause that doubles
/// up to half a minute while its successors end without an answer. While no worker is there, jobs
/// are refused as not begun. Dropping this kills all workers with everything that they have started.
#[derive(Debug)]
pub struct StdioWorkers {
    queue: Arc<WorkerQueue>,
    /// Keeps the tasks that keep the workers.
    _keepers: JoinSet<()>,
    clock: Clock,
    report: FailureReport,
}

impl StdioWorkers {
    /// Starts all workers, and waits until they are ready if the settings say how long that may
    /// take.
    ///
    /// # Errors
    /// If one of them can't be started or does not become ready. Then all of them are killed.
    pub async fn start(settings: StdioSettings) -> Result<Self, StartError> {
        let queue = Arc::<WorkerQueue>::default();
        let clock = Clock::start();
        let report = FailureReport::new(settings.name_for_clients.clone());
        let settings = Arc::new(settings);
        let mut started = Vec::new();
        for _ in 0..settings.workers {
            started.push(keeper::start(&settings).map_err(StartError)?);
        }
        let limit = settings.ready_timeout;
        let ready = started.iter_mut().map(|worker| worker.until_ready(limit));
        try_join_all(ready).await.map_err(StartError)?;
        let mut keepers = JoinSet::new();
        for worker in started {
            let keeper = WorkerKeeper::new(settings.clone(), queue.clone(), clock);
            keepers.spawn(keeper.keep(worker));
        }
        Ok(Self { queue, _keepers: keepers, clock, report })
    }

    /// Has a worker do the task.
    async fn hand_over(&self, task: Task) -> WorkerResult {
        let (answer, answered) = oneshot::channel();
        self.queue.push(JobOrder { task, received: self.clock.now(), answer })?;
        // The keeper of a worker that has a job ends only with the agent.
        answered.await.unwrap_or_else(|_| Err(JobTrouble::no_answer("the agent ends")))
    }
}

impl Executor for StdioWorkers {
    async fn run(&self, task: Task) -> JobResult {
        let job = JobNumber::from(&task);
        self.hand_over(task).await.map_err(|trouble| self.report.failure(job, trouble))
    }
}
