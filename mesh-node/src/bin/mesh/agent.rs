//! `mesh agent`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::join_all;
use mesh_core::agent::{self, AgentConfig};
use mesh_core::jsonrpc;
use mesh_core::profile::Profile;
use mesh_core::seed::Seed;
use mesh_core::skills::Skills;
use mesh_node::agent::{AgentParts, TelemetrySettings};
use mesh_node::host::{LiveHost, Sampler};
use mesh_node::http::{Bytes, Client, ClientLimits, Method, ServerLimits};
use mesh_node::process::signals::Stop;
use mesh_node::wire::read_services;
use mesh_node::work::Builtin;
use mesh_node::{AgentNode, Clock, GuardedNet, Net as _, TokioNet};

use super::args::{AgentArgs, AgentSettings};
use super::log::Log;
use super::tls::TlsArgs;
use super::values::MetricsScope;
use super::{WrongUsage, identity, open_files, work};

/// How long to wait for the registry's list of names before a name is chosen without it.
const NAMES_TIMEOUT: Duration = Duration::from_millis(500);
/// Where Linux names the running kernel; another one after each start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// An agent that is about to start: who it is, and which registries list it.
pub(super) struct NewAgent {
    pub(super) name: String,
    /// Where peers reach the agent, `host:port`.
    pub(super) url: String,
    /// Where processes on this machine reach the agent, `host:port`.
    pub(super) local: String,
    /// The registries' addresses, `host:port`.
    pub(super) registries: Vec<String>,
    /// How it calls its registries and its peers.
    pub(super) net: GuardedNet,
    /// The files with which it knows its upstream, if that speaks TLS.
    pub(super) tls: TlsArgs,
    pub(super) seed: Seed,
    /// The set that it belongs to, and what its CPU is measured of, if not of it alone.
    pub(super) set: Option<(String, Option<Arc<str>>)>,
}

/// Serves until a signal comes and the work under way has ended.
pub(super) async fn run(clock: Clock, args: &AgentArgs) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    work::check(&args.settings, &args.tls).map_err(WrongUsage)?;
    let seed = identity::seed();
    let mut rng = seed.child("identity").rng();
    let listener = match &args.listen {
        Some(address) => identity::bind(address).await?,
        None => identity::any_port(&mut rng).await?,
    };
    let address = TokioNet::local_addr(&listener)?;
    let url = advertised(args.advertise.as_deref(), address).map_err(WrongUsage)?;
    let security = args.security.service(address, &url, args.tls.open_service()?)?;
    let registries = args.registries.all().map_err(WrongUsage)?;
    let net = security.net(&registries, args.credentials.open()?);
    let name = match &args.name {
        Some(name) => name.clone(),
        None => identity::name(names_in_use(&net, &registries).await.as_ref(), &mut rng),
    };
    tracing::info!(agent = %name, %address, url, registry = registries.join(","), "the agent listens");
    let local = local_address(address);
    let tls = args.tls.clone();
    let set = args.set.clone().map(|set| (set, machine(args.settings.metrics_scope)));
    let agent = NewAgent { name: name.clone(), url, local, registries, net, tls, seed, set };
    let mut stopped = pin!(stop.requested());
    let node = tokio::select! {
        biased;
        () = &mut stopped => return Ok(()),
        node = node(clock, &args.settings, agent) => node?,
    };
    let (node, exporting) = args.settings.spans.start(clock, &name, node)?;
    let served = security.agent(node).run(security.listen(listener), stopped).await;
    match served.cut_off {
        0 => tracing::info!(agent = %name, "stopped"),
        cut_off => tracing::warn!(agent = %name, cut_off, "stopped; requests were cut off"),
    }
    exporting.finish().await;
    Ok(())
}

/// An agent that is not serving yet. If it has workers that say when they are ready, they are.
pub(super) async fn node(
    clock: Clock,
    settings: &AgentSettings,
    agent: NewAgent,
) -> anyhow::Result<AgentNode<GuardedNet, LiveHost<Builtin>, Log>> {
    let config = config(settings).map_err(WrongUsage)?;
    tracing::debug!(?config, "settings");
    let executor = work::executor(settings, &agent).await?;
    let NewAgent { name, url, registries, net, seed, set, local: _, tls: _ } = agent;
    let identity = agent::Identity {
        name: (*name).into(),
        url: url.into(),
        incarnation: identity::incarnation(),
    };
    let mut sampler = Sampler::new(settings.metrics_scope.into());
    let limits = open_files::server_limits(settings.connections as usize);
    let server = ServerLimits { drain: settings.drain, ..limits };
    let parts = AgentParts {
        net,
        clock,
        host: LiveHost::new(executor, settings.sample, move || sampler.sample()),
        observer: Log::default(),
        registries: registries.into_iter().map(Into::into).collect(),
        server,
        client: ClientLimits::default(),
        json: jsonrpc::Limits::default(),
    };
    let policy = config.policy.name().to_owned();
    let measure_peers = Some(settings.measure_peers).filter(|period| !period.is_zero());
    let node = AgentNode::new(identity, config, &seed, parts);
    let node = node.telling(&policy, TelemetrySettings { measure_peers });
    Ok(match set {
        Some((set, machine)) => node.of_set(&set, machine),
        None => node,
    })
}

