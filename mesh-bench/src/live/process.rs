//! A process that serves.

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

/// How long a process may take to listen, on a machine busy with other things.
const START: Duration = Duration::from_secs(20);
/// How often a process that says nothing is asked whether it listens.
const STEP: Duration = Duration::from_millis(20);
/// Lines of its log that are kept for when it dies.
const LAST_WORDS: usize = 10;

/// A running process. It is killed with its children when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: ProcessGroup,
    name: String,
    /// Where it listens, `ip:port`.
    pub(crate) address: String,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts `mesh` with these arguments and waits until it says where it listens.
    pub(crate) async fn start(mesh: &Path, name: &str, args: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(mesh);
        // What the scenario says must not depend on who runs it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MESH_") {
                command.env_remove(name);
            }
        }
        command.args(args).args(["--log", "info", "--log-format", "json"]);
        Self::listening(command, name).await
    }

    /// Starts a process that says in a line of JSON on its standard error where it listens, as
    /// `mesh` does, and waits for that.
    pub(crate) async fn listening(command: Command, name: &str) -> anyhow::Result<Self> {
        let (child, group, log) = spawn(command)?;
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let (send, listens) = oneshot::channel();
        tokio::spawn(read_log(log, last_words.clone(), send));
        match tokio::time::timeout(START, listens).await {
            Ok(Ok(address)) => {
                Ok(Self { child, group, name: name.to_owned(), address, last_words })
            }
            Ok(Err(_)) => bail!("{name} did not start:\n{}", joined(&last_words)),
            Err(_) => bail!("{name} does not listen after {START:?}:\n{}", joined(&last_words)),
        }
    }

    /// Starts a process that was told to listen on `address`, and waits until it does.
    pub(crate) async fn serving(
        command: Command,
        name: &str,
        address: &str,
    ) -> anyhow::Result<Self> {
        let (child, group, log) = spawn(command)?;
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        // It says nothing of that kind, so nobody waits for it.
        tokio::spawn(read_log(log, last_words.clone(), oneshot::channel().0));
        let address = address.to_owned();
        let mut process = Self { child, group, name: name.to_owned(), address, last_words };
        let accepts = async {
            while TcpStream::connect(&process.address).await.is_err() {
                process.must_live()?;
                tokio::time::sleep(STEP).await;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(START, accepts).await {
            Ok(accepts) => accepts.map(|()| process),
            Err(_) => bail!("{name} does not listen after {START:?}"),
        }
    }

    /// Its process id; none once its end has been noticed.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends it SIGSTOP, or SIGCONT.
    pub(crate) fn stop(&self, stopped: bool) -> anyhow::Result<()> {
        let signal = if stopped { Signal::STOP } else { Signal::CONT };
        let pid = self.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pid = pid.with_context(|| format!("{} has ended", self.name))?;
        kill_process(pid, signal).with_context(|| format!("failed to signal {}", self.name))
    }

    /// Kills it with SIGKILL and waits for its end.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.group.kill();
        self.child.wait().await.with_context(|| format!("failed to kill {}", self.name))?;
        Ok(())
    }

    /// Fails if it has ended by itself.
    pub(crate) fn must_live(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                Err(anyhow!("{} ended ({status}):\n{}", self.name, joined(&self.last_words)))
            }
        }
    }
}

fn spawn(mut command: Command) -> anyhow::Result<(Child, ProcessGroup, ChildStderr)> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (mut child, group) = children::spawn(&mut command).with_context(|| {
        format!("failed to start {}", command.as_std().get_program().to_string_lossy())
    })?;
    let log = child.stderr.take().context("a pipe for its log")?;
    Ok((child, group, log))
}

async fn read_log(
    log: ChildStderr,
    last_words: Arc<Mutex<VecDeque<String>>>,
    listens: oneshot::Sender<String>,
) {
    let mut listens = Some(listens);
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = address(&line)
            && let Some(listens) = listens.take()
        {
            // Nobody waits any more if it took too long.
            let _ = listens.send(address);
        }
        let mut last = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST_WORDS {
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
