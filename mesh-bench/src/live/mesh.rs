//! The registry and agents of a scenario as processes on this machine, or those of a running mesh.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_core::Timestamp;
use mesh_core::routing::{PolicyFactory as _, PolicySettings};
use mesh_node::TokioNet;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::wire::read_services;
use mesh_sim::faults::{FaultSchedule, Link};
use mesh_sim::host::{AgentId, AgentMap, HostId, HostMap};
use mesh_sim::scenario::{AgentSpec, PolicySpec, Scenario};
use mesh_sim::units::format_duration;
use tempfile::NamedTempFile;

use super::burn::Burner;
use super::peers::{await_peers, get};
use super::process::Process;

/// How long the mesh may take to get ready, besides the agents' own rhythm.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where processes listen: on any free port.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// A mesh of processes. They are killed when it is dropped.
#[derive(Debug)]
pub(super) struct ProcessMesh {
    binary: PathBuf,
    faults: FaultSchedule,
    /// The client has none.
    hosts: HostMap<Option<HostProcess>>,
    burner: Option<Burner>,
    /// Read by every process that starts, so it is there as long as they are.
    _settings: NamedTempFile,
}

/// One host of the scenario.
#[derive(Debug)]
struct HostProcess {
    name: String,
    address: String,
    /// The command line that brings it back on the same port.
    args: Vec<String>,
    /// None while it is down.
    process: Option<Process>,
    is_stopped: bool,
}

impl HostProcess {
    async fn start(binary: &Path, name: &str, args: Vec<String>) -> anyhow::Result<Self> {
        let process = Process::start(binary, name, &args).await?;
        let address = process.address.clone();
        let again = |arg: String| if arg == ANY_PORT { address.clone() } else { arg };
        let args = args.into_iter().map(again).collect();
        Ok(Self { name: name.to_owned(), address, args, process: Some(process), is_stopped: false })
    }
}

impl ProcessMesh {
    /// Starts fresh processes and waits until every agent knows all others.
    pub(super) async fn start(
        binary: &Path,
        scenario: &Scenario,
        policy: &PolicySpec,
    ) -> anyhow::Result<Self> {
        let own = policy.factory.settings();
        let own = own.context("only built-in policies have options of `mesh agent`")?;
        let settings = settings_file(scenario)?;
        let path = settings.path().to_str().context("the path of the settings is no text")?;
        let with_settings = |mut args: Vec<String>| {
            args.extend(["--config".to_owned(), path.to_owned()]);
            args
        };
        let registry =
            HostProcess::start(binary, "registry", with_settings(registry_args())).await?;
        let address = registry.address.clone();
        let mut hosts = vec![Some(registry), None];
        for agent in &scenario.agents {
            let args = agent_args(scenario, agent, own, &address);
            hosts.push(Some(HostProcess::start(binary, &agent.name, with_settings(args)).await?));
        }
        let faults = scenario.fault_schedule();
        // All agents have the same load: a load of some is refused.
        let load_at = |at: &Timestamp| faults.machine(AgentId::new(0), *at).background;
        let burns = faults.boundaries().iter().any(|at| load_at(at).is_some());
        let mesh = Self {
            binary: binary.to_owned(),
            burner: burns.then(Burner::start),
            faults,
            hosts: hosts.into(),
            _settings: settings,
        };
        mesh.ready(scenario).await?;
        Ok(mesh)
    }

    /// Addresses of the agents.
    pub(super) fn addresses(&self) -> AgentMap<Arc<str>> {
        self.agents().map(|host| host.address.as_str().into()).collect()
    }

    /// Process ids of the agents; none for one that is down.
    pub(super) fn process_ids(&self) -> AgentMap<Option<u32>> {
        self.agents().map(|host| host.process.as_ref()?.id()).collect()
    }

    /// The agents, in the scenario's order.
    fn agents(&self) -> impl Iterator<Item = &HostProcess> {
        self.hosts.agents().filter_map(|agent| self.hosts[agent.host()].as_ref())
    }

    /// When faults begin or end.
    pub(super) fn boundaries(&self) -> Vec<Timestamp> {
        self.faults.boundaries().to_vec()
    }

    /// Fails if a process has ended that no fault has killed.
    pub(super) fn must_live(&mut self) -> anyhow::Result<()> {
        let hosts = self.hosts.iter_mut();
        hosts
            .filter_map(|(_, host)| host.as_mut()?.process.as_mut())
            .try_for_each(Process::must_live)
    }

