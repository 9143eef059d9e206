//! Starts the processes of a contender.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_node::TokioNet;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::net::TlsIdentity;
use tokio::process::Command;

use super::contenders::{ContenderKind, DoorKind, ONE, Threads};
use super::nginx::Nginx;
use super::secured::SecuredFolder;
use crate::live::{ANY_PORT, Process, await_peers};
use crate::request_generator::post_with_key;

/// How long agents may take to know each other: several of their default refresh periods.
const GET_READY: Duration = Duration::from_secs(20);
/// The registry of agents that need none: nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";
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
pub(crate) struct ContenderProcesses {
    /// The load balancer. It stands first, so that it ends before its servers.
    nginx: Option<Nginx>,
    processes: Vec<Process>,
    /// What takes the spans. It is no part of the mesh, so what it needs does not count.
    collector: Option<Process>,
    /// The address that gets the calls.
    pub(crate) entry: String,
    /// How it is called; `None` for plain HTTP.
    pub(crate) tls: Option<Arc<TlsIdentity>>,
    /// Certificates and keys, if it asks for some.
    secured: Option<SecuredFolder>,
}

impl Programs {
    /// What this machine lacks to start a contender; `None` if it has everything.
    pub(crate) async fn lacks(&self, kind: ContenderKind) -> Option<String> {
        match kind {
            ContenderKind::Echo { .. }
            | ContenderKind::Work { .. }
            | ContenderKind::SecuredWork { .. }
            | ContenderKind::Delegate { .. }
            | ContenderKind::TracedDelegate { .. } => None,
            ContenderKind::Nginx { .. } | ContenderKind::NginxTls => Nginx::lacks().await,
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
    pub(crate) async fn start(&self, kind: ContenderKind) -> anyhow::Result<ContenderProcesses> {
        match kind {
            ContenderKind::Echo { threads } => {
                let echo = ContenderProcesses::echo(threads).await?;
                Ok(ContenderProcesses::plain(echo.address.clone(), None, vec![echo]))
            }
            ContenderKind::Work { threads } => self.mesh(0, &[], threads).await,
            ContenderKind::SecuredWork { door } => self.secured(door).await,
            ContenderKind::NginxTls => {
                let folder = SecuredFolder::make(&self.mesh).await?;
                let echo = ContenderProcesses::echo(None).await?;
                let nginx = Nginx::start_with(&[&echo.address], Some(&folder)).await?;
                let entry = nginx.process.address.clone();
                let tls = Some(folder.client(false)?);
                let plain = ContenderProcesses::plain(entry, Some(nginx), vec![echo]);
                Ok(ContenderProcesses { tls, secured: Some(folder), ..plain })
            }
            ContenderKind::Delegate { peers, policy } => self.mesh(peers, policy, ONE).await,
            ContenderKind::TracedDelegate { peers, policy, share } => {
                let collector = ContenderProcesses::echo(ONE).await?;
                let endpoint = format!("http://{}", collector.address);
                let tracing = ["--trace-sample", share, "--otlp-endpoint", &endpoint];
                let mesh = self.mesh(peers, &[policy, &tracing].concat(), ONE).await?;
                Ok(ContenderProcesses { collector: Some(collector), ..mesh })
            }
            ContenderKind::Nginx { servers } => {
                let mut processes = Vec::new();
                for _ in 0..servers {
                    processes.push(ContenderProcesses::echo(ONE).await?);
                }
                let addresses: Vec<&str> =
                    processes.iter().map(|process| &*process.address).collect();
                let nginx = Nginx::start(&addresses).await?;
                let entry = nginx.process.address.clone();
                Ok(ContenderProcesses::plain(entry, Some(nginx), processes))
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
        Ok(ContenderProcesses::plain(entry, None, processes))
    }

    /// Starts an agent behind a door. It has no registry, because it needs no peers.
    async fn secured(&self, door: DoorKind) -> anyhow::Result<ContenderProcesses> {
        let folder = SecuredFolder::make(&self.mesh).await?;
        let agent = ["agent", "--name", "server", "--listen", ANY_PORT, "--registry", NOWHERE];
        let options = folder.options(door);
        let agent: Vec<String> = agent.into_iter().map(str::to_owned).chain(options).collect();
        let agent = Process::start(&self.mesh, "server", &agent).await?;
        let tls = match door {
            DoorKind::Keys => None,
            DoorKind::Tls => Some(folder.client(false)?),
            DoorKind::MutualTls => Some(folder.client(true)?),
        };
        let plain = ContenderProcesses::plain(agent.address.clone(), None, vec![agent]);
        Ok(ContenderProcesses { tls, secured: Some(folder), ..plain })
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
        Ok(ContenderProcesses::plain(entry, None, processes))
    }
}

impl ContenderProcesses {
    /// Processes that are called over plain HTTP, without a key.
    const fn plain(entry: String, nginx: Option<Nginx>, processes: Vec<Process>) -> Self {
        Self { nginx, processes, collector: None, entry, tls: None, secured: None }
    }

    /// The call that is sent to them.
    pub(crate) fn request(&self, kind: ContenderKind) -> Vec<u8> {
        let is_keyed = matches!(kind, ContenderKind::SecuredWork { door: DoorKind::Keys });
        let key = self.secured.as_ref().filter(|_| is_keyed).map(|folder| &*folder.key);
        post_with_key("/rpc", &kind.body(), key)
    }

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
    pub(crate) fn ids(&self) -> Vec<u32> {
        let nginx = self.nginx.iter().map(|nginx| &nginx.process);
        nginx.chain(&self.processes).filter_map(Process::id).collect()
    }

    /// Fails if one of the processes has ended.
    pub(crate) fn must_live(&mut self) -> anyhow::Result<()> {
        let nginx = self.nginx.iter_mut().map(|nginx| &mut nginx.process);
        let others = self.processes.iter_mut().chain(&mut self.collector);
        nginx.chain(others).try_for_each(Process::must_live)
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
