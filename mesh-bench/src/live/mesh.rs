//! The registry and agents of a scenario as processes on this machine, and the agents of a mesh
//! that already runs.

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
use mesh_sim::faults::{FaultSchedule, LinkState};
use mesh_sim::host::{AgentId, AgentMap, HostId, HostMap};
use mesh_sim::scenario::{AgentSpec, PolicySpec, Scenario};
use mesh_sim::units::format_duration;
use tempfile::NamedTempFile;

use super::background_load::Burner;
use super::error_files::ErrorFiles;
use super::link_relays::{LinkRelays, has_relays};
use super::process::Process;
use super::providers::ProviderServers;
use super::readiness::{await_peers, get};

/// How long the mesh may take to get ready, on top of the agents' own periods.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where processes listen: on any free port of loopback.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// The processes of one run: a registry and the scenario's agents. They are killed when this is
/// dropped.
#[derive(Debug)]
pub(super) struct ProcessMesh {
    binary: PathBuf,
    faults: FaultSchedule,
    /// The process of each host of the scenario; the client has none, because this program sends
    /// its requests.
    hosts: HostMap<Option<HostProcess>>,
    burner: Option<Burner>,
    errors: ErrorFiles,
    providers: ProviderServers,
    /// `None` if the links are those of loopback.
    relays: Option<LinkRelays>,
    /// The settings file. Every process reads it when it starts, also after a crash, so it must
    /// exist as long as they do.
    _settings: NamedTempFile,
}

/// The process of one host of the scenario.
#[derive(Debug)]
struct HostProcess {
    name: String,
    address: String,
    /// The arguments that restart it on the same port.
    args: Vec<String>,
    /// `None` while the host is down.
    process: Option<Process>,
    /// Whether the process is paused by SIGSTOP.
    is_paused: bool,
}

impl HostProcess {
    async fn start(binary: &Path, name: &str, args: Vec<String>) -> anyhow::Result<Self> {
        let process = Process::start(binary, name, &args).await?;
        let address = process.address.clone();
        let same_port = |arg: String| if arg == ANY_PORT { address.clone() } else { arg };
        let args = args.into_iter().map(same_port).collect();
        Ok(Self { name: name.to_owned(), address, args, process: Some(process), is_paused: false })
    }
}

impl ProcessMesh {
    /// Starts the processes of a run, and waits until every agent knows all others.
    pub(super) async fn start(
        binary: &Path,
        scenario: &Scenario,
        policy: &PolicySpec,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let settings = settings_file(scenario)?;
        let path = settings.path().to_str().context("the path of the settings is no text")?;
        let with_settings = |mut args: Vec<String>| {
            args.extend(["--config".to_owned(), path.to_owned()]);
            args
        };
        let faults = scenario.fault_schedule();
        let errors = ErrorFiles::write(scenario, &faults)?;
        let providers = ProviderServers::start(scenario).await?;
        let registry =
            HostProcess::start(binary, "registry", with_settings(registry_args())).await?;
        let address = registry.address.clone();
        let mut hosts = vec![Some(registry), None];
        let mut relays = has_relays(scenario).then(|| LinkRelays::new(scenario, seed));
        let mut addresses = Vec::new();
        for (id, agent) in faults.hosts().agents().zip(&scenario.agents) {
            let registry = match &mut relays {
                Some(relays) => relays.connect_registry(id.host(), &address).await?,
                None => address.clone(),
            };
            let own = agent.policy_in(policy).factory.settings();
            let own = own.context("only built-in policies have options of `mesh agent`")?;
            let mut args = agent_args(scenario, agent, own, &registry);
            if let Some(file) = errors.of(id) {
                args.extend(["--errors".to_owned(), file.display().to_string()]);
            }
            args.extend(providers.args_of(id));
            let process = HostProcess::start(binary, &agent.name, with_settings(args)).await?;
            addresses.push(process.address.clone());
            hosts.push(Some(process));
        }
        if let Some(relays) = &mut relays {
            relays.connect_agents(&addresses).await?;
        }
        // All agents have the same background load, because a fault that loads only some of them is
        // refused. So the first agent stands for all.
        let load_at = |at: &Timestamp| faults.machine(AgentId::new(0), *at).background;
        let burns = faults.boundaries().iter().any(|at| load_at(at).is_some());
        let mesh = Self {
            binary: binary.to_owned(),
            burner: burns.then(Burner::start),
            errors,
            providers,
            relays,
            faults,
            hosts: hosts.into(),
            _settings: settings,
        };
        mesh.ready(scenario).await?;
        Ok(mesh)
    }

    /// The services that agents ask before their jobs.
    pub(super) fn providers(&self) -> &ProviderServers {
        &self.providers
    }

