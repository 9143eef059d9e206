//! Keeps one worker: gives it jobs, and replaces it when it ends or has to be ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Task;
use tokio::time::{sleep, timeout};

use super::StdioSettings;
use super::process::WorkerProcess;
use super::queue::{JobOrder, WorkerPresence, WorkerQueue};
use crate::Clock;
use crate::process::log_throttle::{LogPermit, LogThrottle};

/// The first pause before a worker is started again. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a worker is replaced.
#[derive(Debug)]
enum WorkerEnd {
    /// It has ended, or can't be used any more. The text says why.
    Broken(String),
    /// Its job was cut off, and it did not finish that in time.
    CutOff,
}

/// How long to wait before a worker is started again.
#[derive(Debug, Default)]
struct RestartPause {
    /// How often a worker has ended since one has answered.
    in_vain: u32,
}

impl RestartPause {
    /// A worker has answered: the next one may come at once.
    fn reset(&mut self) {
        self.in_vain = 0;
    }

    /// The pause after one more end.
    fn next(&mut self) -> Duration {
        let pause = match self.in_vain {
            0 => Duration::ZERO,
            times => FIRST_PAUSE.saturating_mul(1 << (times - 1).min(16)).min(LONGEST_PAUSE),
        };
        self.in_vain = self.in_vain.saturating_add(1);
        pause
    }
}

/// Starts a worker.
pub(super) fn start(settings: &StdioSettings) -> Result<WorkerProcess, String> {
    WorkerProcess::start(&settings.command, settings.output_bytes)
}

/// Keeps one worker of several that share a queue.
pub(super) struct WorkerKeeper {
    settings: Arc<StdioSettings>,
    queue: Arc<WorkerQueue>,
    presence: WorkerPresence,
    pause: RestartPause,
    clock: Clock,
    /// Bounds the lines about workers that end.
    log: LogThrottle,
}

impl WorkerKeeper {
    /// A keeper whose first worker is ready for jobs.
    pub(super) fn new(settings: Arc<StdioSettings>, queue: Arc<WorkerQueue>, clock: Clock) -> Self {
        let presence = WorkerPresence::new(queue.clone());
        let (pause, log) = (RestartPause::default(), LogThrottle::default());
        Self { settings, queue, presence, pause, clock, log }
    }

    /// Keeps this worker and then its successors, for ever.
    pub(super) async fn keep(mut self, mut worker: WorkerProcess) {
        loop {
            let id = worker.id();
            let end = self.serve(&mut worker).await;
            worker.kill().await;
            match end {
                WorkerEnd::Broken(why) => self.wait_after(id, &why).await,
                WorkerEnd::CutOff => self.log_cut_off(id),
            }
            worker = self.successor().await;
        }
    }

    /// Gives the worker one job after the other, until it has to be replaced.
    async fn serve(&mut self, worker: &mut WorkerProcess) -> WorkerEnd {
        loop {
            let order = tokio::select! {
                biased;
                why = worker.until_unusable() => return WorkerEnd::Broken(why),
                order = self.queue.next() => order,
            };
            // A job that was cut off while it waited is not begun at all.
            if !order.answer.is_closed()
                && let Err(end) = self.do_job(worker, order).await
            {
                return end;
            }
        }
    }

    /// Has the worker do a job.
    ///
    /// # Errors
    /// If the worker has to be replaced.
    async fn do_job(
        &mut self,
        worker: &mut WorkerProcess,
        order: JobOrder,
    ) -> Result<(), WorkerEnd> {
        let JobOrder { task, received, mut answer } = order;
        let task = at(self.clock.now(), task, received);
        let mut doing = pin!(worker.do_job(&task, &self.settings.command));
        let done = tokio::select! {
            biased;
            done = &mut doing => Ok(done),
            () = answer.closed() => timeout(self.settings.grace, doing.as_mut()).await,
        };
        match done.map_err(|_| WorkerEnd::CutOff)? {
            Ok(result) => {
                self.pause.reset();
                // A failed send is no error, here and below: the client may have left.
                let _ = answer.send(result);
                Ok(())
            }
            Err(trouble) => {
                let why = trouble.why.clone();
                let _ = answer.send(Err(trouble));
                Err(WorkerEnd::Broken(why))
            }
        }
    }

    /// Starts workers until one is ready.
    async fn successor(&mut self) -> WorkerProcess {
        loop {
            let (id, why) = match start(&self.settings) {
                Ok(mut worker) => {
                    let id = worker.id();
                    if self.settings.ready_timeout.is_some() {
                        self.presence.leave("it is being started");
                    }
                    match worker.until_ready(self.settings.ready_timeout).await {
                        Ok(()) => {
                            self.presence.enter();
                            return worker;
                        }
                        Err(why) => {
                            worker.kill().await;
                            (id, why)
                        }
                    }
                }
                Err(why) => (None, why),
            };
            self.wait_after(id, &why).await;
        }
    }

    fn log_cut_off(&self, worker: Option<u32>) {
        if let Some(LogPermit { left_out }) = self.log.admit(self.clock.now()) {
            tracing::info!(
                worker,
                left_out,
                "a worker is started again: its job was cut off, and it went on with it"
            );
        }
    }

    /// Waits until the next worker may be started after one that ended for this reason.
    async fn wait_after(&mut self, worker: Option<u32>, why: &str) {
        let pause = self.pause.next();
        if let Some(LogPermit { left_out }) = self.log.admit(self.clock.now()) {
            tracing::warn!(worker, why, ?pause, left_out, "a worker ended and is started again");
        }
        if !pause.is_zero() {
            self.presence.leave(why);
            sleep(pause).await;
        }
    }
}

/// The task with what is left of its time.
fn at(now: Timestamp, task: Task, received: Timestamp) -> Task {
    let waited = now.since(received);
    Task { timeout: task.timeout.map(|timeout| timeout.saturating_sub(waited)), ..task }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_until_a_worker_has_answered() {
        let mut pause = RestartPause::default();
        let pauses: Vec<u128> = (0..11).map(|_| pause.next().as_millis()).collect();
        assert_eq!(pauses[..4], [0, 100, 200, 400]);
        assert_eq!(pauses[9..], [25_600, 30_000]);
        pause.in_vain = u32::MAX - 1;
        assert_eq!(pause.next(), LONGEST_PAUSE);
        pause.reset();
        assert_eq!(pause.next(), Duration::ZERO);
    }
}
