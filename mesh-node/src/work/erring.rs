//! A worker that ends some of its jobs with an error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mesh_core::agent::Failure;
use mesh_core::protocol::Task;
use mesh_core::seed::Rng;

use super::{Executor, JobErrors};
use crate::files::read_text;
use crate::host::JobResult;

/// The greatest size of a file of errors.
const MOST_BYTES: u64 = 64 << 10;

/// Does jobs as another executor does, but ends some of them with an error, as a file says.
///
/// The file is JSON with the fields of [`JobErrors`]. It is read anew for each job, so it may be
/// changed while the agent runs; replace it as a whole, by renaming another file. While it is empty
/// or missing, no job ends with an error.
pub struct Erring<E> {
    jobs: E,
    file: PathBuf,
    rng: Mutex<Rng>,
}

impl<E: Executor> Erring<E> {
    /// Does jobs as `jobs` does, except for those that `file` says. `rng` decides which they are.
    ///
    /// # Errors
    /// If the file is there and can't be read, or has something else in it.
    pub fn new(jobs: E, file: PathBuf, rng: Rng) -> io::Result<Self> {
        read(&file)?;
        Ok(Self { jobs, file, rng: Mutex::new(rng) })
    }

    /// The errors with which this job is to end.
    fn draw(&self) -> Result<Option<JobErrors>, Failure> {
        let errors = read(&self.file).map_err(|error| {
            let file = self.file.display();
            Failure::JobFailed(format!("failed to read the errors of {file}: {error}"))
        })?;
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

/// The errors in a file; `None` if it is empty or missing.
fn read(file: &Path) -> io::Result<Option<JobErrors>> {
    let text = match read_text(file, MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let errors: JobErrors = serde_json::from_str(&text)?;
    if !(0.0..=1.0).contains(&errors.rate) {
        return Err(io::Error::other("rate: expected 0 to 1"));
    }
    match errors.conflicts().into_iter().next() {
        Some(conflict) => Err(io::Error::other(conflict)),
        None => Ok(Some(errors)),
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
        let file = directory.path().join("errors.json");
        let jobs = Sleeper(Duration::from_millis(300));
        let erring = Erring::new(jobs, file.clone(), Seed::root(1).rng()).expect("no file is fine");
        let clock = crate::Clock::start();
        erring.run(Task::new("x")).await.expect("done");
        assert_eq!(clock.now().elapsed().as_millis(), 300);
        for (text, failure, took) in [
            (r#"{ "answer": "busy" }"#, "busy", 0),
            (r#"{ "answer": "too_many_requests", "after": "50ms" }"#, "unavailable", 50),
            (r#"{ "answer": "job_failed", "after_job": true }"#, "job_failed", 300),
            (r#"{ "answer": "lost", "after_job": true, "after": "1s" }"#, "outcome_unknown", 1_300),
        ] {
            std::fs::write(&file, text).expect("written");
            let begun = clock.now();
            let error = erring.run(Task::new("x")).await.expect_err(text);
            assert_eq!((error.name(), clock.now().since(begun).as_millis()), (failure, took));
        }
        std::fs::write(&file, "").expect("written");
        erring.run(Task::new("x")).await.expect("done");
    }

    #[tokio::test]
    async fn a_file_with_something_else_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for text in [
            "busy",
            r#"{ "answer": "tired" }"#,
            r#"{ "answer": "busy", "rat": 1 }"#,
            r#"{ "answer": "busy", "rate": 1.5 }"#,
            r#"{ "answer": "busy", "after_job": true }"#,
        ] {
            std::fs::write(file.path(), text).expect("written");
            let jobs = Sleeper(Duration::ZERO);
            let erring = Erring::new(jobs, file.path().to_owned(), Seed::root(1).rng());
            assert!(erring.is_err(), "{text}");
        }
    }
}
