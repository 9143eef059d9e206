//! Work for show: it takes its time, or its CPU time, and says that it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_core::protocol::Task;
use mesh_node::host::JobResult;
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::to_raw_value;

use super::failed;

/// What a job of show costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synthetic {
    /// The demand of a job that names none.
    pub(crate) demand: Duration,
    /// Burn CPU time instead of sleeping.
    pub(crate) burns: bool,
}

impl Synthetic {
    /// Whether there is nothing to spend.
    pub(crate) fn takes_no_time(self, task: &Task) -> bool {
        !self.burns && task.demand.unwrap_or(self.demand).is_zero()
    }

    /// Spends the task's demand and answers "Processed: " and its text.
    pub(crate) async fn run(self, task: Task) -> JobResult {
        let demand = task.demand.unwrap_or(self.demand);
        if self.burns {
            burn(demand).await?;
        } else if !demand.is_zero() {
            tokio::time::sleep(demand).await;
        }
        let output = to_raw_value(&format!("Processed: {}", task.text));
        output.map(Arc::from).map_err(|error| failed(error.to_string()))
    }
}

/// Tells a thread to stop when the job is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps one core busy for this much CPU time: when jobs share a core, each takes longer.
async fn burn(demand: Duration) -> Result<(), mesh_core::agent::Failure> {
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

/// CPU time of the calling thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(demand: Option<Duration>) -> Task {
        Task {
            text: "a \"quoted\" text".into(),
            timeout: None,
            demand,
            idempotent: false,
            depth: 0,
            request: 0,
            attempt: 0,
            foreign: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_sleeps_for_its_demand_or_the_usual_one() {
        let synthetic = Synthetic { demand: Duration::from_millis(300), burns: false };
        let clock = mesh_node::Clock::start();
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
        let synthetic = Synthetic { demand, burns: true };
        synthetic.run(task(None)).await.expect("output");
        assert!(process_time() - before >= demand);
        // Were it not stopped, the runtime's end would wait for it.
        let endless = synthetic.run(task(Some(Duration::from_secs(3600))));
        tokio::time::timeout(Duration::from_millis(20), endless).await.expect_err("endless");
    }

    fn process_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
