//! How fast the jobs of a synthetic worker are done, as it changes while they run.

use std::time::Duration;

use tokio::sync::watch;

use super::BehaviourFile;
use super::time_left::TimeLeft;
use crate::Clock;

/// Cores that jobs share equally while they compute: each of n jobs on c cores has min(1, c / n) of
/// the speed of a core. Clones stand for the same cores.
#[derive(Clone, Debug)]
pub struct SharedCores {
    cores: u32,
    /// How many jobs compute.
    computing: watch::Sender<u32>,
}

impl SharedCores {
    /// That many cores, on which no job computes.
    pub fn new(cores: u32) -> Self {
        Self { cores, computing: watch::Sender::default() }
    }

    fn begin(&self) -> ComputingJob {
        self.computing.send_modify(|jobs| *jobs += 1);
        ComputingJob { cores: self.clone(), changes: self.computing.subscribe() }
    }
}

/// A job that computes. It needs no cores any more when this is dropped.
struct ComputingJob {
    cores: SharedCores,
    changes: watch::Receiver<u32>,
}

impl ComputingJob {
    /// The share of a core that the job has, if other programs use this share of all cores.
    fn share(&self, background: f64) -> f64 {
        let free = f64::from(self.cores.cores) * (1.0 - background);
        (free / f64::from(*self.changes.borrow())).min(1.0)
    }
}

impl Drop for ComputingJob {
    fn drop(&mut self) {
        self.cores.computing.send_modify(|jobs| *jobs -= 1);
    }
}

/// How fast a job computes or waits, as it changes.
pub(super) struct JobSpeed {
    own: f64,
    file: Option<BehaviourFile>,
    /// `None` while the job waits, or if it need not share cores.
    on_cores: Option<ComputingJob>,
}

impl JobSpeed {
    /// The speed of a job that computes from now on, on these cores if it shares any.
    pub(super) fn computing(
        own: f64,
        file: Option<&BehaviourFile>,
        cores: Option<&SharedCores>,
    ) -> Self {
        Self { own, file: file.cloned(), on_cores: cores.map(SharedCores::begin) }
    }

    /// The speed of a job that waits.
    pub(super) fn waiting(own: f64, file: Option<&BehaviourFile>) -> Self {
        Self { own, file: file.cloned(), on_cores: None }
    }

    /// The speed now.
    pub(super) fn now(&self) -> f64 {
        let behaviour = self.file.as_ref().map(BehaviourFile::now).unwrap_or_default();
        let share = self.on_cores.as_ref().map_or(1.0, |job| job.share(behaviour.background));
        self.own * behaviour.speed_factor * share
    }

    /// Lets this much time go by, longer or shorter by the speed.
    pub(super) async fn spend(mut self, time: Duration, clock: Clock) {
        // A timer of no time takes a millisecond.
        if time.is_zero() {
            return;
        }
        let mut left = TimeLeft::new(clock.now(), time, self.now());
        loop {
            tokio::select! {
                () = clock.sleep_until(left.end()) => return,
                () = self.changed() => left.set_speed(clock.now(), self.now()),
            }
        }
    }

    /// Waits until the speed may have changed.
    async fn changed(&mut self) {
        let file = async {
            match &mut self.file {
                Some(file) => file.changed().await,
                None => std::future::pending().await,
            }
        };
        let cores = async {
            match &mut self.on_cores {
                // No error: the job itself holds the other end.
                Some(job) => drop(job.changes.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = file => {}
            () = cores => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::run_paused;

    const DEMAND: Duration = Duration::from_millis(100);

    #[test]
    fn jobs_that_compute_share_the_cores() {
        run_paused(async {
            let clock = Clock::start();
            let cores = SharedCores::new(2);
            let job = |after: u64| {
                let cores = cores.clone();
                async move {
                    clock.sleep_until(Duration::from_millis(after).into()).await;
                    JobSpeed::computing(1.0, None, Some(&cores)).spend(DEMAND, clock).await;
                    clock.now().elapsed().as_millis()
                }
            };
            let ends = tokio::join!(job(0), job(0), job(0), job(100));
            // Three jobs have two thirds of a core each until 100 ms, and then four have a half.
            // The last one has got 33 ms of a half when the others end, and then a whole core.
            let expected = (167, 167, 167, 234);
            let near = |at: u128, expected: u128| at.abs_diff(expected) <= 2;
            assert!(near(ends.0, expected.0) && near(ends.3, expected.3), "{ends:?}");
            assert_eq!((ends.0, ends.0), (ends.1, ends.2));
        });
    }
}
