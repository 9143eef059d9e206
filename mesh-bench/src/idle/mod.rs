//! `mesh-bench idle`: measures a mesh without work: an agent at rest, and a registry that gets
//! nothing but heartbeats.

pub(crate) mod heartbeats;
mod sockets;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::process::console::say;
use mesh_node::{Clock, TokioNet};
use mesh_sim::format::counted;
use serde::Serialize;

use self::sockets::Sockets;
use crate::live::{ANY_PORT, Process, ProcessUsage, await_peers};
use crate::request_generator::{RequestPlan, run};

/// How long the two agents may take to know each other.
const GET_READY: Duration = Duration::from_secs(20);
/// How long the agents are left alone before they are measured.
const SETTLE: Duration = Duration::from_secs(2);
/// Connections are counted when this share of the time is over.
const NEARLY_ALL: f64 = 0.9;

/// What is measured and for how long, as it stands in the file of `--out`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct IdleOptions {
    /// How long to measure.
    pub(crate) seconds: f64,
    /// Leases that the busy registry holds.
    pub(crate) leases: usize,
    /// The time between two heartbeats of a lease, in seconds.
    pub(crate) heartbeat_s: f64,
    /// Connections over which all heartbeats are sent.
    pub(crate) connections: usize,
}

/// The figures of one process, as they stand in the file of `--out`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProcessFigures {
    /// Which process it is.
    pub(crate) what: String,
    /// Resident memory at the end.
    pub(crate) resident_mib: f64,
    /// CPU time as a percentage of one core.
    pub(crate) cpu_percent: f64,
    /// Requests that the process answered per second, if they were counted.
    pub(crate) requests_per_s: f64,
    /// Requests that the process did not answer with a result.
    pub(crate) failed: u64,
    pub(crate) sockets: Sockets,
    /// The most that the figures may be.
    pub(crate) limit: ProcessLimit,
}

/// The most memory and CPU that a process may take.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ProcessLimit {
    pub(crate) resident_mib: Option<f64>,
    pub(crate) cpu_percent: f64,
}

const AGENT: ProcessLimit = ProcessLimit { resident_mib: Some(10.0), cpu_percent: 0.2 };
const REGISTRY: ProcessLimit = ProcessLimit { resident_mib: None, cpu_percent: 10.0 };

/// Measures a pair of agents at rest, and at the same time another registry under heartbeats.
pub(crate) async fn measure(
    mesh: &Path,
    options: IdleOptions,
) -> anyhow::Result<Vec<ProcessFigures>> {
    let busy = Process::start(mesh, "the registry", &args(&["registry"])).await?;
    heartbeats::register(&busy.address, options.leases).await?;
    let quiet = Process::start(mesh, "the other registry", &args(&["registry"])).await?;
    let mut agents = Vec::new();
    for name in ["agent-1", "agent-2"] {
        let agent = args(&["agent", "--name", name, "--registry", &quiet.address]);
        agents.push(Process::start(mesh, name, &agent).await?);
    }
    let client = Client::new(TokioNet, ClientLimits::default());
    for agent in &agents {
        await_peers(&client, ("an agent", &agent.address), 1, GET_READY).await?;
    }
    drop(client);
    let clock = Clock::start();
    let from = clock.now() + SETTLE;
    let length = Duration::from_secs_f64(options.seconds);
    let until = from + length;
    let plan = RequestPlan {
        address: busy.address.clone(),
        tls: None,
        requests: heartbeats::requests(options.leases),
        connections: options.connections,
        rate: Some(options.leases as f64 / options.heartbeat_s),
        start: clock.now(),
        from,
        until,
    };
    let mut processes = [busy, quiet, agents.remove(0)];
    let usage = async {
        let usage =
            |process: &Process| ProcessUsage::of(&process.id().into_iter().collect::<Vec<_>>());
        clock.sleep_until(from).await;
        let before = processes.each_ref().map(usage);
        // Before the end, because the request generator closes its connections there.
        clock.sleep_until(from + length.mul_f64(NEARLY_ALL)).await;
        let sockets = processes.each_ref().map(|process| Sockets::of(&process.address));
        clock.sleep_until(until).await;
        (before, processes.each_ref().map(usage), sockets)
    };
    let (tally, (before, after, sockets)) = tokio::join!(run(plan, clock), usage);
    processes.iter_mut().try_for_each(Process::must_live)?;
    let tally = tally.context("failed to send heartbeats")?;
    if let Some(failure) = tally.first_failure {
        say(&format!(" warning: {} heartbeats failed, the first: {failure}", tally.failed));
    }
    let heartbeats = tally.answered as f64 / options.seconds;
    let names = [
        (format!("registry, {} leases", options.leases), heartbeats, tally.failed, REGISTRY),
        ("registry, 2 agents".to_owned(), 0.0, 0, REGISTRY),
        ("agent at rest".to_owned(), 0.0, 0, AGENT),
    ];
    names
        .into_iter()
        .enumerate()
        .map(|(number, (what, requests_per_s, failed, limit))| {
            let cpu = after[number].cpu.saturating_sub(before[number].cpu).as_secs_f64();
            Ok(ProcessFigures {
                what,
                resident_mib: after[number].resident as f64 / f64::from(1 << 20),
                cpu_percent: 100.0 * cpu / options.seconds,
                requests_per_s,
                failed,
                sockets: sockets[number].context("failed to read the sockets of this machine")?,
                limit,
            })
        })
        .collect()
}

/// The arguments of a process that listens on any free port.
fn args(args: &[&str]) -> Vec<String> {
    [args, &["--listen", ANY_PORT]].concat().into_iter().map(str::to_owned).collect()
}

/// The figures as a table.
pub(crate) fn render(rows: &[ProcessFigures]) -> String {
    let head = ["process", "RSS MiB", "CPU %", "requests/s", "connections", "limit"];
    let mut out = line(head);
    for ProcessFigures {
        what,
        resident_mib,
        cpu_percent,
        requests_per_s,
        sockets,
        limit,
        failed,
    } in rows
    {
        let memory = limit.resident_mib.map(|most| format!("{most} MiB, "));
        let fits = limit.resident_mib.is_none_or(|most| *resident_mib < most);
        let met = if fits && *cpu_percent < limit.cpu_percent { "ok" } else { "MISSED" };
        out += &line([
            what,
            &format!("{resident_mib:.1}"),
            &format!("{cpu_percent:.2}"),
            &format!("{requests_per_s:.0}"),
            &format!("{} + {}", sockets.open, sockets.closed),
            &format!("< {}{} % {met}", memory.unwrap_or_default(), limit.cpu_percent),
        ]);
        if *failed > 0 {
            out += &format!("   {} failed\n", counted(*failed as usize, "request"));
        }
    }
    out + " connections: open shortly before the end + closed in the minute before\n"
}

fn line(cells: [&str; 6]) -> String {
    let [process, memory, cpu, requests, connections, limit] = cells;
    format!(" {process:<23} {memory:>7} {cpu:>6} {requests:>10} {connections:>11}  {limit}\n")
}
