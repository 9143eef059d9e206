//! `mesh-bench calibrate`: measures what messages and timers cost on this machine.

mod costs;
mod fragment;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh_core::protocol::{Request, Task};
use mesh_node::agent::call;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::{Clock, Net as _, TokioNet};
use mesh_sim::record::LatencyHistogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::costs::{MeasuredCosts, ProbeRounds};
pub(crate) use self::fragment::render;
use crate::live::Process;

/// Bytes of a message of the ping-pong, about as many as a `work` call has with its headers.
const MESSAGE: usize = 256;
/// The first exchanges, which open connections and fill caches; they are not counted.
const WARM_UP: u64 = 200;
/// How long a timer runs: short, so that many can be measured, but long compared with how late it
/// may be.
const TIMER: Duration = Duration::from_millis(5);
/// Timers take long to measure, so there is one for this many messages.
const MESSAGES_PER_TIMER: u64 = 10;
/// Calls whose CPU time is measured have long pauses between them, so there is one for this many
/// messages.
const MESSAGES_PER_COST: u64 = 20;
/// The pause between two calls. Calls that follow each other at once find everything in the cache,
/// and take half of the time that they take in a mesh.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured, as latencies in nanoseconds.
#[derive(Debug)]
pub(crate) struct Calibration {
    /// Round trips of a message over one TCP connection on loopback.
    pub(crate) round_trip: LatencyHistogram,
    /// `work` calls with an empty job, from one process to another. HTTP, JSON and admission are
    /// included.
    pub(crate) rpc: LatencyHistogram,
    /// How late the runtime's timers are, on which agents sleep for the demand of a job.
    pub(crate) timer: LatencyHistogram,
    /// CPU times of agents.
    pub(crate) costs: MeasuredCosts,
    /// Probes of several peers at once.
    pub(crate) probes: ProbeRounds,
}

/// Measures one thing after the other, with `samples` messages each, and probes of `peers` peers.
pub(crate) async fn measure(mesh: &Path, samples: u64, peers: u16) -> anyhow::Result<Calibration> {
    let clock = Clock::start();
    let round_trip = round_trips(clock, samples).await.context("failed to use loopback")?;
    let rpc = calls(clock, mesh, samples).await?;
    let timer = timers(clock, samples.div_ceil(MESSAGES_PER_TIMER)).await;
    let samples = samples.div_ceil(MESSAGES_PER_COST);
    let (costs, probes) = costs::measure(clock, mesh, samples, peers).await?;
    Ok(Calibration { round_trip, rpc, timer, costs, probes })
}

async fn round_trips(clock: Clock, samples: u64) -> std::io::Result<LatencyHistogram> {
    let listener = TokioNet.bind("127.0.0.1:0").await?;
    let address = TokioNet::local_addr(&listener)?.to_string();
    tokio::spawn(async move {
        let Ok((mut stream, _)) = TokioNet::accept(&listener).await else { return };
        let mut message = [0; MESSAGE];
        // The loop ends when the other end has measured enough and closes the connection.
        while stream.read_exact(&mut message).await.is_ok() {
            if stream.write_all(&message).await.is_err() {
                return;
            }
        }
    });
    let mut stream = TokioNet.connect(&address).await?;
    let mut message = [0; MESSAGE];
    let mut latency = LatencyHistogram::default();
    for number in 0..WARM_UP + samples {
        let start = clock.now();
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
        if number >= WARM_UP {
            record(&mut latency, clock.now().since(start));
        }
    }
    Ok(latency)
}

async fn calls(clock: Clock, mesh: &Path, samples: u64) -> anyhow::Result<LatencyHistogram> {
    let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let listen = ["--listen", "127.0.0.1:0"];
    let registry =
        Process::start(mesh, "registry", &args(&[&["registry"], &listen[..]].concat())).await?;
    let to = ["agent", "--name", "agent-1", "--registry", &registry.address];
    let agent = Process::start(mesh, "agent-1", &args(&[&to, &listen[..]].concat())).await?;
    let client = Client::new(TokioNet, ClientLimits::default());
    let mut latency = LatencyHistogram::default();
    for number in 0..WARM_UP + samples {
        let request = Request::Work(empty_job(number));
        let start = clock.now();
        let answer = call(&client, &agent.address, &request, PATIENCE).await;
        let took = clock.now().since(start);
        clock.sleep_until(clock.now() + PAUSE).await;
        answer.map_err(|error| anyhow!("failed to call an agent: {error:?}"))?;
        if number >= WARM_UP {
            record(&mut latency, took);
        }
    }
    agent.kill().await?;
    registry.kill().await?;
    Ok(latency)
}

/// A job that takes no time.
fn empty_job(number: u64) -> Task {
    Task {
        timeout: Some(PATIENCE),
        demand: Some(Duration::ZERO),
        request: number,
        ..Task::new("simulated job")
    }
}

async fn timers(clock: Clock, samples: u64) -> LatencyHistogram {
    let mut latency = LatencyHistogram::default();
    for _ in 0..samples {
        let end = clock.now() + TIMER;
        tokio::time::sleep(TIMER).await;
        record(&mut latency, clock.now().since(end));
    }
    latency
}

fn record(latency: &mut LatencyHistogram, took: Duration) {
    latency.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}
