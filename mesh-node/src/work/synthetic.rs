//! Jobs that only take time: for demonstrations and measurements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Failure;
use mesh_core::protocol::Task;
use mesh_core::sessions::WarmSessions;
use rustix::time::{ClockId, clock_gettime};

use super::{Executor, ProviderClient, SubjobCaller, failed, output};
use crate::TokioNet;
use crate::host::JobResult;

/// Spends a job's demand by sleeping or on the CPU, then waits and has other jobs done if the job's
/// plan says so, and answers "Processed: " and the job's text.
pub struct Synthetic {
    /// The demand of a job that names none.
    pub demand: Duration,
    /// Whether to burn CPU time instead of sleeping. Jobs that share a core then slow each other
    /// down.
    pub burns: bool,
    /// The sessions that it has done jobs of.
    pub sessions: Mutex<WarmSessions>,
    /// Asked before each job whether the job may begin.
    pub provider: Option<ProviderClient>,
    /// Has the subjobs of jobs done.
    pub subjobs: SubjobCaller<TokioNet>,
}

impl Executor for Synthetic {
    fn ends_at_once(&self, task: &Task) -> bool {
        let is_free = !self.burns && self.provider.is_none();
        is_free && task.details.is_none() && task.demand.unwrap_or(self.demand).is_zero()
    }

    async fn run(&self, task: Task) -> JobResult {
        let clock = self.subjobs.clock();
        let deadline = task.timeout.map_or(Timestamp::MAX, |left| clock.now() + left);
        let permit = match &self.provider {
            Some(provider) => Some(provider.admit(&task).await?),
            None => None,
        };
        let session = task.details.as_ref().and_then(|details| details.session);
        let left = session.map_or(1.0, |turn| {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).begin(turn)
        });
        let demand = task.demand.unwrap_or(self.demand).mul_f64(left);
        if self.burns {
            burn(demand).await?;
        } else if !demand.is_zero() {
            tokio::time::sleep(demand).await;
        }
        let wait = task.details.as_ref().map_or(Duration::ZERO, |details| details.wait);
        // A timer of no time takes a millisecond.
        if !wait.is_zero() {
            tokio::time::sleep(wait.mul_f64(left)).await;
        }
        drop(permit);
        let own = output(&format!("Processed: {}", task.text))?;
        self.subjobs.finish(&task, own, deadline).await
    }
}

/// Tells the thread of [`burn`] to stop when the job is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps a core busy until this much CPU time is used. Jobs that share a core take longer, each of
/// them.
async fn burn(demand: Duration) -> Result<(), Failure> {
    let stop = StopOnDrop(Arc::default());
    let stopped = stop.0.clone();
    let burning = tokio::task::spawn_blocking(move || {
        let start = cpu_time();
        while cpu_time().saturating_sub(start) < demand && !stopped.load(Ordering::Relaxed) {
            for _ in 0..1000 {
                std::hint::spin_loop();
            }
        }
    });
    burning.await.map_err(|error| failed(error.to_string()))
}

/// The CPU time that the calling thread has used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Client, ClientLimits};

    fn synthetic(demand: Duration, burns: bool, clock: crate::Clock) -> Synthetic {
        let client = Client::new(TokioNet, ClientLimits::default());
        let sessions = Mutex::default();
        Synthetic {
            demand,
            burns,
            sessions,
            provider: None,
            subjobs: SubjobCaller::new(client, clock, "127.0.0.1:1"),
        }
    }

    fn task(demand: Option<Duration>) -> Task {
        Task { demand, ..Task::new("a \"quoted\" text") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_sleeps_for_its_demand_or_the_usual_one() {
        let clock = crate::Clock::start();
        let synthetic = synthetic(Duration::from_millis(300), false, clock);
        let output = synthetic.run(task(None)).await.expect("output");
        assert_eq!(output.get(), r#""Processed: a \"quoted\" text""#);
        assert_eq!(clock.now().elapsed().as_millis(), 300);
        synthetic.run(task(Some(Duration::from_millis(50)))).await.expect("output");
        assert_eq!(clock.now().elapsed().as_millis(), 350);
    }

    #[tokio::test]
    async fn burning_takes_cpu_time_and_stops_when_dropped() {
        let before = process_time();
        let demand = Duration::from_millis(30);
        let synthetic = synthetic(demand, true, crate::Clock::start());
        synthetic.run(task(None)).await.expect("output");
        assert!(process_time() - before >= demand);
        // If the thread did not stop, the end of the runtime would wait for it, and this test too.
        let endless = synthetic.run(task(Some(Duration::from_secs(3600))));
        tokio::time::timeout(Duration::from_millis(20), endless).await.expect_err("endless");
    }

    fn process_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
