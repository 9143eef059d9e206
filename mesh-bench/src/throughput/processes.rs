//! Starts the processes of a contender.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_node::TokioNet;
use mesh_node::http::{Client, ClientLimits};
use tokio::process::Command;

use super::contenders::{ContenderKind, ONE, Threads};
use super::nginx::Nginx;
use crate::live::{ANY_PORT, Process, await_peers};

/// How long agents may take to know each other: several of their default refresh periods.
const GET_READY: Duration = Duration::from_secs(20);
/// The directory of the Python demo's reproduction.
const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mesh-node/tests/interop");

/// The programs that contenders are started from.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) mesh: PathBuf,
    /// A Python interpreter with the packages of the demo's reproduction.
    pub(crate) python: PathBuf,
}

/// The processes of one contender. They are killed when this is dropped.
#[derive(Debug)]
pub(super) struct ContenderProcesses {
    /// The load balancer. It stands first, so that it ends before its servers.
    nginx: Option<Nginx>,
    processes: Vec<Process>,
    /// The address that gets the calls.
    pub(super) entry: String,
}

impl Programs {
    /// What this machine lacks to start a contender; `None` if it has everything.
    pub(super) async fn lacks(&self, kind: ContenderKind) -> Option<String> {
        match kind {
            ContenderKind::Echo { .. }
            | ContenderKind::Work { .. }
            | ContenderKind::Delegate { .. } => None,
            ContenderKind::Nginx { .. } => Nginx::lacks().await,
            ContenderKind::Python { .. } => {
                let mut python = Command::new(&self.python);
                python.args(["-c", "import fastapi, httpx, psutil, uvicorn"]);
                let works = python.output().await.is_ok_and(|output| output.status.success());
                let python = self.python.display();
                let demo = format!("{python} with the packages of {DEMO}/requirements.txt");
                (!works || !Path::new(DEMO).is_dir()).then_some(demo)
            }
        }
    }

    /// Starts a contender and waits until it can answer calls.
    pub(super) async fn start(&self, kind: ContenderKind) -> anyhow::Result<ContenderProcesses> {
        match kind {
            ContenderKind::Echo { threads } => {
                let echo = ContenderProcesses::echo(threads).await?;
                Ok(ContenderProcesses {
                    entry: echo.address.clone(),
                    nginx: None,
                    processes: vec![echo],
                })
            }
            ContenderKind::Work { threads } => self.mesh(0, &[], threads).await,
            ContenderKind::Delegate { peers, policy } => self.mesh(peers, policy, ONE).await,
            ContenderKind::Nginx { servers } => {
                let mut processes = Vec::new();
                for _ in 0..servers {
                    processes.push(ContenderProcesses::echo(ONE).await?);
                }
                let addresses: Vec<&str> =
                    processes.iter().map(|process| &*process.address).collect();
                let nginx = Nginx::start(&addresses).await?;
                let entry = nginx.process.address.clone();
                Ok(ContenderProcesses { nginx: Some(nginx), processes, entry })
            }
            ContenderKind::Python { peers } => self.demo(peers).await,
        }
    }

    /// Starts a registry, an agent that gets the calls, and its peers.
    async fn mesh(
        &self,
        peers: usize,
        policy: &[&str],
        threads: Threads,
    ) -> anyhow::Result<ContenderProcesses> {
        let threads: Vec<&str> =
            threads.iter().flat_map(|threads| ["--threads", *threads]).collect();
        let args = |args: &[&str]| {
            args.iter().chain(&threads).map(|arg| (*arg).to_owned()).collect::<Vec<_>>()
        };
        let registry = args(&["registry", "--listen", ANY_PORT]);
        let registry = Process::start(&self.mesh, "registry", &registry).await?;
        let to = registry.address.clone();
        let mut processes = vec![registry];
        for number in 0..=peers {
            let name = format!("agent-{number}");
            let agent = ["agent", "--name", &name, "--listen", ANY_PORT, "--registry", &to];
            let agent = args(&[&agent[..], policy].concat());
            processes.push(Process::start(&self.mesh, &name, &agent).await?);
        }
        let client = Client::new(TokioNet, ClientLimits::default());
        for (number, agent) in processes[1..].iter().enumerate() {
            let name = format!("agent-{number}");
            await_peers(&client, (&name, &agent.address), peers, GET_READY).await?;
        }
        let entry = processes[1].address.clone();
        Ok(ContenderProcesses { nginx: None, processes, entry })
    }

    /// Starts the same mesh in Python. Its agents ask for the list with every call, so there is
    /// nothing to wait for except that they serve.
    async fn demo(&self, peers: usize) -> anyhow::Result<ContenderProcesses> {
        let script = |name: &str, args: &[&str]| {
            let mut command = Command::new(&self.python);
            command.arg(format!("{DEMO}/{name}")).args(args).env("WORK_S", "0");
            command
        };
        let registry = free_address()?;
        let command = script("discovery_server.py", &[port(&registry)]);
        let mut processes = vec![Process::start_at(command, "registry", &registry).await?];
        for number in 0..=peers {
            let (name, address) = (format!("agent-{number}"), free_address()?);
            let command = script("agent_node.py", &[&name, port(&address), &registry]);
            processes.push(Process::start_at(command, &name, &address).await?);
        }
        let entry = processes[1].address.clone();
        Ok(ContenderProcesses { nginx: None, processes, entry })
    }
}

impl ContenderProcesses {
    /// Starts a bare server: this program with the command `echo`.
    async fn echo(threads: Threads) -> anyhow::Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["echo", "--listen", ANY_PORT]);
        if let Some(threads) = threads {
            command.args(["--threads", threads]);
        }
        Process::start_and_read_address(command, "echo").await
    }

    /// The ids of the processes, without their children, such as nginx's workers.
    pub(super) fn ids(&self) -> Vec<u32> {
        let nginx = self.nginx.iter().map(|nginx| &nginx.process);
        nginx.chain(&self.processes).filter_map(Process::id).collect()
    }

    /// Fails if one of the processes has ended.
    pub(super) fn must_live(&mut self) -> anyhow::Result<()> {
        let nginx = self.nginx.iter_mut().map(|nginx| &mut nginx.process);
        nginx.chain(&mut self.processes).try_for_each(Process::must_live)
    }
}

/// An address of this machine on which nothing listens at the moment.
pub(crate) fn free_address() -> std::io::Result<String> {
    let listener = std::net::TcpListener::bind(ANY_PORT)?;
    Ok(listener.local_addr()?.to_string())
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}
