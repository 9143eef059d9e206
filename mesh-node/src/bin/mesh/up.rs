//! `mesh up`: a whole mesh in one process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{io, iter};

use mesh_core::scaling::ScalingConfig;
use mesh_node::http::ServerLimits;
use mesh_node::process::browser;
use mesh_node::process::console::{print, say};
use mesh_node::process::signals::Stop;
use mesh_node::security::Credentials;
use mesh_node::{Clock, GuardedNet, Net as _, RegistryNode, TokioNet};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::addresses::registries;
use super::args::{JobArgs, UpArgs};
use super::autoscale::{Autoscaler, Platform, SetSettings, StartOutcome};
use super::log::Log;
use super::orchestrate::{ListedAgent, MeshClient, delegate};
use super::remote_text::harmless;
use super::secure_folder::{REGISTRY_NAME, SecureFolder};
use super::security::SecurityArgs;
use super::tls::TlsArgs;
use super::values::{MetricsScope, SetBounds};
use super::{WrongUsage, agent, autoscale, dashboard, identity, work};
use crate::args::AgentSettings;

/// Where the registry listens unless the command line says otherwise.
const REGISTRY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8500);
/// How long the agents of this process may take to register.
const REGISTRATION: Duration = Duration::from_secs(10);
/// The time between two looks at it.
const LOOK: Duration = Duration::from_secs(5);

/// Starts everything, delegates a first job, and serves until a signal comes.
pub(super) async fn run(clock: Clock, args: &UpArgs) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    work::check(&args.settings, &args.tls).map_err(WrongUsage)?;
    let scaling = args.autoscale.map(|bounds| scaling(bounds, &args.settings)).transpose()?;
    let (stopping, stopped) = watch::channel(false);
    let registry = listen(args.listen.as_deref()).await?;
    let address = TokioNet::local_addr(&registry)?;
    let own = args.listen.as_deref().unwrap_or_default();
    let secure = if args.secure { Some(SecureFolder::make()?) } else { None };
    let (doors, tls) = match &secure {
        Some(folder) => (folder.doors(&args.security), folder.tls(REGISTRY_NAME)?),
        None => (args.security.clone(), args.tls.clone()),
    };
    let security = doors.service(address, own, tls.open_service()?)?;
    let address = address.to_string();
    let credentials = credentials(secure.as_ref(), args)?;
    let mut local = LocalAgents {
        clock,
        stopped,
        doors,
        tls,
        secure,
        credentials: credentials.clone(),
        agents: JoinSet::new(),
        names: BTreeSet::new(),
        set: scaling.as_ref().map(|settings| settings.set.to_string()),
    };
    let node =
        RegistryNode::new(clock, args.leases.0.clone(), identity::incarnation(), Log::default());
    let node = security.registry(args.viewers.of_registry(&security, node));
    // Agents give up their leases when they end, so the registry must outlive them.
    let (agents_ended, ended) = watch::channel(false);
    let registry = security.listen(registry);
    let serving = tokio::spawn(async move {
        node.run::<GuardedNet>(registry, ServerLimits::default(), signalled(ended)).await
    });
    let all = iter::once(address.clone()).chain(args.join.iter().cloned());
    let registries = registries(all).map_err(WrongUsage)?;
    let net = security.net(&registries, credentials.clone());
    let scheme = net.scheme();
    print(&format!("registry      {scheme}://{address}/services\n"));
    let page = args.viewers.is_on().then(|| dashboard::url(&net, &address));
    page.iter().for_each(|page| print(&format!("dashboard     {page}\n")));

    // The registry of this process alone: it says when the agents of this process are listed.
    let mesh = MeshClient::new(clock, vec![address.clone()], net);
    let last = local.start_all(args, &registries, &mesh).await?;

    // After this time, each agent has sampled its CPU and memory once.
    tokio::time::sleep(args.settings.sample).await;
    let hints = meanwhile(local.secure.as_ref(), &address, &format!("{scheme}://{}", last.url));
    let work = async {
        first_job(&mesh, &last, args).await;
        print(&hints);
        if let Some(page) = page {
            browser::offer(page);
        }
        std::future::pending::<()>().await;
    };
    let platform =
        InProcess { local: &mut local, settings: &args.settings, registries: &registries };
    tokio::select! {
        biased;
        () = stop.requested() => {}
        () = work => {}
        () = platform.keep(&mesh, credentials, scaling) => {}
    }
    let _ = stopping.send(true);
    while local.agents.join_next().await.is_some() {}
    let _ = agents_ended.send(true);
    serving.await?;
    print("stopped\n");
    Ok(())
}

