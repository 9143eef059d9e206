//! How much CPU time jobs, probes, heartbeats and delegations take of an agent.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh_core::protocol::Request;
use mesh_node::agent::call;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::{Clock, TokioNet};
use tempfile::NamedTempFile;

use super::{PATIENCE, PAUSE, WARM_UP, empty_job};
use crate::live::{Process, ProcessUsage, await_peers};

/// The time between two heartbeats, and between two fetches of the list, of the agent that has many.
const HEARTBEAT: Duration = Duration::from_millis(10);
/// The agents that delegate know this many peers.
const PEERS: usize = 3;

/// CPU times of an agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasuredCosts {
    /// Of a `work` call with an empty job.
    pub(crate) job: Duration,
    /// Of a probe: the mean of asking and answering.
    pub(crate) probe: Duration,
    /// Of a call to the registry.
    pub(crate) heartbeat: Duration,
    /// Of a `delegate` call.
    pub(crate) delegation: Duration,
}

/// Measures the costs with so many calls each.
pub(super) async fn measure(
    clock: Clock,
    mesh: &Path,
    samples: u64,
) -> anyhow::Result<MeasuredCosts> {
    let group = Group::start(mesh).await?;
    let own = group.cpu_per_call(clock, &group.worker, samples, Request::Work);
    let job = own.await?;
    let answer = group.cpu_per_call(clock, &group.worker, samples, |_| Request::Info).await?;
    let delegation =
        group.cpu_per_call(clock, &group.delegates, samples, Request::Delegate).await?;
    let asks = group.cpu_per_call(clock, &group.asks, samples, Request::Delegate).await?;
    let ask = asks.saturating_sub(delegation) / PEERS as u32;
    let heartbeat = group.heartbeat(clock, mesh, samples).await?;
    group.kill().await?;
    Ok(MeasuredCosts { job, probe: (ask + answer) / 2, heartbeat, delegation })
}

/// A registry and the agents whose CPU time is measured.
struct Group {
    registry: Process,
    worker: Process,
    /// Delegates without asking anybody.
    delegates: Process,
    /// Asks every peer before it delegates.
    asks: Process,
    /// Makes the peers as many as [`PEERS`].
    spare: Process,
    client: Client<TokioNet>,
}

impl Group {
    async fn start(mesh: &Path) -> anyhow::Result<Self> {
        let registry = start(mesh, "registry", &["registry"]).await?;
        let agent = async |name: &str, policy: &str| {
            let to = ["agent", "--name", name, "--registry", &registry.address];
            start(mesh, name, &[&to[..], &["--policy", policy]].concat()).await
        };
        let group = Self {
            worker: agent("worker", "random").await?,
            delegates: agent("delegates", "random").await?,
            asks: agent("asks", "shortest_queue").await?,
            spare: agent("spare", "random").await?,
            client: Client::new(TokioNet, ClientLimits::default()),
            registry,
        };
        for agent in [&group.delegates, &group.asks] {
            await_peers(&group.client, ("an agent", &agent.address), PEERS, PATIENCE).await?;
        }
        Ok(group)
    }

    /// The CPU time that an agent spends per call of this kind.
    async fn cpu_per_call(
        &self,
        clock: Clock,
        agent: &Process,
        samples: u64,
        request: impl Fn(mesh_core::protocol::Task) -> Request,
    ) -> anyhow::Result<Duration> {
        let mut before = Duration::ZERO;
        for number in 0..WARM_UP + samples {
            if number == WARM_UP {
                before = cpu_of(agent);
            }
            let request = request(empty_job(number));
            let answer = call(&self.client, &agent.address, &request, PATIENCE).await;
            answer.map_err(|error| anyhow!("failed to call an agent: {error:?}"))?;
            clock.sleep_until(clock.now() + PAUSE).await;
        }
        Ok(cpu_of(agent).saturating_sub(before).div_f64(samples as f64))
    }

    /// The CPU time that an agent spends per call to the registry.
    async fn heartbeat(&self, clock: Clock, mesh: &Path, samples: u64) -> anyhow::Result<Duration> {
        let mut often = NamedTempFile::new().context("failed to make a file of settings")?;
        let ms = HEARTBEAT.as_millis();
        write!(often, "[registry]\nheartbeat = \"{ms}ms\"\nrefresh = \"{ms}ms\"\n")?;
        let settings = often.path().display().to_string();
        let to = ["agent", "--name", "often", "--registry", &self.registry.address];
        let args = [&to[..], &["--config", &settings]].concat();
        let agent = start(mesh, "often", &args).await?;
        clock.sleep_until(clock.now() + HEARTBEAT * WARM_UP as u32).await;
        let before = cpu_of(&agent);
        // A heartbeat and a fetch of the list each time.
        let rounds = samples.div_ceil(2);
        let from = clock.now();
        clock.sleep_until(from + HEARTBEAT * rounds as u32).await;
        let calls = 2.0 * clock.now().since(from).as_secs_f64() / HEARTBEAT.as_secs_f64();
        let used = cpu_of(&agent).saturating_sub(before);
        agent.kill().await?;
        Ok(used.div_f64(calls))
    }

    async fn kill(self) -> anyhow::Result<()> {
        for process in [self.worker, self.delegates, self.asks, self.spare, self.registry] {
            process.kill().await?;
        }
        Ok(())
    }
}

async fn start(mesh: &Path, name: &str, args: &[&str]) -> anyhow::Result<Process> {
    let args = [args, &["--listen", "127.0.0.1:0"]].concat();
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    Process::start(mesh, name, &args).await
}

fn cpu_of(process: &Process) -> Duration {
    ProcessUsage::of(&process.id().into_iter().collect::<Vec<_>>()).cpu
}
