//! The registry and agents of a scenario as processes on this machine, and the agents of a mesh
//! that already runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_core::Timestamp;
use mesh_core::profile::Weight;
use mesh_core::routing::{PolicyFactory as _, PolicySettings};
use mesh_node::TokioNet;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::wire::read_services;
use mesh_sim::faults::FaultSchedule;
use mesh_sim::host::{AgentMap, HostMap};
use mesh_sim::presence::planned_changes;
use mesh_sim::scenario::{AgentSpec, PolicySpec, Scenario};
use mesh_sim::units::format_duration;
use tempfile::NamedTempFile;
use tokio::time::{Interval, interval};

use super::behaviour_files::BehaviourFiles;
use super::host_process::HostProcess;
use super::link_relays::LinkRelays;
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
    behaviours: BehaviourFiles,
    providers: ProviderServers,
    relays: LinkRelays,
    /// The addresses at which the client finds the agents.
    for_client: AgentMap<Arc<str>>,
    /// When agents join or leave.
    joins_and_leaves: Vec<Timestamp>,
    /// The settings file. Every process reads it when it starts, also after a crash, so it must
    /// exist as long as they do.
    _settings: NamedTempFile,
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
        let behaviours = BehaviourFiles::write(scenario, &faults)?;
        let providers = ProviderServers::start(scenario).await?;
        let always = [Timestamp::ZERO, Timestamp::MAX];
        let args = with_settings(registry_args());
        let registry = HostProcess::new(binary, "registry", args, always).await?;
        let address = registry.address.clone();
        let mut hosts = vec![Some(registry), None];
        let mut relays = LinkRelays::new(scenario, seed);
        let mut addresses = Vec::new();
        let mut starts = starts(scenario);
        for (id, agent) in faults.hosts().agents().zip(&scenario.agents) {
            starts.tick().await;
            let registry = relays.connect_registry(id.host(), &address).await?;
            let own = agent.policy_in(policy).factory.settings();
            let own = own.context("only built-in policies have options of `mesh agent`")?;
            let mut args = agent_args(scenario, agent, own, &registry);
            if let Some(file) = behaviours.of(id) {
                args.extend(["--behaviour".to_owned(), file.display().to_string()]);
            }
            args.extend(providers.args_of(id));
            let leaves = agent.leaves.map_or(Timestamp::MAX, Timestamp::from);
            let presence = [Timestamp::from(agent.joins), leaves];
            let args = with_settings(args);
            let process = HostProcess::new(binary, &agent.name, args, presence).await?;
            addresses.push(process.address.clone());
            hosts.push(Some(process));
        }
        let for_client = relays.connect_agents(&addresses).await?;
        let mesh = Self {
            binary: binary.to_owned(),
            behaviours,
            providers,
            relays,
            for_client: for_client.iter().map(|address| address.as_str().into()).collect(),
            joins_and_leaves: planned_changes(scenario).iter().map(|change| change.at).collect(),
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
        self.for_client.clone()
    }

    /// The process ids of the agents; `None` for one that has no process.
    pub(super) fn process_ids(&self) -> AgentMap<Option<u32>> {
        self.agents().map(HostProcess::id).collect()
    }

    /// The agents, in the scenario's order.
    fn agents(&self) -> impl Iterator<Item = &HostProcess> {
        self.hosts.agents().filter_map(|agent| self.hosts[agent.host()].as_ref())
    }

    /// The times at which [`Self::update`] has something to do: when faults begin or end, when
    /// agents join or leave, and at the start.
    pub(super) fn boundaries(&self) -> Vec<Timestamp> {
        let faults = self.faults.boundaries().iter().copied();
        let all = faults.chain(self.relays.changes()).chain(self.behaviours.changes());
        let presence = self.joins_and_leaves.iter().copied();
        let mut all: Vec<Timestamp> = all.chain(presence).chain([Timestamp::ZERO]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Fails if a process has ended that the scenario does not end.
    pub(super) fn must_live(&mut self) -> anyhow::Result<()> {
        let hosts = self.hosts.iter_mut();
        hosts.filter_map(|(_, host)| host.as_mut()).try_for_each(HostProcess::must_live)
    }

    /// Makes everything be as the scenario says for `now`: the processes, the links between them,
    /// and the way in which agents do their jobs.
    pub(super) async fn update(&mut self, now: Timestamp) -> anyhow::Result<()> {
        self.behaviours.update(&self.faults, now)?;
        // Before the processes, so that nobody sees how the process of a silent machine ends.
        self.relays.update(now, &self.running()).await?;
        for id in self.hosts.ids() {
            if let Some(host) = &mut self.hosts[id] {
                host.update(&self.binary, now, self.faults.is_down(id, now)).await?;
            }
        }
        self.relays.update(now, &self.running()).await
    }

    /// Which hosts have a process.
    fn running(&self) -> HostMap<bool> {
        let hosts = self.hosts.values().iter();
        hosts.map(|host| host.as_ref().is_some_and(HostProcess::runs)).collect()
    }

    /// Waits until every agent that is there knows all others.
    async fn ready(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let client = Client::new(TokioNet, ClientLimits::default());
        let present: Vec<&HostProcess> =
            self.agents().filter(|host| host.is_there_at_start()).collect();
        let slowest = scenario.agents.iter().map(|agent| agent.refresh).max();
        // An agent may have asked for the list just before the last of the others was in it.
        let patience = slowest.unwrap_or_default() * 3 + PATIENCE;
        for host in &present {
            let peers = present.len() - 1;
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

/// Ticks when the next agent is to start: all of them within one window over which CPU % is measured,
/// as far from each other as possible. An agent measures from its start on, so they measure one after
/// the other, as simulated agents do. Those that measure at the same instants herd more.
fn starts(scenario: &Scenario) -> Interval {
    let windows = scenario.agents.iter().map(|agent| agent.machine.cpu_window);
    let window = windows.max().unwrap_or_default() / scenario.agents.len().max(1) as u32;
    interval(window.max(Duration::from_millis(1)))
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
        // Calls that no simulated agent makes.
        ("--measure-peers", "0s".to_owned()),
        ("--queue", agent.admission.queue.to_string()),
        ("--max-depth", agent.admission.max_depth.to_string()),
        ("--timeout", format_duration(scenario.workload.longest_deadline())),
        ("--refresh", format_duration(agent.refresh)),
        ("--sample", format_duration(agent.machine.cpu_window)),
        ("--speed", agent.machine.speed.to_string()),
        ("--wait-speed", agent.machine.wait_speed.to_string()),
        ("--cores", agent.machine.cores.to_string()),
    ] {
        args.extend([option.to_owned(), value]);
    }
    if agent.weight != Weight::ONE {
        args.extend(["--weight".to_owned(), agent.weight.to_string()]);
    }
    args.extend(agent.site.iter().flat_map(|site| ["--site".to_owned(), site.to_string()]));
    args.extend(agent.admission.busy_hint.then(|| "--busy-hint".to_owned()));
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
