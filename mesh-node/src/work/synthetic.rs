//! Jobs that only take time: for demonstrations and measurements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Failure;
use mesh_core::protocol::Task;
use mesh_core::sessions::WarmSessions;
use rustix::time::{ClockId, clock_gettime};

use super::job_speed::{JobSpeed, SharedCores};
use super::time_left::TimeLeft;
use super::{BehaviourFile, Executor, ProviderClient, SubjobCaller, failed, output};
use crate::GuardedNet;
use crate::host::JobResult;

/// Spends a job's demand by sleeping or on the CPU, then waits and has other jobs done if the job's
/// plan says so, and answers "Processed: " and the job's text.
pub struct Synthetic {
    /// The demand of a job that names none.
    pub demand: Duration,
    /// How fast jobs compute: with 2, they take half of their demand.
    pub speed: f64,
    /// How fast the waits of jobs go by.
    pub wait_speed: f64,
    /// A file with a factor on both speeds, and with the background load of the cores. Jobs that run
    /// when it changes go on at their new speed.
    pub behaviour: Option<BehaviourFile>,
    /// The cores that jobs share while they compute; `None`: each has a core of its own. Jobs that
    /// burn CPU time share the cores of the machine instead.
    pub cores: Option<SharedCores>,
    /// Whether to burn CPU time instead of sleeping. Jobs that share a core then slow each other
    /// down.
    pub burns: bool,
    /// The sessions that it has done jobs of.
    pub sessions: Mutex<WarmSessions>,
    /// Asked before each job whether the job may begin.
    pub provider: Option<ProviderClient>,
    /// Has the subjobs of jobs done.
    pub subjobs: SubjobCaller<GuardedNet>,
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
        let file = self.behaviour.as_ref();
        if self.burns {
            burn(demand, JobSpeed::computing(self.speed, file, None)).await?;
        } else {
            let speed = JobSpeed::computing(self.speed, file, self.cores.as_ref());
            speed.spend(demand, clock).await;
        }
        let wait = task.details.as_ref().map_or(Duration::ZERO, |details| details.wait);
        JobSpeed::waiting(self.wait_speed, file).spend(wait.mul_f64(left), clock).await;
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

/// Keeps a core busy until this much CPU time is used, more or less by the speed. Jobs that share a
/// core take longer, each of them.
async fn burn(demand: Duration, speed: JobSpeed) -> Result<(), Failure> {
    let stop = StopOnDrop(Arc::default());
    let stopped = stop.0.clone();
    let burning = tokio::task::spawn_blocking(move || {
        let mut now = cpu_time();
        let mut left = TimeLeft::new(now, demand, speed.now());
        while now < left.end() && !stopped.load(Ordering::Relaxed) {
            for _ in 0..1000 {
                std::hint::spin_loop();
            }
            now = cpu_time();
            left.set_speed(now, speed.now());
        }
    });
    burning.await.map_err(|error| failed(error.to_string()))
}

/// The CPU time that the calling thread has used.
fn cpu_time() -> Timestamp {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32).into()
}

#[cfg(test)]
mod tests {
    use mesh_core::protocol::JobDetails;

    use super::*;
    use crate::Clock;
    use crate::http::{Client, ClientLimits};

    fn synthetic(demand: Duration, burns: bool, clock: Clock) -> Synthetic {
        let client = Client::new(GuardedNet::default(), ClientLimits::default());
        Synthetic {
            demand,
            speed: 1.0,
            wait_speed: 1.0,
            behaviour: None,
            cores: None,
            burns,
            sessions: Mutex::default(),
            provider: None,
            subjobs: SubjobCaller::new(client, clock, "127.0.0.1:1"),
        }
    }

    fn task(demand: Option<Duration>) -> Task {
        Task { demand, ..Task::new("a \"quoted\" text") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_sleeps_for_its_demand_or_the_usual_one() {
        let clock = Clock::start();
        let synthetic = synthetic(Duration::from_millis(300), false, clock);
        let output = synthetic.run(task(None)).await.expect("output");
        assert_eq!(output.get(), r#""Processed: a \"quoted\" text""#);
        assert_eq!(clock.now().elapsed().as_millis(), 300);
        synthetic.run(task(Some(Duration::from_millis(50)))).await.expect("output");
        assert_eq!(clock.now().elapsed().as_millis(), 350);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_runs_follows_the_speed_of_its_agent() {
        let clock = Clock::start();
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut synthetic = synthetic(Duration::from_millis(300), false, clock);
        (synthetic.speed, synthetic.wait_speed) = (2.0, 4.0);
        let behaviour = BehaviourFile::watch(file.path().to_owned()).expect("no change");
        synthetic.behaviour = Some(behaviour.clone());
        let details = JobDetails { wait: Duration::from_millis(200), ..JobDetails::default() };
        let task = || Task { details: Some(details.clone().into()), ..task(None) };
        synthetic.run(task()).await.expect("output");
        assert_eq!(clock.now().elapsed().as_millis(), 200);

        let begun = clock.now();
        let slow_down = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            std::fs::write(file.path(), r#"{ "speed_factor": 0.1 }"#).expect("written");
        };
        let (done, ()) = tokio::join!(synthetic.run(task()), slow_down);
        done.expect("output");
        // 50 of 150 ms of computing and 50 ms of waiting are left when the file is read, which
        // takes up to 10 ms.
        let took = clock.now().since(begun).as_millis();
        assert!((990..=1_110).contains(&took), "{took}");
    }

    #[tokio::test]
    async fn burning_takes_cpu_time_and_stops_when_dropped() {
        let before = process_time();
        let demand = Duration::from_millis(30);
        let mut synthetic = synthetic(demand, true, Clock::start());
        synthetic.run(task(None)).await.expect("output");
        assert!(process_time() - before >= demand);
        let before = process_time();
        synthetic.speed = 0.5;
        synthetic.run(task(None)).await.expect("output");
        assert!(process_time() - before >= 2 * demand, "on a slow machine");
        // If the thread did not stop, the end of the runtime would wait for it, and this test too.
        let endless = synthetic.run(task(Some(Duration::from_secs(3600))));
        tokio::time::timeout(Duration::from_millis(20), endless).await.expect_err("endless");
    }

    fn process_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}
