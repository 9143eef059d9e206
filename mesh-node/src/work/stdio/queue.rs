//! The jobs that wait for a worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_core::Timestamp;
use mesh_core::protocol::Task;
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};

use super::super::report::JobTrouble;

/// What came of a job that was handed to a worker.
pub(super) type WorkerResult = Result<Arc<RawValue>, JobTrouble>;

/// A job for the next worker that is free.
#[derive(Debug)]
pub(super) struct JobOrder {
    pub(super) task: Task,
    /// When the agent handed it over.
    pub(super) received: Timestamp,
    /// Where its result goes. Closed once nobody wants it any more.
    pub(super) answer: oneshot::Sender<WorkerResult>,
}

/// The jobs that no worker has taken yet, first come, first served, and the number of workers that
/// can take some. All workers of an agent share it.
#[derive(Debug, Default)]
pub(super) struct WorkerQueue {
    state: Mutex<WorkerQueueState>,
    /// Wakes one worker that waits for a job.
    pushed: Notify,
}

#[derive(Debug, Default)]
struct WorkerQueueState {
    waiting: VecDeque<JobOrder>,
    /// How many workers do a job or wait for one.
    present: u32,
    /// Why the last one that left did so.
    why_left: String,
}

impl WorkerQueue {
    fn lock(&self) -> MutexGuard<'_, WorkerQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job.
    ///
    /// # Errors
    /// If no worker is there to do it.
    pub(super) fn push(&self, order: JobOrder) -> Result<(), JobTrouble> {
        let mut state = self.lock();
        if state.present == 0 {
            return Err(nobody(&state.why_left));
        }
        state.waiting.push_back(order);
        drop(state);
        self.pushed.notify_one();
        Ok(())
    }

    /// Waits for a job and takes it. Nothing is lost if the future is dropped.
    pub(super) async fn next(&self) -> JobOrder {
        loop {
            if let Some(order) = self.take() {
                return order;
            }
            self.pushed.notified().await;
        }
    }

    /// Takes the first job that waits.
    fn take(&self) -> Option<JobOrder> {
        let mut state = self.lock();
        let order = state.waiting.pop_front()?;
        // One notification may stand for several jobs.
        if !state.waiting.is_empty() {
            self.pushed.notify_one();
        }
        Some(order)
    }
}

/// The trouble of a job that came while no worker was there.
fn nobody(why: &str) -> JobTrouble {
    JobTrouble::not_sent(format!("no worker is running: {why}"))
}

/// Whether one worker is there to take jobs. Dropping it counts as leaving.
#[derive(Debug)]
pub(super) struct WorkerPresence {
    queue: Arc<WorkerQueue>,
    is_present: bool,
}

impl WorkerPresence {
    /// A worker that is there.
    pub(super) fn new(queue: Arc<WorkerQueue>) -> Self {
        let mut presence = Self { queue, is_present: false };
        presence.enter();
        presence
    }

    /// The worker can take jobs from now on.
    pub(super) fn enter(&mut self) {
        if !std::mem::replace(&mut self.is_present, true) {
            self.queue.lock().present += 1;
        }
    }

    /// The worker can't take jobs for now. If none is left that can, the jobs that wait are answered
    /// as not begun.
    pub(super) fn leave(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_present, false) {
            return;
        }
        let mut state = self.queue.lock();
        state.present -= 1;
        state.why_left = why.to_owned();
        if state.present > 0 {
            return;
        }
        for order in state.waiting.drain(..) {
            // A failed send is no error: the client may have left.
            let _ = order.answer.send(Err(nobody(why)));
        }
    }
}

impl Drop for WorkerPresence {
    fn drop(&mut self) {
        self.leave("the agent ends");
    }
}
