//! A worker that ends some of its jobs with an error.

use std::sync::{Mutex, PoisonError};

use mesh_core::agent::Failure;
use mesh_core::protocol::Task;
use mesh_core::seed::Rng;

use super::{BehaviourFile, Executor, JobErrors};
use crate::host::JobResult;

/// Does jobs as another executor does, but ends some of them with an error, as a file says at their
/// beginning ([`JobBehaviour::errors`](super::JobBehaviour::errors)).
pub struct Erring<E> {
    jobs: E,
    file: BehaviourFile,
    rng: Mutex<Rng>,
}

impl<E: Executor> Erring<E> {
    /// Does jobs as `jobs` does, except for those that `file` says. `rng` decides which they are.
    pub fn new(jobs: E, file: BehaviourFile, rng: Rng) -> Self {
        Self { jobs, file, rng: Mutex::new(rng) }
    }

    /// The errors with which this job is to end.
    fn draw(&self) -> Result<Option<JobErrors>, Failure> {
        let errors = self.file.errors()?;
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(errors.filter(|errors| errors.strike(&mut rng)))
    }
}

impl<E: Executor> Executor for Erring<E> {
    async fn run(&self, task: Task) -> JobResult {
        let Some(errors) = self.draw()? else { return self.jobs.run(task).await };
        if errors.after_job {
            self.jobs.run(task).await?;
        }
        if !errors.after.is_zero() {
            tokio::time::sleep(errors.after).await;
        }
        Err(errors.failure())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_core::seed::Seed;

    use super::*;
    use crate::work::output;

    /// Does each job in this time.
    struct Sleeper(Duration);

    impl Executor for Sleeper {
        async fn run(&self, task: Task) -> JobResult {
            tokio::time::sleep(self.0).await;
            output(&task.text)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_may_change_while_the_agent_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("behaviour.json");
        let mut file = BehaviourFile::watch(path.clone()).expect("no file is fine");
        let jobs = Sleeper(Duration::from_millis(300));
        let erring = Erring::new(jobs, file.clone(), Seed::root(1).rng());
        let clock = crate::Clock::start();
        erring.run(Task::new("x")).await.expect("done");
        assert_eq!(clock.now().elapsed().as_millis(), 300);
        for (text, failure, took) in [
            (r#"{ "answer": "busy" }"#, "busy", 0),
            (r#"{ "answer": "too_many_requests", "after": "50ms" }"#, "unavailable", 50),
            (r#"{ "answer": "job_failed", "after_job": true }"#, "job_failed", 300),
            (r#"{ "answer": "lost", "after_job": true, "after": "1s" }"#, "outcome_unknown", 1_300),
        ] {
            std::fs::write(&path, format!("{{ \"errors\": {text} }}")).expect("written");
            file.changed().await;
            let begun = clock.now();
            let error = erring.run(Task::new("x")).await.expect_err(text);
            assert_eq!((error.name(), clock.now().since(begun).as_millis()), (failure, took));
        }
        std::fs::write(&path, "").expect("written");
        file.changed().await;
        erring.run(Task::new("x")).await.expect("done");
    }
}
