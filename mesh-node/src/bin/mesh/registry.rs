//! `mesh registry`.

use mesh_core::registry::RegistryConfig;
use mesh_node::http::ServerLimits;
use mesh_node::process::signals::Stop;
use mesh_node::{Clock, Net as _, RegistryNode, TokioNet};

use super::args::{LeaseArgs, RegistryArgs};
use super::log::Log;
use super::{identity, open_files};

impl LeaseArgs {
    pub(super) fn config(&self) -> RegistryConfig {
        RegistryConfig { ttl: self.ttl, max_leases: self.max_leases, ..RegistryConfig::default() }
    }
}

/// Serves until a signal comes.
pub(super) async fn run(clock: Clock, args: &RegistryArgs) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let listener = identity::bind(&args.listen).await?;
    let address = TokioNet::local_addr(&listener)?;
    tracing::info!(%address, ttl = ?args.leases.ttl, "the registry listens");
    let epoch = identity::incarnation();
    let node = RegistryNode::new(clock, args.leases.config(), epoch, Log);
    // A heartbeating agent keeps its connection, so each lease may hold one.
    let connections = args.leases.max_leases.max(ServerLimits::default().connections);
    node.run::<TokioNet>(listener, open_files::server_limits(connections), stop.requested()).await;
    tracing::info!("stopped");
    Ok(())
}
