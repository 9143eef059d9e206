//! Child processes that serve: a registry, an agent, or what they are compared with.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use mesh_node::process::children::{self, ProcessGroup};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;

/// How long a process may take to listen, even on a machine that is busy with other things.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often a process that does not say when it listens is tried.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How many lines of a process's log are kept, for the message if it dies.
const KEPT_LOG_LINES: usize = 10;

/// A running process, which listens on its address. It is killed with its children when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: ProcessGroup,
    name: String,
    /// Where the process listens, `ip:port`.
    pub(crate) address: String,
    log_tail: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts `mesh` with these arguments and waits until it says where it listens.
    pub(crate) async fn start(mesh: &Path, name: &str, args: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(mesh);
        // Without the settings in this program's environment: a scenario must mean the same whoever
        // runs it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MESH_") {
                command.env_remove(name);
            }
        }
        command.args(args).args(["--log", "info", "--log-format", "json"]);
        Self::start_and_read_address(command, name).await
    }

    /// Starts a process that logs where it listens in a line of JSON on standard error, as `mesh`
    /// does, and waits for that line.
    pub(crate) async fn start_and_read_address(
        command: Command,
        name: &str,
    ) -> anyhow::Result<Self> {
        let (child, group, log) = spawn(command)?;
        let log_tail = Arc::new(Mutex::new(VecDeque::new()));
        let (send, listens) = oneshot::channel();
        tokio::spawn(read_log(log, log_tail.clone(), send));
        match tokio::time::timeout(START_LIMIT, listens).await {
            Ok(Ok(address)) => Ok(Self { child, group, name: name.to_owned(), address, log_tail }),
            Ok(Err(_)) => bail!("{name} did not start:\n{}", joined(&log_tail)),
            Err(_) => bail!("{name} does not listen after {START_LIMIT:?}:\n{}", joined(&log_tail)),
        }
    }

    /// Starts a process that was told to listen on `address`, and waits until it accepts
    /// connections.
    pub(crate) async fn start_at(
        command: Command,
        name: &str,
        address: &str,
    ) -> anyhow::Result<Self> {
        let (child, group, log) = spawn(command)?;
        let log_tail = Arc::new(Mutex::new(VecDeque::new()));
        // Nobody waits for the address in this log: such a process does not say it.
        tokio::spawn(read_log(log, log_tail.clone(), oneshot::channel().0));
        let address = address.to_owned();
        let mut process = Self { child, group, name: name.to_owned(), address, log_tail };
        let accepts = async {
            while TcpStream::connect(&process.address).await.is_err() {
                process.must_live()?;
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(START_LIMIT, accepts).await {
            Ok(accepts) => accepts.map(|()| process),
            Err(_) => bail!("{name} does not listen after {START_LIMIT:?}"),
        }
    }

    /// The process id; `None` once its end has been noticed.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Tells the process to end, with SIGTERM.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        let pid = self.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pid = pid.with_context(|| format!("{} has ended", self.name))?;
        kill_process(pid, Signal::TERM).with_context(|| format!("failed to signal {}", self.name))
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.group.kill();
        self.child.wait().await.with_context(|| format!("failed to kill {}", self.name))?;
        Ok(())
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Fails if the process has ended by itself.
    pub(crate) fn must_live(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                Err(anyhow!("{} ended ({status}):\n{}", self.name, joined(&self.log_tail)))
            }
        }
    }
}

/// Starts a command as a group of processes, with a pipe for its log.
fn spawn(mut command: Command) -> anyhow::Result<(Child, ProcessGroup, ChildStderr)> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (mut child, group) = children::spawn(&mut command).with_context(|| {
        format!("failed to start {}", command.as_std().get_program().to_string_lossy())
    })?;
    let log = child.stderr.take().context("a pipe for its log")?;
    Ok((child, group, log))
}

/// Reads the log to its end: keeps its last lines, and sends the address once a line has it.
async fn read_log(
    log: ChildStderr,
    log_tail: Arc<Mutex<VecDeque<String>>>,
    listens: oneshot::Sender<String>,
) {
    let mut listens = Some(listens);
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = address(&line)
            && let Some(listens) = listens.take()
        {
            // A failed send is no error: nobody waits any more if the process took too long.
            let _ = listens.send(address);
        }
        let mut last = log_tail.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT_LOG_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
}

/// The address in a line of the log that says where the process listens.
fn address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let listens = line["message"].as_str()?.ends_with("listens");
    listens.then(|| line["address"].as_str().map(str::to_owned))?
}

fn joined(lines: &Mutex<VecDeque<String>>) -> String {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().map(|line| format!("  {line}\n")).collect()
}