    /// Brings the processes into the state that the faults prescribe for `now`.
    pub(super) async fn apply_faults(&mut self, now: Timestamp) -> anyhow::Result<()> {
        for id in self.hosts.ids() {
            let (is_down, is_stopped) = (self.faults.is_down(id, now), self.is_held(id, now));
            let Some(host) = &mut self.hosts[id] else { continue };
            if is_down && let Some(process) = host.process.take() {
                process.kill().await?;
                host.is_stopped = false;
            }
            if !is_down && host.process.is_none() {
                let process = Process::start(&self.binary, &host.name, &host.args).await?;
                host.process = Some(process);
            }
            if let Some(process) = &host.process
                && is_stopped != host.is_stopped
            {
                process.stop(is_stopped)?;
                host.is_stopped = is_stopped;
            }
        }
        if let Some(burner) = &self.burner {
            let state = self.faults.machine(AgentId::new(0), now);
            burner.set(state.background.unwrap_or_default());
        }
        Ok(())
    }

    /// Whether all messages to and from the host wait.
    fn is_held(&self, host: HostId, now: Timestamp) -> bool {
        let others = self.hosts.ids().filter(|other| *other != host);
        let ways: Vec<Link> = others.map(|other| self.faults.link(host, other, now)).collect();
        // A way is cut only to a host that is down: partitions are refused.
        ways.iter().any(|way| way.held) && ways.iter().all(|way| way.held || way.cut)
    }

    /// Waits until every agent knows all others.
    async fn ready(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let client = Client::new(TokioNet, ClientLimits::default());
        let peers = scenario.agents.len() - 1;
        let slowest = scenario.agents.iter().map(|agent| agent.refresh).max();
        // Each may just have missed the last one that came.
        let patience = slowest.unwrap_or_default() * 3 + PATIENCE;
        for host in self.agents() {
            await_peers(&client, (&host.name, &host.address), peers, patience).await?;
        }
        Ok(())
    }
}

/// Addresses of the scenario's agents in a running mesh.
pub(super) async fn listed(
    registry: &str,
    scenario: &Scenario,
) -> anyhow::Result<AgentMap<Arc<str>>> {
    let client = Client::new(TokioNet, ClientLimits::default());
    let list = get(&client, registry, "/services").await?;
    let listed: Vec<(String, String)> = read_services(&list)
        .with_context(|| format!("failed to read the list of {registry}"))?
        .into_iter()
        .map(|(name, service)| (name.to_string(), service.url.to_string()))
        .collect();
    let is_ours = |name: &str| scenario.agents.iter().any(|agent| *agent.name == *name);
    if let Some((stranger, _)) = listed.iter().find(|(name, _)| !is_ours(name)) {
        bail!("the registry at {registry} also lists {stranger}, which is not in the scenario");
    }
    let address = |agent: &AgentSpec| {
        let found = listed.iter().find(|(name, _)| **name == *agent.name);
        let found = found.with_context(|| format!("{} is not listed by {registry}", agent.name));
        found.map(|(_, url)| mesh_core::registry::address(url).into())
    };
    scenario.agents.iter().map(address).collect()
}

/// What all processes are told alike, as a file of settings.
fn settings_file(scenario: &Scenario) -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::new().context("failed to make a file of settings")?;
    file.write_all(scenario.shared_settings().as_bytes())?;
    Ok(file)
}

fn registry_args() -> Vec<String> {
    ["registry", "--listen", ANY_PORT].map(str::to_owned).into()
}

fn agent_args(
    scenario: &Scenario,
    agent: &AgentSpec,
    policy: &PolicySettings,
    registry: &str,
) -> Vec<String> {
    let concurrency = agent.admission.concurrency.limit();
    let concurrency = concurrency.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let mut args: Vec<String> =
        ["agent", "--work", "synthetic", "--metrics-scope", "process"].map(str::to_owned).into();
    for (option, value) in [
        ("--name", agent.name.to_string()),
        ("--listen", ANY_PORT.to_owned()),
        ("--registry", registry.to_owned()),
        ("--concurrency", concurrency),
        ("--queue", agent.admission.queue.to_string()),
        ("--timeout", format_duration(scenario.workload.deadline)),
        ("--refresh", format_duration(agent.refresh)),
        ("--sample", format_duration(agent.machine.cpu_window)),
    ] {
        args.extend([option.to_owned(), value]);
    }
    args.extend(policy_args(policy));
    args
}

/// The options of `mesh agent` that name a policy.
fn policy_args(policy: &PolicySettings) -> Vec<String> {
    let mut args = vec!["--policy".to_owned(), policy.name().to_owned()];
    for (parameter, value) in policy.values().iter() {
        args.extend([format!("--{}", parameter.option_name()), value.to_string()]);
    }
    args
}
