//! `mesh registry`.

use std::sync::Arc;

use anyhow::{anyhow, ensure};
use mesh_core::registry::RegistryConfig;
use mesh_node::http::ServerLimits;
use mesh_node::process::signals::Stop;
use mesh_node::registry::store::{Store, StoreCertificates, StoreContents, StorePlace};
use mesh_node::{Clock, GuardedNet, Net as _, RegistryNode, TokioNet};

use super::args::RegistryArgs;
use super::log::Log;
use super::{WrongUsage, dashboard, identity, open_files};

/// Serves until a signal comes.
pub(super) async fn run(clock: Clock, args: &RegistryArgs) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let config = &args.leases.0;
    tracing::debug!(?config, "settings");
    let place = place(args).map_err(WrongUsage)?;
    let certificates = args.store_tls.files(place.as_ref()).map_err(WrongUsage)?;
    let listener = identity::bind(&args.listen).await?;
    let address = TokioNet::local_addr(&listener)?;
    let security = args.security.service(address, &args.listen, args.tls.open_service()?)?;
    let epoch = identity::incarnation();
    let ttl = config.leases.ttl;
    let (config, log) = (config.clone(), Log::default());
    // Every agent keeps its connection between heartbeats, so each lease may hold one. Viewers of
    // the dashboard take none of theirs.
    let connections = config.max_leases.max(ServerLimits::default().connections);
    let connections = connections + args.viewers.most();
    let node = match place {
        None => RegistryNode::new(clock, config, epoch, log),
        Some(place) => {
            let opened = open(&place, &certificates, &config).await?;
            RegistryNode::with_store(clock, config, epoch, log, opened)
        }
    };
    let node = security.registry(args.viewers.of_registry(&security, node));
    let listener = security.listen(listener);
    tracing::info!(%address, ?ttl, "the registry listens");
    if args.viewers.is_on() {
        let net = security.net(&[], Arc::default());
        let url = dashboard::url(&net, &address.to_string());
        tracing::info!(url, "the dashboard");
    }
    let limits = open_files::server_limits(connections);
    node.run::<GuardedNet>(listener, limits, stop.requested()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Where the options say that the leases are kept, if anywhere.
fn place(args: &RegistryArgs) -> anyhow::Result<Option<StorePlace>> {
    if let Some(directory) = &args.data_dir {
        return Ok(Some(directory.as_path().into()));
    }
    let Some(url) = &args.store else { return Ok(None) };
    let place = url.0.parse().map_err(|error| anyhow!("--store: {error}"))?;
    Ok(Some(place))
}

/// Opens the store, and says what it promises.
async fn open(
    place: &StorePlace,
    certificates: &StoreCertificates,
    config: &RegistryConfig,
) -> anyhow::Result<(Arc<dyn Store>, StoreContents)> {
    let (store, contents) = place.open_with(config.leases.ttl, certificates).await?;
    let leases = contents.records.iter().filter(|record| !record.ended).count();
    ensure!(
        leases <= config.max_leases,
        "the store {place} has {leases} leases, but --max-leases allows {}",
        config.max_leases
    );
    let guarantees = store.guarantees().await;
    tracing::info!(store = %place, leases, "leases are kept in the store: {guarantees}");
    Ok((store, contents))
}