/// What the CPU of an agent is measured of, if that is not its own process: this machine, as one that
/// is the same in all its containers.
pub(super) fn machine(scope: MetricsScope) -> Option<Arc<str>> {
    let id = match scope {
        MetricsScope::Host => std::fs::read_to_string(BOOT_ID).ok(),
        MetricsScope::Process => None,
    };
    id.map(|id| id.trim().into())
}

/// The settings of the state machine.
fn config(settings: &AgentSettings) -> anyhow::Result<AgentConfig> {
    Ok(AgentConfig {
        admission: settings.admission.0,
        profile: profile(settings)?,
        delegation: settings.delegation.0,
        membership: settings.membership.0,
        policy: Arc::new(settings.policy.settings()?),
        tracing: settings.spans.config()?,
        ..AgentConfig::default()
    })
}

/// What the agent says of itself. All values are checked one by one already.
fn profile(settings: &AgentSettings) -> anyhow::Result<Profile> {
    let skills: Skills = settings.skill.iter().map(|skill| &**skill).collect();
    match skills.mistake() {
        Some(mistake) => bail!("--skill: {mistake}"),
        None => Ok(Profile::new(skills, settings.weight, settings.site.as_deref().map(Into::into))),
    }
}

/// Where peers reach an agent that listens on `address`.
fn advertised(wanted: Option<&str>, address: SocketAddr) -> anyhow::Result<String> {
    match wanted {
        Some(url) if mesh_core::registry::is_address(url) => Ok(url.to_owned()),
        Some(host) => Ok(format!("{host}:{}", address.port())),
        None if address.ip().is_unspecified() => {
            bail!(
                "peers can't reach {}: name an address that they can reach with --advertise HOST",
                address.ip()
            )
        }
        None => Ok(address.to_string()),
    }
}

/// Where processes on this machine reach an agent that listens on `address`.
fn local_address(address: SocketAddr) -> String {
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(loopback, address.port()).to_string()
}

/// The names that the registries list; `None` if none answers, perhaps because none has started yet.
async fn names_in_use(net: &GuardedNet, registries: &[String]) -> Option<BTreeSet<String>> {
    let client = Client::new(net.clone(), ClientLimits::default());
    let names = async |registry: &String| {
        let list = client.request(registry, Method::GET, "/services", Bytes::new(), NAMES_TIMEOUT);
        let services = list.await.ok().and_then(|answer| read_services(&answer.body).ok())?;
        Some(services.into_keys().map(|name| name.to_string()).collect::<BTreeSet<_>>())
    };
    let lists = join_all(registries.iter().map(names)).await;
    lists.into_iter().flatten().reduce(|all, names| all.union(&names).cloned().collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use mesh_core::agent::config::{AdmissionConfig, DelegationConfig, MembershipConfig};
    use mesh_core::routing::DEFAULT_POLICY;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn the_defaults_are_those_of_the_state_machines() {
        let Command::Agent(args) = Cli::parse_from(["mesh", "agent"]).command else {
            panic!("an agent")
        };
        let config = config(&args.settings).expect("a configuration");
        assert_eq!(config.admission, AdmissionConfig::default());
        assert_eq!(config.delegation, DelegationConfig::default());
        assert_eq!(config.membership, MembershipConfig::default());
        assert_eq!(config.policy.settings(), Some(&DEFAULT_POLICY.defaults()));
        let server = ServerLimits::default();
        let settings = (args.settings.connections as usize, args.settings.drain);
        assert_eq!(settings, (server.connections, server.drain));
        let Command::Registry(args) = Cli::parse_from(["mesh", "registry"]).command else {
            panic!("a registry")
        };
        assert_eq!(args.leases.0, mesh_core::registry::RegistryConfig::default());
    }

    #[test]
    fn the_url_is_where_the_agent_listens_unless_told() {
        let url = |wanted, address: &str| advertised(wanted, address.parse().expect("an address"));
        assert_eq!(url(None, "127.0.0.1:8600").expect("a url"), "127.0.0.1:8600");
        assert_eq!(url(None, "[::1]:8600").expect("a url"), "[::1]:8600");
        assert_eq!(url(Some("box"), "0.0.0.0:8600").expect("a url"), "box:8600");
        assert_eq!(url(Some("box:80"), "0.0.0.0:8600").expect("a url"), "box:80");
        assert!(url(None, "0.0.0.0:8600").is_err());
        assert!(url(None, "[::]:8600").is_err());
        let local = |address: &str| local_address(address.parse().expect("an address"));
        assert_eq!(local("10.0.0.1:8600"), "10.0.0.1:8600");
        assert_eq!(local("0.0.0.0:8600"), "127.0.0.1:8600");
        assert_eq!(local("[::]:8600"), "[::1]:8600");
    }
}
