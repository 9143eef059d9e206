//! Where the agents of a set run: what starts them, and what clears up after them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::pending;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mesh_core::duration::format_duration;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::security::{KEY_FILE_VARIABLE, KEY_VARIABLE};

/// How the start of an agent went on: an error says why there will be no agent.
pub(crate) type StartOutcome = JoinHandle<Result<(), String>>;

/// Starts the agents of a set.
pub(crate) trait Platform {
    /// Starts an agent that registers under this name. What is given back, if anything, ends when
    /// the start is known to have failed, or there is nothing more to say of it.
    ///
    /// # Errors
    /// If the start has failed already.
    async fn start(&mut self, name: &str) -> anyhow::Result<Option<StartOutcome>>;

    /// An agent that was started has not registered in time, or its start has failed.
    fn abandon(&mut self, name: &str);

    /// An agent is not listed any more.
    fn gone(&mut self, name: &str);
}

/// Keeps the autoscaler's key, which has the role `admin`, from what it starts.
fn without_own_key(command: &mut Command) {
    command.env_remove(KEY_VARIABLE).env_remove(KEY_FILE_VARIABLE);
}

/// Agents as processes of this machine. They go on if this process ends, however it ends.
#[derive(Debug)]
pub(super) struct LocalProcesses {
    /// This program.
    pub(super) program: PathBuf,
    /// The options of all agents.
    pub(super) options: Vec<OsString>,
    /// What kills agents that this process has started.
    pub(super) kills: BTreeMap<String, oneshot::Sender<()>>,
}

impl Platform for LocalProcesses {
    async fn start(&mut self, name: &str) -> anyhow::Result<Option<StartOutcome>> {
        let mut command = Command::new(&self.program);
        command.args(["agent", "--name", name]).args(&self.options);
        without_own_key(&mut command);
        // In a group of its own, it gets no Ctrl-C of the terminal.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn()?;
        let (kill, killed) = oneshot::channel();
        self.kills.insert(name.to_owned(), kill);
        Ok(Some(tokio::spawn(async move {
            let status = ended(child, killed).await?;
            Err(format!("the agent has ended: {status}"))
        })))
    }

    fn abandon(&mut self, name: &str) {
        if let Some(kill) = self.kills.remove(name) {
            // A failed send means that it has ended.
            let _ = kill.send(());
        }
    }

    fn gone(&mut self, name: &str) {
        // It ends by itself, after its last answers.
        self.kills.remove(name);
    }
}

/// Waits for the end of a process, which leads a group; kills the group when told to.
async fn ended(mut child: Child, killed: oneshot::Receiver<()>) -> Result<ExitStatus, String> {
    let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let told = async {
        // A sender that is gone tells nothing.
        if killed.await.is_err() {
            pending::<()>().await;
        }
    };
    let status = tokio::select! {
        biased;
        status = child.wait() => status,
        () = told => {
            if let Some(leader) = leader {
                let _ = kill_process_group(leader, Signal::KILL);
            }
            child.wait().await
        }
    };
    status.map_err(|error| error.to_string())
}

/// Agents of another platform: commands start them, and clear up after them.
#[derive(Debug)]
pub(super) struct Commands {
    /// The command that starts an agent.
    pub(super) start: String,
    /// The command that releases what an agent ran on.
    pub(super) release: String,
    /// How long each may take.
    pub(super) timeout: Duration,
    pub(super) set: String,
    /// The registries' addresses, `host:port`, with commas between them.
    pub(super) registries: String,
}

impl Commands {
    fn run(&self, line: &str, name: &str) -> StartOutcome {
        let mut command = Command::new("sh");
        command.args(["-c", line]).process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        without_own_key(&mut command);
        command.env("MESH_NAME", name).env("MESH_SET", &self.set);
        command.env("MESH_REGISTRY", &self.registries);
        let timeout = self.timeout;
        tokio::spawn(async move {
            let child = command.spawn().map_err(|error| error.to_string())?;
            let (kill, killed) = oneshot::channel();
            let mut kill = Some(kill);
            let mut end = std::pin::pin!(ended(child, killed));
            let in_time = tokio::time::timeout(timeout, &mut end).await;
            let status = match in_time {
                Ok(status) => status?,
                Err(_) => {
                    let _ = kill.take().map(|kill| kill.send(()));
                    end.await?;
                    let limit = format_duration(timeout);
                    return Err(format!("the command took longer than {limit}, and was killed"));
                }
            };
            if status.success() { Ok(()) } else { Err(format!("the command failed: {status}")) }
        })
    }

    fn release(&self, name: &str) {
        let released = self.run(&self.release, name);
        let name = name.to_owned();
        tokio::spawn(async move {
            if let Ok(Err(error)) = released.await {
                tracing::warn!(agent = name, error, "--in-command has not released it");
            }
        });
    }
}

impl Platform for Commands {
    async fn start(&mut self, name: &str) -> anyhow::Result<Option<StartOutcome>> {
        Ok(Some(self.run(&self.start, name)))
    }

    fn abandon(&mut self, name: &str) {
        self.release(name);
    }

    fn gone(&mut self, name: &str) {
        self.release(name);
    }
}