/// What the agents show to others.
fn credentials(secure: Option<&SecureFolder>, args: &UpArgs) -> anyhow::Result<Arc<Credentials>> {
    match secure {
        Some(folder) => folder.agents().open(),
        None => args.credentials.open(),
    }
}

/// What `--autoscale` asks for.
fn scaling(bounds: SetBounds, settings: &AgentSettings) -> anyhow::Result<SetSettings> {
    let SetBounds { min, max } = bounds;
    let config = ScalingConfig { min: min.into(), max: max.into(), ..ScalingConfig::default() };
    autoscale::check(&config, &settings.admission.0).map_err(WrongUsage)?;
    // Another `mesh up` may list its agents at this one's registry, and they are no part of this set.
    let number = identity::seed().child("set").number() & 0xff_ffff;
    let set = format!("up-{number:06x}").into();
    Ok(SetSettings { set, config, interval: LOOK, start_timeout: REGISTRATION })
}

/// The agents of a set as agents of this process.
struct InProcess<'a> {
    local: &'a mut LocalAgents,
    settings: &'a AgentSettings,
    registries: &'a [String],
}

impl InProcess<'_> {
    /// Keeps the set, if there are settings for it. Never ready.
    async fn keep(
        self,
        mesh: &MeshClient,
        credentials: Arc<Credentials>,
        settings: Option<SetSettings>,
    ) {
        match settings {
            Some(settings) => {
                Autoscaler::new(mesh.clone(), credentials, settings, self).run().await;
            }
            None => std::future::pending().await,
        }
    }
}

impl Platform for InProcess<'_> {
    async fn start(&mut self, name: &str) -> anyhow::Result<Option<StartOutcome>> {
        self.local.start(self.settings, self.registries, Some(name)).await?;
        Ok(None)
    }

    fn abandon(&mut self, _: &str) {
        // It registers with a registry of its own process, or this process is about to end.
    }

    fn gone(&mut self, _: &str) {
        // Its future has ended, or ends soon.
        while self.local.agents.try_join_next().is_some() {}
    }
}

/// What the user may do while it runs: commands for another terminal.
fn meanwhile(secure: Option<&SecureFolder>, registry: &str, agent: &str) -> String {
    let (before, more) = match secure {
        Some(folder) => (folder.exports(), folder.curl()),
        None => (String::new(), String::new()),
    };
    format!(
        "\nCtrl-C ends it. Meanwhile:\n{before}  mesh orchestrate --registry {registry} --watch\n  \
         curl -s {agent}/rpc {more}-H 'content-type: application/json' -d \
         '{{\"jsonrpc\":\"2.0\",\"method\":\"delegate\",\"params\":{{\"text\":\"hello\"}},\"id\":1}}'\n"
    )
}

/// The agents of this process, which all end when the process is told to stop.
struct LocalAgents {
    clock: Clock,
    stopped: watch::Receiver<bool>,
    doors: SecurityArgs,
    tls: TlsArgs,
    secure: Option<SecureFolder>,
    credentials: Arc<Credentials>,
    agents: JoinSet<()>,
    names: BTreeSet<String>,
    /// The set that they belong to, if they are autoscaled.
    set: Option<String>,
}

