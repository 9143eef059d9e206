//! A file that says how an agent does its jobs, and that may change while the agent runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::Failure;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::JobErrors;
use crate::files::read_text;

/// The greatest size of such a file.
const MOST_BYTES: u64 = 64 << 10;
/// The greatest factor on the speed of jobs.
const MOST_SPEED: f64 = 1000.0;
/// How often the file is read.
const PERIOD: Duration = Duration::from_millis(10);

/// What may change about the way in which an agent does its jobs.
///
/// ```
/// use mesh_node::work::JobBehaviour;
///
/// let text = r#"{ "speed_factor": 0.5, "errors": { "rate": 0.1, "answer": "busy" } }"#;
/// let behaviour: JobBehaviour = serde_json::from_str(text)?;
/// assert!(behaviour.errors.is_some());
/// assert_eq!(serde_json::from_str::<JobBehaviour>("{}")?, JobBehaviour::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobBehaviour {
    /// Factor on the speed of jobs, and of what they wait for: 0.5 is half as fast, 0 stands still.
    pub speed_factor: f64,
    /// Share of the cores that other programs use, 0 to 1. Only for jobs that share cores.
    pub background: f64,
    /// The errors that some jobs end with; `None`: no job does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<JobErrors>,
}

impl Default for JobBehaviour {
    fn default() -> Self {
        Self { speed_factor: 1.0, background: 0.0, errors: None }
    }
}

/// A file of JSON with the fields of [`JobBehaviour`], which is read again and again. Clones are
/// handles on the same file.
///
/// Replace the file as a whole, by renaming another one, because it may be read at any time. While
/// it is empty or missing, jobs are done as usual. While it can't be read, jobs that would begin
/// fail, and those that run go on as before.
#[derive(Clone, Debug)]
pub struct BehaviourFile {
    path: Arc<Path>,
    known: watch::Receiver<LastRead>,
}

/// What was read last.
#[derive(Clone, Debug, PartialEq)]
struct LastRead {
    /// What the file said when it could last be read.
    behaviour: JobBehaviour,
    /// Why it can't be read now.
    problem: Option<String>,
}

impl BehaviourFile {
    /// Reads the file, and goes on reading it until all handles are dropped. Needs a runtime of
    /// tokio.
    ///
    /// # Errors
    /// If the file is there and can't be read, or has something else in it.
    pub fn watch(path: PathBuf) -> io::Result<Self> {
        let behaviour = read(&path)?;
        let (send, known) = watch::channel(LastRead { behaviour, problem: None });
        let path: Arc<Path> = path.into();
        tokio::spawn(keep_reading(path.clone(), send));
        Ok(Self { path, known })
    }

    /// The errors that a job that begins now may end with.
    ///
    /// # Errors
    /// If the file can't be read.
    pub(super) fn errors(&self) -> Result<Option<JobErrors>, Failure> {
        let known = self.known.borrow();
        match &known.problem {
            None => Ok(known.behaviour.errors),
            Some(problem) => {
                let file = self.path.display();
                Err(Failure::JobFailed(format!("failed to read {file}: {problem}")))
            }
        }
    }

    /// What the file says, or said when it could last be read.
    pub fn now(&self) -> JobBehaviour {
        self.known.borrow().behaviour
    }

    /// Waits until the file says something else than at the last call of this method on this
    /// handle.
    pub async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            // Nobody reads the file any more, so it never changes.
            std::future::pending::<()>().await;
        }
    }
}

async fn keep_reading(path: Arc<Path>, send: watch::Sender<LastRead>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = send.closed() => return,
        }
        let read = read(&path);
        send.send_if_modified(|known| {
            let behaviour = read.as_ref().map_or(known.behaviour, |behaviour| *behaviour);
            let problem = read.as_ref().err().map(ToString::to_string);
            let now = LastRead { behaviour, problem };
            let is_new = *known != now;
            *known = now;
            is_new
        });
    }
}

/// What a file says; the usual if it is empty or missing.
fn read(file: &Path) -> io::Result<JobBehaviour> {
    let text = match read_text(file, MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(JobBehaviour::default()),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        return Ok(JobBehaviour::default());
    }
    let behaviour: JobBehaviour = serde_json::from_str(&text)?;
    if !(0.0..=MOST_SPEED).contains(&behaviour.speed_factor) {
        return Err(io::Error::other(format!("speed_factor: expected 0 to {MOST_SPEED}")));
    }
    if !(0.0..=1.0).contains(&behaviour.background) {
        return Err(io::Error::other("background: expected 0 to 1"));
    }
    let Some(errors) = behaviour.errors else { return Ok(behaviour) };
    if !(0.0..=1.0).contains(&errors.rate) {
        return Err(io::Error::other("rate: expected 0 to 1"));
    }
    match errors.conflicts().into_iter().next() {
        Some(conflict) => Err(io::Error::other(conflict)),
        None => Ok(behaviour),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("behaviour.json");
        let mut file = BehaviourFile::watch(path.clone()).expect("no file is fine");
        assert_eq!(file.now().speed_factor, 1.0);
        std::fs::write(&path, r#"{ "speed_factor": 0.25 }"#).expect("written");
        file.changed().await;
        assert_eq!(file.now().speed_factor, 0.25);
        std::fs::write(&path, r#"{ "speed_fac"#).expect("written");
        file.changed().await;
        assert_eq!(file.now().speed_factor, 0.25, "what runs goes on as before");
        assert!(file.errors().is_err(), "what begins fails");
        std::fs::remove_file(&path).expect("removed");
        file.changed().await;
        assert_eq!(file.now().speed_factor, 1.0);
        assert!(file.errors().expect("readable").is_none());
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for text in [
            "busy",
            r#"{ "speed_factor": -1 }"#,
            r#"{ "speed_factor": 1e9 }"#,
            r#"{ "background": 2 }"#,
            r#"{ "speed": 1 }"#,
            r#"{ "errors": { "answer": "tired" } }"#,
            r#"{ "errors": { "answer": "busy", "rat": 1 } }"#,
            r#"{ "errors": { "answer": "busy", "rate": 1.5 } }"#,
            r#"{ "errors": { "answer": "busy", "after_job": true } }"#,
        ] {
            std::fs::write(file.path(), text).expect("written");
            assert!(read(file.path()).is_err(), "{text}");
        }
    }
}
