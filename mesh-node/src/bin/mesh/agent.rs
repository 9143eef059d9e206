//! `mesh agent`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_core::agent::{self, AgentConfig};
use mesh_core::codec::limits::{ENVELOPE_BYTES, OUTPUT_BYTES};
use mesh_core::jsonrpc;
use mesh_core::seed::Seed;
use mesh_core::skills::Skills;
use mesh_node::agent::AgentParts;
use mesh_node::host::{LiveHost, Sampler};
use mesh_node::http::{Bytes, Client, ClientLimits, Method, ServerLimits};
use mesh_node::process::children;
use mesh_node::process::signals::Stop;
use mesh_node::wire::read_services;
use mesh_node::work::{Builtin, Erring, Exec, Synthetic, Upstream};
use mesh_node::{AgentNode, Clock, Net as _, TokioNet};

use super::args::{AgentArgs, AgentSettings, Work, WorkArgs};
use super::log::Log;
use super::{identity, open_files};

/// How long to wait for the registry's list of names before a name is chosen without it.
const NAMES_TIMEOUT: Duration = Duration::from_millis(500);
/// The demand of a job that names none, which is also that of the Python demo.
const DEMAND: Duration = Duration::from_millis(300);
/// How long an idle connection to an upstream is kept: less than the 5 s of uvicorn and Node, which
/// close idle connections after that.
const UPSTREAM_IDLE: Duration = Duration::from_secs(4);

/// An agent that is about to start: who it is, and which registry lists it.
pub(super) struct NewAgent {
    pub(super) name: String,
    /// Where peers reach the agent, `host:port`.
    pub(super) url: String,
    pub(super) registry: String,
    pub(super) seed: Seed,
}

/// Serves until a signal comes and the work under way has ended.
pub(super) async fn run(clock: Clock, args: &AgentArgs) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let seed = identity::seed();
    let mut rng = seed.child("identity").rng();
    let listener = match &args.listen {
        Some(address) => identity::bind(address).await?,
        None => identity::any_port(&mut rng).await?,
    };
    let address = TokioNet::local_addr(&listener)?;
    let url = advertised(args.advertise.as_deref(), address)?;
    let registry = args.registry.address.clone();
    let name = match &args.name {
        Some(name) => name.clone(),
        None => identity::name(names_in_use(&registry).await.as_ref(), &mut rng),
    };
    tracing::info!(agent = %name, %address, url, registry, "the agent listens");
    let node = node(clock, &args.settings, NewAgent { name: name.clone(), url, registry, seed })?;
    let served = node.run(listener, stop.requested()).await;
    match served.cut_off {
        0 => tracing::info!(agent = %name, "stopped"),
        cut_off => tracing::warn!(agent = %name, cut_off, "stopped; requests were cut off"),
    }
    Ok(())
}

/// An agent that is not serving yet.
pub(super) fn node(
    clock: Clock,
    settings: &AgentSettings,
    agent: NewAgent,
) -> anyhow::Result<AgentNode<TokioNet, LiveHost<Builtin>, Log>> {
    let config = config(settings)?;
    tracing::debug!(?config, "settings");
    let NewAgent { name, url, registry, seed } = agent;
    let identity = agent::Identity {
        name: (*name).into(),
        url: url.into(),
        incarnation: identity::incarnation(),
    };
    let executor = executor(&settings.work, &name, &seed)?;
    if matches!(executor, Builtin::Exec(_)) {
        guard_commands();
    }
    let mut sampler = Sampler::new(settings.metrics_scope.into());
    let limits = open_files::server_limits(settings.connections as usize);
    let server = ServerLimits { drain: settings.drain, ..limits };
    let parts = AgentParts {
        net: TokioNet,
        clock,
        host: LiveHost::new(executor, settings.sample, move || sampler.sample()),
        observer: Log,
        registry: registry.into(),
        server,
        client: ClientLimits::default(),
        json: jsonrpc::Limits::default(),
    };
    Ok(AgentNode::new(identity, config, &seed, parts))
}

