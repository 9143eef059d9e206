//! The command that does the jobs of an agent, whether it is started for each job or stays.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use std::collections::BTreeMap;

use mesh_core::codec::{in_millis, trace_fields};
use mesh_core::protocol::Task;
use serde::Serialize;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::process::children::{self, ProcessGroup};

/// Where the operating system looks for programs if there is no `PATH`.
const USUAL_PATH: &str = "/bin:/usr/bin";

/// The variables in which programs look for their place in a trace, as OpenTelemetry names them.
const TRACEPARENT_VARIABLE: &str = "TRACEPARENT";
const TRACESTATE_VARIABLE: &str = "TRACESTATE";

/// A command that does jobs, and the agent that it does them for.
#[derive(Clone, Debug)]
pub struct JobCommand {
    /// The program: a path, or a name that is looked up on `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where the command reaches its agent, to delegate parts of a job: `http://HOST:PORT/rpc`.
    pub agent_url: String,
}

/// A program that can't be executed. The message fits after "failed to".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It is not in any directory of `PATH`.
    #[error("find the command {0} in a directory of PATH")]
    NotOnPath(String),
    /// There is no file at its path.
    #[error("find the command {0}: there is no such file")]
    NoFile(String),
    /// It is a directory, or a file that may not be executed.
    #[error("run the command {0}: it is not an executable file")]
    NotExecutable(String),
}

/// Checks that there is a program to execute: a file at this path, or of this name in a directory of
/// `PATH`. It may be gone when it is needed.
///
/// # Errors
/// If there is none.
pub fn check_program(program: &str) -> Result<(), ProgramError> {
    // As the operating system does it: a name with a slash is a path.
    if program.contains('/') {
        return match std::fs::metadata(program) {
            Ok(_) if is_executable(Path::new(program)) => Ok(()),
            Ok(_) => Err(ProgramError::NotExecutable(program.to_owned())),
            Err(_) => Err(ProgramError::NoFile(program.to_owned())),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let mut candidates =
        std::env::split_paths(&path).map(|directory: PathBuf| directory.join(program));
    match candidates.any(|candidate| is_executable(&candidate)) {
        true => Ok(()),
        false => Err(ProgramError::NotOnPath(program.to_owned())),
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const ANYBODY_MAY_EXECUTE: u32 = 0o111;
    std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & ANYBODY_MAY_EXECUTE != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// A process of a [`JobCommand`]. Dropping it kills it, with everything that it has started.
#[derive(Debug)]
pub(super) struct JobProcess {
    pub(super) child: Child,
    pub(super) group: ProcessGroup,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl JobCommand {
    /// Starts the command with pipes for its input and output. It finds its agent, and `more`, in
    /// its environment.
    pub(super) fn start(&self, more: &[(&str, String)]) -> io::Result<JobProcess> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            // The agent's own keys are not for its jobs.
            .env_remove("MESH_KEY")
            // And its own place in a trace is not theirs.
            .env_remove(TRACEPARENT_VARIABLE)
            .env_remove(TRACESTATE_VARIABLE)
            .env("MESH_AGENT_URL", &self.agent_url)
            .envs(more.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (mut child, group) = children::spawn(&mut command)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(JobProcess { child, group, stdin, stdout, stderr })
    }
}

/// A job as a command reads it: one line of JSON. Fields that are params of `delegate`, too, have
/// the names that they have there, so that a command which delegates passes them on as they are.
#[derive(Debug, Serialize)]
pub(super) struct JobInput<'a> {
    /// Names the job to a worker that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    text: &'a str,
    skill: Option<&'a str>,
    request: u64,
    attempt: u32,
    timeout_ms: Option<f64>,
    depth: u32,
    agent_url: &'a str,
    /// The job's place in a trace, for a worker that stays; the others find it in their environment.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<BTreeMap<&'static str, String>>,
}

impl<'a> JobInput<'a> {
    /// The input for a task whose timeout is what is left of its time.
    pub(super) fn new(task: &'a Task, command: &'a JobCommand) -> Self {
        Self {
            id: None,
            text: &task.text,
            skill: task.skill().map(|skill| &**skill),
            request: task.request,
            attempt: task.attempt,
            timeout_ms: task.timeout.map(in_millis),
            depth: task.depth,
            agent_url: &command.agent_url,
            meta: None,
        }
    }

    /// The same input for a worker that stays, which answers with this id.
    pub(super) fn named(self, id: u64, task: &Task) -> Self {
        let meta = task.trace().map(|trace| trace_fields(trace).collect());
        Self { id: Some(id), meta, ..self }
    }

    /// The input as JSON without line feeds.
    pub(super) fn to_json(&self) -> String {
        // Numbers and text can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What the environment of a command says about its only job.
pub(super) fn environment(task: &Task) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("MESH_JOB_DEPTH", task.depth.to_string()),
        ("MESH_JOB_REQUEST", task.request.to_string()),
    ];
    let timeout = task.timeout.map(|timeout| in_millis(timeout).to_string());
    variables.extend(timeout.map(|timeout| ("MESH_JOB_TIMEOUT_MS", timeout)));
    if let Some(trace) = task.trace() {
        variables.push((TRACEPARENT_VARIABLE, trace.traceparent()));
        let state = trace.tracestate().map(str::to_owned);
        variables.extend(state.map(|state| (TRACESTATE_VARIABLE, state)));
    }
    variables
}

#[cfg(test)]
mod tests {
    use mesh_core::trace::TraceContext;

    use super::*;

    #[test]
    fn a_worker_that_stays_gets_the_trace_as_params_have_it() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = TraceContext::parse(traceparent, Some("a=1")).expect("a context");
        let program = JobCommand { program: String::new(), args: vec![], agent_url: String::new() };
        let input = |task: &Task| JobInput::new(task, &program).named(7, task).to_json();
        let plain = Task::new("x");
        assert!(!input(&plain).contains("_meta"));
        let meta = format!(r#""_meta":{{"traceparent":"{traceparent}","tracestate":"a=1"}}"#);
        let traced = input(&plain.in_trace(trace.into()));
        assert!(traced.contains(&meta), "{traced}");
    }

    #[test]
    fn a_program_is_an_executable_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = directory.path().join("text");
        std::fs::write(&text, "no program").expect("a file");
        let text = text.to_string_lossy();
        assert_eq!(check_program("sh"), Ok(()));
        assert_eq!(check_program("/bin/sh"), Ok(()));
        let refused = |program: &str| check_program(program).expect_err(program);
        assert_eq!(refused("no-such-program"), ProgramError::NotOnPath("no-such-program".into()));
        assert_eq!(refused("/no/such"), ProgramError::NoFile("/no/such".into()));
        assert_eq!(refused(&text), ProgramError::NotExecutable(text.clone().into_owned()));
        assert_eq!(refused("/bin"), ProgramError::NotExecutable("/bin".into()));
    }
}
