//! The dashboard: of a registry, and as a process of its own (`mesh dashboard`).

use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use mesh_node::dashboard::{Dashboard, DashboardLimits, DashboardNode, DashboardParts};
use mesh_node::http::{Client, ClientLimits, ServerLimits};
use mesh_node::process::signals::Stop;
use mesh_node::security::Credentials;
use mesh_node::{GuardedNet, Net as _, Observer, RegistryNode, TokioNet};

use super::addresses::{RegistryAddresses, listen};
use super::args::USUAL;
use super::security::{CredentialArgs, SecurityArgs, ServiceSecurity};
use super::tls::TlsArgs;
use super::{WrongUsage, identity, open_files};

/// The page's path.
pub(super) const PATH: &str = "/dashboard";

const EXAMPLES: &str = "\
Every registry has this page itself, at /dashboard. In a process of its own, it may listen \
elsewhere, ask for other keys, and go on while a registry is restarted.

Examples:
  mesh dashboard                                the mesh of 127.0.0.1:8500
  mesh dashboard --registry a:8500,b:8500       if a does not answer, b is asked";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, next_help_heading = USUAL)]
pub(crate) struct DashboardArgs {
    /// Where to listen
    #[arg(long, env = "MESH_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8501", value_parser = listen)]
    pub(crate) listen: String,
    #[command(flatten)]
    pub(crate) registries: RegistryAddresses,
    #[command(flatten)]
    pub(crate) viewers: ViewerArgs,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "The dashboard")]
pub(crate) struct ViewerArgs {
    /// How many may look at the dashboard at once; 0: there is none. Of more, the one that is
    /// furthest behind makes room, or the new one is refused
    #[arg(long, env = "MESH_DASHBOARD_VIEWERS", value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(0..=10_000))]
    dashboard_viewers: u16,
}

impl ViewerArgs {
    /// What a dashboard allows; `None` if there is to be none.
    fn limits(self) -> Option<DashboardLimits> {
        let viewers = usize::from(self.dashboard_viewers);
        (viewers > 0).then(|| DashboardLimits { viewers, ..DashboardLimits::default() })
    }

    /// The same registry with its dashboard, if it is to have one. It calls agents as this service
    /// calls others, and shows them nothing of its own.
    pub(crate) fn of_registry<O: Observer>(
        self,
        security: &ServiceSecurity,
        node: RegistryNode<O>,
    ) -> RegistryNode<O> {
        let Some(limits) = self.limits() else { return node };
        let net = security.net(&[], Arc::<Credentials>::default());
        let agents = Client::new(net, ClientLimits::default());
        node.with_dashboard(Dashboard::new(identity::incarnation(), limits, agents))
    }

    /// How many may look at it at once.
    pub(crate) fn most(self) -> usize {
        self.dashboard_viewers.into()
    }

    /// Whether there is a dashboard.
    pub(crate) const fn is_on(self) -> bool {
        self.dashboard_viewers > 0
    }
}

/// Serves until a signal comes.
pub(super) async fn run(args: &DashboardArgs) -> anyhow::Result<()> {
    let limits = args.viewers.limits().ok_or_else(|| {
        WrongUsage(anyhow!(
            "--dashboard-viewers (MESH_DASHBOARD_VIEWERS) must be 1 or more: `mesh dashboard` \
             without viewers would be for nobody"
        ))
    })?;
    let stop = Stop::listen()?;
    let listener = identity::bind(&args.listen).await?;
    let address = TokioNet::local_addr(&listener)?;
    let security = args.security.service(address, &args.listen, args.tls.open_service()?)?;
    let registries = args.registries.all().map_err(WrongUsage)?;
    let credentials = args.credentials.open()?;
    let net = security.net(&registries, credentials.clone());
    let scheme = net.scheme();
    let parts = DashboardParts {
        net,
        registries: registries.iter().map(|registry| (&**registry).into()).collect(),
        credentials,
        limits,
        epoch: identity::incarnation(),
    };
    let node = security.dashboard(DashboardNode::new(parts));
    let listener = security.listen(listener);
    let url = format!("{scheme}://{address}{PATH}");
    tracing::info!(url, registry = registries.join(","), %address, "the dashboard listens");
    let limits = open_files::server_limits(limits.viewers.max(ServerLimits::default().connections));
    node.run(listener, limits, stop.requested()).await;
    tracing::info!("stopped");
    Ok(())
}

/// How a registry's own dashboard is reached.
pub(super) fn url(net: &GuardedNet, registry: &str) -> String {
    format!("{}://{registry}{PATH}", net.scheme())
}