impl LocalAgents {
    /// Starts all agents and waits until they are listed; returns the last one.
    async fn start_all(
        &mut self,
        args: &UpArgs,
        registries: &[String],
        mesh: &MeshClient,
    ) -> anyhow::Result<ListedAgent> {
        let agents = args.autoscale.map_or(args.agents, |bounds| bounds.min);
        let others = usize::from(agents) - 1;
        for _ in 0..others {
            self.start(&args.settings, registries, None).await?;
        }
        mesh.await_agents(others, REGISTRATION).await?;
        // The last agent starts when all others are listed, so it finds them in its first list of
        // peers.
        let last = self.start(&args.settings, registries, None).await?;
        mesh.await_agents(others + 1, REGISTRATION).await?;
        Ok(last)
    }

    /// Starts one more agent, on a free port and under this name, or one that no other one here has.
    async fn start(
        &mut self,
        settings: &AgentSettings,
        registries: &[String],
        name: Option<&str>,
    ) -> anyhow::Result<ListedAgent> {
        let seed = identity::seed();
        let mut rng = seed.child("identity").rng();
        let listener = identity::any_port(&mut rng).await?;
        let address = TokioNet::local_addr(&listener)?;
        let url = address.to_string();
        let name = match name {
            Some(name) => name.to_owned(),
            None => identity::name(Some(&self.names), &mut rng),
        };
        self.names.insert(name.clone());
        let tls = match &self.secure {
            Some(folder) => folder.tls(&name)?,
            None => self.tls.clone(),
        };
        let security = self.doors.service(address, "", tls.open_service()?)?;
        let registries = registries.to_owned();
        let net = security.net(&registries, self.credentials.clone());
        print(&format!("{name:<13} {}://{url}/rpc\n", net.scheme()));
        // An upstream is not of the mesh, so the authority of a moment does not vouch for it.
        let tls = self.tls.clone();
        let agent = ListedAgent { name: name.clone(), url: url.clone(), is_listed: true };
        let own_name = name.clone();
        let set = self.set.clone().map(|set| (set, Some(measured(settings.metrics_scope))));
        let local = url.clone();
        let new = agent::NewAgent { name, local, url, registries, net, tls, seed, set };
        let node = agent::node(self.clock, settings, new).await?;
        let (node, exporting) = settings.spans.start(self.clock, &own_name, node)?;
        let node = security.agent(node);
        let listener = security.listen(listener);
        let stopped = signalled(self.stopped.clone());
        self.agents.spawn(async move {
            node.run(listener, stopped).await;
            exporting.finish().await;
        });
        Ok(agent)
    }
}

/// What the CPU of these agents is measured of: they share a process.
fn measured(scope: MetricsScope) -> Arc<str> {
    agent::machine(scope).unwrap_or_else(|| format!("process-{}", std::process::id()).into())
}

/// Delegates the first job and shows what came of it.
async fn first_job(mesh: &MeshClient, entry: &ListedAgent, args: &UpArgs) {
    let job = JobArgs {
        text: args.text.clone(),
        timeout: args.settings.admission.0.default_timeout,
        demand: None,
        wait: None,
        skill: None,
        idempotent: false,
    };
    match delegate(mesh, entry.clone(), &job).await {
        Ok(delegation) => print(&harmless(&format!("\n{}", delegation.render(&job.text)))),
        // The mesh goes on: perhaps only the command behind its agents failed.
        Err(error) => say(&harmless(&format!("\nerror: {error:#}"))),
    }
}

/// Listens on the wanted address, or on the usual one, or on a free port if that is taken.
async fn listen(wanted: Option<&str>) -> anyhow::Result<TcpListener> {
    if let Some(address) = wanted {
        return identity::bind(address).await;
    }
    match TokioNet.bind(&REGISTRY.to_string()).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            say(&format!("something else listens on {REGISTRY}, so another port is taken"));
            identity::bind(&SocketAddr::new(REGISTRY.ip(), 0).to_string()).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Ready once the sender says that it is over, or is gone.
async fn signalled(mut receiver: watch::Receiver<bool>) {
    let _ = receiver.wait_for(|is_over| *is_over).await;
}
