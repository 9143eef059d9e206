//! `mesh registry`.

use mesh_node::http::ServerLimits;
use mesh_node::process::signals::Stop;
use mesh_node::{Clock, GuardedNet, Net as _, RegistryNode, TokioNet};

use super::args::RegistryArgs;
use super::log::Log;
use super::{identity, open_files};

/// Serves until a signal comes.
pub(super) async fn run(clock: Clock, args: &RegistryArgs) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let config = &args.leases.0;
    tracing::debug!(?config, "settings");
    let listener = identity::bind(&args.listen).await?;
    let address = TokioNet::local_addr(&listener)?;
    let security = args.security.service(address, &args.listen, args.tls.open_service()?)?;
    tracing::info!(%address, ttl = ?config.leases.ttl, "the registry listens");
    let epoch = identity::incarnation();
    let node = RegistryNode::new(clock, config.clone(), epoch, Log::default());
    let node = security.registry(node);
    // Every agent keeps its connection between heartbeats, so each lease may hold one.
    let connections = config.max_leases.max(ServerLimits::default().connections);
    let (listener, limits) = (security.listen(listener), open_files::server_limits(connections));
    node.run::<GuardedNet>(listener, limits, stop.requested()).await;
    tracing::info!("stopped");
    Ok(())
}
