//! `mesh-bench security`: what keys, TLS and new connections cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use mesh_node::Clock;
use mesh_node::process::console::say;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::live::ProcessUsage;
use crate::request_generator::GeneratorConnection;
use crate::throughput::{Contender, ContenderProcesses, Programs, SECURED_GROUPS};

/// How many connections are opened before memory is looked at, so that what is needed once does not
/// count for those after them.
const FIRST_CONNECTIONS: usize = 32;
/// How many connections are opened at once. Agents do the handshakes of up to 64 for one client.
const OPENED_AT_ONCE: usize = 32;

/// How long new connections are opened, and how many are held, as it stands in the file of `--out`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ConnectionOptions {
    /// How long connections are opened, in seconds.
    pub(crate) seconds: f64,
    /// How many connections are held while the memory is looked at.
    pub(crate) held: usize,
}

/// What connections cost one system, as it stands in the file of `--out`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConnectionFigures {
    pub(crate) name: &'static str,
    /// Connections per second, each opened, used for one call and closed. With TLS, each has a
    /// handshake.
    pub(crate) connections_per_s: f64,
    /// CPU time of the system per such connection, the call included.
    pub(crate) cpu_ms: f64,
    /// Resident memory of the system per idle connection.
    pub(crate) resident_kib: f64,
    /// Connections that could not be opened, or calls without a result.
    pub(crate) failed: u64,
}

/// Measures connections of all systems, one after the other. Those that this machine lacks are left
/// out.
pub(crate) async fn connections(
    programs: &Programs,
    options: ConnectionOptions,
) -> anyhow::Result<Vec<ConnectionFigures>> {
    let mut rows = Vec::new();
    for contender in SECURED_GROUPS.iter().flat_map(|group| group.iter()) {
        if programs.lacks(contender.kind).await.is_some() {
            continue;
        }
        say(&format!(" connections of {}", contender.name));
        let row = one(programs, contender, options).await;
        rows.push(row.with_context(|| format!("failed to measure {}", contender.name))?);
    }
    Ok(rows)
}

async fn one(
    programs: &Programs,
    contender: &Contender,
    options: ConnectionOptions,
) -> anyhow::Result<ConnectionFigures> {
    let mut processes = programs.start(contender.kind).await?;
    let caller = Arc::new(MeasuredCaller::new(&processes, contender));
    let ids = processes.ids();

    let mut held = caller.open(FIRST_CONNECTIONS).await?;
    let before = ProcessUsage::of(&ids).resident;
    held.extend(caller.open(options.held).await?);
    let after = ProcessUsage::of(&ids).resident;
    drop(held);

    let before_cpu = ProcessUsage::of(&ids).cpu;
    let (made, failed) = caller.open_and_close(options.seconds).await;
    let cpu = ProcessUsage::of(&ids).cpu.saturating_sub(before_cpu);
    processes.must_live()?;
    Ok(ConnectionFigures {
        name: contender.name,
        connections_per_s: made as f64 / options.seconds,
        cpu_ms: cpu.as_secs_f64() * 1e3 / made as f64,
        resident_kib: after.saturating_sub(before) as f64 / 1024.0 / options.held as f64,
        failed,
    })
}

/// Opens connections to one system.
struct MeasuredCaller {
    address: String,
    tls: Option<Arc<mesh_node::net::TlsIdentity>>,
    request: Vec<u8>,
}

impl MeasuredCaller {
    fn new(processes: &ContenderProcesses, contender: &Contender) -> Self {
        Self {
            address: processes.entry.clone(),
            tls: processes.tls.clone(),
            request: processes.request(contender.kind),
        }
    }

    /// Opens one connection, and uses it for one call.
    async fn used(&self) -> anyhow::Result<GeneratorConnection> {
        let mut connection = GeneratorConnection::open(&self.address, self.tls.as_ref()).await?;
        connection.exchange(&self.request).await?;
        Ok(connection)
    }

    /// Opens so many connections.
    async fn open(self: &Arc<Self>, count: usize) -> anyhow::Result<Vec<GeneratorConnection>> {
        let mut open = Vec::with_capacity(count);
        let mut under_way = JoinSet::new();
        for _ in 0..count {
            if under_way.len() == OPENED_AT_ONCE
                && let Some(connection) = under_way.join_next().await
            {
                open.push(connection??);
            }
            let caller = self.clone();
            under_way.spawn(async move { caller.used().await });
        }
        while let Some(connection) = under_way.join_next().await {
            open.push(connection??);
        }
        Ok(open)
    }

    /// Opens, uses and closes connections for so long: how many, and how many failed.
    async fn open_and_close(self: &Arc<Self>, seconds: f64) -> (u64, u64) {
        let clock = Clock::start();
        let until = clock.now() + Duration::from_secs_f64(seconds);
        let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..OPENED_AT_ONCE {
            let (caller, counts) = (self.clone(), counts.clone());
            tasks.spawn(async move {
                while clock.now() < until {
                    let count = match caller.used().await {
                        Ok(_) => &counts.0,
                        Err(_) => &counts.1,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        (counts.0.load(Ordering::Relaxed), counts.1.load(Ordering::Relaxed))
    }
}

/// The figures as a table.
pub(crate) fn render(rows: &[ConnectionFigures]) -> String {
    let plain = rows.first().map_or(f64::NAN, |row| row.cpu_ms);
    let mut out = format!(
        " {:<12} {:>13} {:>17} {:>12} {:>19}\n",
        "system", "connections/s", "CPU ms/connection", "x first line", "KiB/idle connection"
    );
    for row in rows {
        out += &format!(
            " {:<12} {:>13.0} {:>17.3} {:>12.1} {:>19.1}\n",
            row.name,
            row.connections_per_s,
            row.cpu_ms,
            row.cpu_ms / plain,
            row.resident_kib
        );
        if row.failed > 0 {
            out += &format!("   {} connections failed\n", row.failed);
        }
    }
    out + " Each connection is opened, used for one call and closed; with TLS, it has a handshake.\n"
}
