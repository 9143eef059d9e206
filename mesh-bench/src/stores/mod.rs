//! `mesh-bench stores`: what a store costs a registry, beside what its server can do alone.

mod bare;
mod started;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use mesh_node::Clock;
use serde::Serialize;

use self::bare::bare_rate;
use self::started::StartedStore;
use crate::idle::heartbeats;
use crate::live::{ANY_PORT, Process, ProcessUsage};
use crate::request_generator::{RequestPlan, RequestTally, run};

/// The time between two heartbeats of a lease while the CPU is measured: the default of agents.
const HEARTBEAT_S: f64 = 10.0;
/// How many registrations are prepared for each second: more than any registry takes.
const REGISTRATIONS_PER_S: f64 = 60_000.0;
/// A registry with a store may take at most so many times the CPU of one without.
const CPU_LIMIT: f64 = 1.5;

/// What is measured and for how long, as it stands in the file of `--out`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct StoreOptions {
    /// How long each measurement takes.
    pub(crate) seconds: f64,
    /// Leases that each registry holds.
    pub(crate) leases: usize,
    /// Connections over which requests are sent.
    pub(crate) connections: usize,
}

/// The figures of a registry with one kind of store, as they stand in the file of `--out`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoreFigures {
    /// The kind of store.
    pub(crate) store: &'static str,
    /// Leases granted per second, as fast as the registry answers.
    pub(crate) registrations_per_s: f64,
    /// Heartbeats answered per second, as fast as the registry answers.
    pub(crate) renewals_per_s: f64,
    /// What the store can do alone: writes that are on the disk, per second.
    pub(crate) bare_writes_per_s: Option<f64>,
    /// CPU time of the registry under the usual heartbeats of all leases, in percent of a core.
    pub(crate) cpu_percent: f64,
    /// That of the store's server meanwhile.
    pub(crate) server_cpu_percent: Option<f64>,
    /// Requests that failed.
    pub(crate) failed: u64,
}

/// Measures one kind of store after the other. Those whose servers are not installed are left out.
pub(crate) async fn measure(
    mesh: &Path,
    options: StoreOptions,
) -> anyhow::Result<Vec<StoreFigures>> {
    let mut rows = Vec::new();
    for kind in started::KINDS {
        if let Some(store) = StartedStore::start(kind).await? {
            let row = measure_one(mesh, options, &store).await;
            rows.push(row.with_context(|| format!("failed to measure {kind}"))?);
        }
    }
    Ok(rows)
}

async fn measure_one(
    mesh: &Path,
    options: StoreOptions,
    store: &StartedStore,
) -> anyhow::Result<StoreFigures> {
    let bare_writes_per_s = bare_rate(store, options).await?;
    let mut args = vec!["registry".to_owned(), "--listen".to_owned(), ANY_PORT.to_owned()];
    args.extend(store.args());
    let mut registry = Process::start(mesh, "the registry", &args).await?;
    heartbeats::register(&registry.address, options.leases).await?;
    let (heartbeats, registry_address) =
        (heartbeats::requests(options.leases), registry.address.clone());
    let renewals = send(&registry_address, heartbeats.clone(), None, options).await?;

    let ids = [registry.id(), store.server().and_then(Process::id)];
    let usage = || ids.map(|id| id.map(|id| ProcessUsage::of(&[id]).cpu));
    let before = usage();
    let rate = options.leases as f64 / HEARTBEAT_S;
    let usual = send(&registry_address, heartbeats, Some(rate), options).await?;
    let after = usage();
    let percent = |number: usize| {
        let used = after[number]?.saturating_sub(before[number]?);
        Some(100.0 * used.as_secs_f64() / options.seconds)
    };

    // Each is a later life of an agent, and takes the lease from the one before.
    let prepared = (REGISTRATIONS_PER_S * options.seconds) as usize;
    let later = (0..prepared).map(|number| {
        let incarnation = 2 + (number / options.leases) as u64;
        heartbeats::registration(number % options.leases, incarnation)
    });
    let registrations = send(&registry_address, later.collect(), None, options).await?;
    registry.must_live()?;
    let per_s = |tally: &RequestTally| tally.answered as f64 / options.seconds;
    Ok(StoreFigures {
        store: store.kind(),
        registrations_per_s: per_s(&registrations),
        renewals_per_s: per_s(&renewals),
        bare_writes_per_s,
        cpu_percent: percent(0).context("failed to read the CPU time")?,
        server_cpu_percent: percent(1),
        failed: renewals.failed + usual.failed + registrations.failed,
    })
}

/// Sends requests for the length of a measurement.
async fn send(
    address: &str,
    requests: Vec<Vec<u8>>,
    rate: Option<f64>,
    options: StoreOptions,
) -> anyhow::Result<RequestTally> {
    let clock = Clock::start();
    let start = clock.now();
    let plan = RequestPlan {
        address: address.to_owned(),
        tls: None,
        requests,
        connections: options.connections,
        rate,
        start,
        from: start,
        until: start + Duration::from_secs_f64(options.seconds),
    };
    run(plan, clock).await
}

/// The figures as a table.
pub(crate) fn render(rows: &[StoreFigures], leases: usize) -> String {
    let memory = rows.first().map_or(0.0, |row| row.cpu_percent);
    let mut out = format!(
        " {:<8} {:>15} {:>13} {:>11} {:>7} {:>9} {:>9}\n",
        "store", "registrations/s", "bare writes/s", "renewals/s", "CPU %", "x memory", "server %"
    );
    for row in rows {
        let times = row.cpu_percent / memory.max(0.1);
        let met = if times <= CPU_LIMIT { "" } else { "  MISSED" };
        let optional =
            |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.0}"));
        out += &format!(
            " {:<8} {:>15.0} {:>13} {:>11.0} {:>7.2} {:>9.2} {:>9}{met}\n",
            row.store,
            row.registrations_per_s,
            optional(row.bare_writes_per_s),
            row.renewals_per_s,
            row.cpu_percent,
            times,
            optional(row.server_cpu_percent),
        );
        if row.failed > 0 {
            out += &format!("   {} requests failed\n", row.failed);
        }
    }
    out + &format!(
        " CPU: of the registry, with {leases} leases that send a heartbeat every 10 s; aim 10 %, limit \
         {CPU_LIMIT} times what it takes without a store\n"
    )
}