    /// The addresses at which the client finds the agents.
    pub(super) fn addresses(&self) -> AgentMap<Arc<str>> {
        match &self.relays {
            Some(relays) => relays.for_client().iter().map(|relay| relay.as_str().into()).collect(),
            None => self.agents().map(|host| host.address.as_str().into()).collect(),
        }
    }

    /// The process ids of the agents; `None` for one that is down.
    pub(super) fn process_ids(&self) -> AgentMap<Option<u32>> {
        self.agents().map(|host| host.process.as_ref()?.id()).collect()
    }

    /// The agents, in the scenario's order.
    fn agents(&self) -> impl Iterator<Item = &HostProcess> {
        self.hosts.agents().filter_map(|agent| self.hosts[agent.host()].as_ref())
    }

    /// The times at which faults begin or end.
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

    /// Kills, restarts, pauses and resumes processes as the faults prescribe for `now`, and sets
    /// the background load and the errors of jobs.
    pub(super) async fn apply_faults(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.errors.update(&self.faults, now)?;
        for id in self.hosts.ids() {
            let (is_down, is_paused) = (self.faults.is_down(id, now), self.is_held(id, now));
            let Some(host) = &mut self.hosts[id] else { continue };
            let changes = is_down == host.process.is_some();
            if is_down && let Some(process) = host.process.take() {
                process.kill().await?;
                host.is_paused = false;
            }
            if !is_down && host.process.is_none() {
                let process = Process::start(&self.binary, &host.name, &host.args).await?;
                host.process = Some(process);
            }
            if changes && let Some(relays) = &mut self.relays {
                relays.set_down(id, is_down).await?;
            }
            if let Some(process) = &host.process
                && is_paused != host.is_paused
            {
                process.set_paused(is_paused)?;
                host.is_paused = is_paused;
            }
        }
        if let Some(burner) = &self.burner {
            let state = self.faults.machine(AgentId::new(0), now);
            burner.set(state.background.unwrap_or_default());
        }
        Ok(())
    }

    /// Whether all messages to and from the host are held. Then the process is paused, which looks
    /// the same from outside.
    fn is_held(&self, host: HostId, now: Timestamp) -> bool {
        let others = self.hosts.ids().filter(|other| *other != host);
        let links: Vec<LinkState> =
            others.map(|other| self.faults.link(host, other, now)).collect();
        // A link is cut only if its other host is down, because partitions are refused.
        links.iter().any(|link| link.held) && links.iter().all(|link| link.held || link.cut)
    }

    /// Waits until every agent knows all others.
    async fn ready(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let client = Client::new(TokioNet, ClientLimits::default());
        let peers = scenario.agents.len() - 1;
        let slowest = scenario.agents.iter().map(|agent| agent.refresh).max();
        // An agent may have asked for the list just before the last of the others was in it.
        let patience = slowest.unwrap_or_default() * 3 + PATIENCE;
        for host in self.agents() {
            await_peers(&client, (&host.name, &host.address), peers, patience).await?;
        }
        Ok(())
    }
}

/// The addresses of the scenario's agents in a mesh that already runs.
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
    let is_in_scenario = |name: &str| scenario.agents.iter().any(|agent| *agent.name == *name);
    if let Some((stranger, _)) = listed.iter().find(|(name, _)| !is_in_scenario(name)) {
        bail!("the registry at {registry} also lists {stranger}, which is not in the scenario");
    }
    let address = |agent: &AgentSpec| {
        let found = listed.iter().find(|(name, _)| **name == *agent.name);
        let found = found.with_context(|| format!("{} is not listed by {registry}", agent.name));
        found.map(|(_, url)| mesh_core::registry::address(url).into())
    };
    scenario.agents.iter().map(address).collect()
}

/// A settings file with everything that all processes are told alike.
fn settings_file(scenario: &Scenario) -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::new().context("failed to make a file of settings")?;
    file.write_all(scenario.shared_settings().as_bytes())?;
    Ok(file)
}

fn registry_args() -> Vec<String> {
    ["registry", "--listen", ANY_PORT].map(str::to_owned).into()
}

/// The arguments of an agent: what differs between agents, and the policy.
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
        ("--max-depth", agent.admission.max_depth.to_string()),
        ("--timeout", format_duration(scenario.workload.longest_deadline())),
        ("--refresh", format_duration(agent.refresh)),
        ("--sample", format_duration(agent.machine.cpu_window)),
    ] {
        args.extend([option.to_owned(), value]);
    }
    let skills = agent.skills.as_slice().iter();
    args.extend(skills.flat_map(|skill| ["--skill".to_owned(), skill.to_string()]));
    args.extend(policy_args(policy));
    args
}

/// The options of `mesh agent` that name a policy and its parameters.
fn policy_args(policy: &PolicySettings) -> Vec<String> {
    let mut args = vec!["--policy".to_owned(), policy.name().to_owned()];
    for (parameter, value) in policy.values().iter() {
        args.extend([format!("--{}", parameter.option_name()), value.to_string()]);
    }
    args
}