/// The settings of the state machine.
fn config(settings: &AgentSettings) -> anyhow::Result<AgentConfig> {
    Ok(AgentConfig {
        admission: settings.admission.0,
        skills: skills(&settings.skill)?,
        delegation: settings.delegation.0,
        membership: settings.membership.0,
        policy: Arc::new(settings.policy.settings()?),
    })
}

/// The agent's skills, which are checked one by one already.
fn skills(given: &[String]) -> anyhow::Result<Skills> {
    let skills: Skills = given.iter().map(|skill| &**skill).collect();
    match skills.mistake() {
        Some(mistake) => bail!("--skill: {mistake}"),
        None => Ok(skills),
    }
}

/// The executor of the agent `name`. Refuses options that belong to another way of doing the work.
fn executor(args: &WorkArgs, name: &str, seed: &Seed) -> anyhow::Result<Builtin> {
    let work = args.work.unwrap_or(match args {
        WorkArgs { upstream: Some(_), .. } => Work::Upstream,
        WorkArgs { command, .. } if !command.is_empty() => Work::Exec,
        _ => Work::Synthetic,
    });
    for (option, of, given) in [
        ("--demand", &[Work::Synthetic][..], args.demand.is_some()),
        ("--burn", &[Work::Synthetic], args.burn),
        ("--errors", &[Work::Synthetic], args.errors.is_some()),
        ("--upstream", &[Work::Upstream], args.upstream.is_some()),
        ("--upstream-idle", &[Work::Upstream], args.upstream_idle.is_some()),
        ("--output-limit", &[Work::Exec, Work::Upstream], args.output_limit.is_some()),
        ("a command", &[Work::Exec], !args.command.is_empty()),
    ] {
        if given && !of.contains(&work) {
            bail!("{option} has no effect with --work {}", format!("{work:?}").to_lowercase());
        }
    }
    Ok(match work {
        Work::Synthetic => {
            let demand = args.demand.unwrap_or(DEMAND);
            let synthetic = Synthetic { demand, burns: args.burn };
            match &args.errors {
                None => Builtin::Synthetic(synthetic),
                Some(file) => {
                    let erring = Erring::new(synthetic, file.clone(), seed.child("errors").rng());
                    let erring = erring.with_context(|| {
                        format!("failed to read the errors of {}", file.display())
                    });
                    Builtin::Erring(Box::new(erring?))
                }
            }
        }
        Work::Exec => {
            let (program, rest) =
                args.command.split_first().context("--work exec needs a command after --")?;
            Builtin::Exec(Exec {
                program: program.clone(),
                args: rest.to_vec(),
                output_bytes: args.output_limit.unwrap_or(OUTPUT_BYTES),
                name_for_clients: format!("the command of {name}"),
            })
        }
        Work::Upstream => {
            let url = args.upstream.clone().context("--work upstream needs --upstream URL")?;
            // If the upstream is an agent, its result may be as large as results may be, and its
            // own envelope comes on top.
            let bytes = args.output_limit.unwrap_or(OUTPUT_BYTES + ENVELOPE_BYTES);
            let idle = args.upstream_idle.unwrap_or(UPSTREAM_IDLE);
            let name_for_clients = format!("the upstream of {name}");
            Builtin::Upstream(Upstream::new(url, name_for_clients, bytes, idle))
        }
    })
}

/// Makes sure that commands end with this process, and that their orphans are reaped. Done once for
/// all agents of a process.
fn guard_commands() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Err(error) = children::keep_guard() {
            tracing::warn!(%error, "no guard: SIGKILL would leave running commands behind");
        }
        tokio::spawn(async {
            if let Err(error) = children::reap_orphans().await {
                tracing::warn!(%error, "processes that commands leave behind are not reaped");
            }
        });
    });
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

/// The names that the registry lists; `None` if it does not answer, perhaps because it has not
/// started yet.
async fn names_in_use(registry: &str) -> Option<BTreeSet<String>> {
    let client = Client::new(TokioNet, ClientLimits::default());
    let list =
        client.request(registry, Method::GET, "/services", Bytes::new(), NAMES_TIMEOUT).await;
    let services = list.ok().and_then(|answer| read_services(&answer.body).ok())?;
    Some(services.into_keys().map(|name| name.to_string()).collect())
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
    }
}
