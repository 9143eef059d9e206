//! How much CPU time jobs, probes, heartbeats and delegations take of an agent.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh_core::protocol::{Reply, Request, Task};
use mesh_node::agent::call;
use mesh_node::http::{Client, ClientLimits};
use mesh_node::{Clock, TokioNet};
use mesh_sim::record::LatencyHistogram;
use tempfile::NamedTempFile;

use super::{PATIENCE, PAUSE, WARM_UP, empty_job, record};
use crate::live::{Process, ProcessUsage, await_peers};

/// The time between two heartbeats, and between two fetches of the list, of the agent that has many.
const OFTEN: Duration = Duration::from_millis(10);
/// The least window of samples that agents take, and how many calls are measured for each sample.
const SAMPLE: Duration = Duration::from_millis(200);
const CALLS_PER_SAMPLE: u64 = 40;

/// CPU times of an agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasuredCosts {
    /// Of a `work` call with an empty job.
    pub(crate) job: Duration,
    /// Of a probe: the mean of asking and answering.
    pub(crate) probe: Duration,
    /// Of a call to the registry.
    pub(crate) heartbeat: Duration,
    /// Of measuring its own load once.
    pub(crate) sample: Duration,
    /// Of a `delegate` call.
    pub(crate) delegation: Duration,
}

/// What was measured of probes of several peers at once.
#[derive(Debug)]
pub(crate) struct ProbeRounds {
    /// How many peers were asked.
    pub(crate) peers: u16,
    /// The round trips of the probes.
    pub(crate) round_trip: LatencyHistogram,
}

/// Measures the costs with so many calls each, and probes of so many peers at once.
pub(super) async fn measure(
    clock: Clock,
    mesh: &Path,
    samples: u64,
    peers: u16,
) -> anyhow::Result<(MeasuredCosts, ProbeRounds)> {
    let group = Group::start(mesh, peers).await?;
    let own = group.cpu_per_call(clock, &group.worker, samples, Request::Work);
    let job = own.await?;
    let answer = group.cpu_per_call(clock, &group.worker, samples, |_| Request::Info).await?;
    let delegation =
        group.cpu_per_call(clock, &group.delegates, samples, Request::Delegate).await?;
    let mut round_trip = LatencyHistogram::default();
    let asks = group
        .cpu_of_calls(clock, &group.asks, samples, Request::Delegate, |reply| {
            // Idle peers have equal queues, so one of them is drawn: this is any one's round trip.
            if let Reply::Delegate(reply) = reply
                && let Some(latency) = reply.delegated_to.latency
            {
                record(&mut round_trip, latency);
            }
        })
        .await?;
    let ask = asks.saturating_sub(delegation) / u32::from(peers);
    let often = format!("heartbeat = \"{0}ms\"\nrefresh = \"{0}ms\"", OFTEN.as_millis());
    // A heartbeat and a fetch of the list each time.
    let rounds = (samples.div_ceil(2), OFTEN);
    let calls = group.cpu_per_round(clock, mesh, rounds, (&often, "1s")).await?;
    let rounds = (samples.div_ceil(CALLS_PER_SAMPLE), SAMPLE);
    let window = format!("{}ms", SAMPLE.as_millis());
    let sample = group.cpu_per_round(clock, mesh, rounds, ("", &window)).await?;
    group.kill().await?;
    let (probe, heartbeat) = ((ask + answer) / 2, calls / 2);
    let costs = MeasuredCosts { job, probe, heartbeat, sample, delegation };
    Ok((costs, ProbeRounds { peers, round_trip }))
}

/// A registry and the agents whose CPU time is measured.
struct Group {
    registry: Process,
    worker: Process,
    /// Delegates without asking anybody.
    delegates: Process,
    /// Asks every peer before it delegates.
    asks: Process,
    /// These make the peers of one agent as many as are to be asked.
    spare: Vec<Process>,
    client: Client<TokioNet>,
}

impl Group {
    async fn start(mesh: &Path, peers: u16) -> anyhow::Result<Self> {
        let registry = start(mesh, "registry", &["registry"]).await?;
        let agent = async |name: &str, policy: &str| {
            let to = ["agent", "--name", name, "--registry", &registry.address];
            start(mesh, name, &[&to[..], &["--policy", policy]].concat()).await
        };
        let mut spare = Vec::new();
        // The worker and one of the two that delegate are peers as well.
        for number in 2..peers {
            spare.push(agent(&format!("spare-{number}"), "random").await?);
        }
        let group = Self {
            spare,
            worker: agent("worker", "random").await?,
            delegates: agent("delegates", "random").await?,
            asks: agent("asks", "shortest_queue").await?,
            client: Client::new(TokioNet, ClientLimits::default()),
            registry,
        };
        for agent in [&group.delegates, &group.asks] {
            await_peers(&group.client, ("an agent", &agent.address), peers.into(), PATIENCE)
                .await?;
        }
        Ok(group)
    }

    /// The CPU time that an agent spends per call of this kind.
    async fn cpu_per_call(
        &self,
        clock: Clock,
        agent: &Process,
        samples: u64,
        request: impl Fn(Task) -> Request,
    ) -> anyhow::Result<Duration> {
        self.cpu_of_calls(clock, agent, samples, request, |_| {}).await
    }

    /// The same, with a look at each answer.
    async fn cpu_of_calls(
        &self,
        clock: Clock,
        agent: &Process,
        samples: u64,
        request: impl Fn(Task) -> Request,
        mut look: impl FnMut(&Reply),
    ) -> anyhow::Result<Duration> {
        let mut before = Duration::ZERO;
        for number in 0..WARM_UP + samples {
            if number == WARM_UP {
                before = cpu_of(agent);
            }
            let request = request(empty_job(number));
            let answer = call(&self.client, &agent.address, &request, PATIENCE).await;
            let reply = answer.map_err(|error| anyhow!("failed to call an agent: {error:?}"))?;
            if number >= WARM_UP {
                look(&reply);
            }
            clock.sleep_until(clock.now() + PAUSE).await;
        }
        Ok(cpu_of(agent).saturating_sub(before).div_f64(samples as f64))
    }

    /// The CPU time that an agent at rest spends in each of so many rounds of this length, with these
    /// settings of `[registry]` and this window of samples.
    async fn cpu_per_round(
        &self,
        clock: Clock,
        mesh: &Path,
        (rounds, length): (u64, Duration),
        (registry, sample): (&str, &str),
    ) -> anyhow::Result<Duration> {
        let mut file = NamedTempFile::new().context("failed to make a file of settings")?;
        writeln!(file, "[registry]\n{registry}")?;
        let settings = file.path().display().to_string();
        let to = ["agent", "--name", "often", "--registry", &self.registry.address];
        let options = ["--config", &settings, "--sample", sample];
        let agent = start(mesh, "often", &[&to[..], &options].concat()).await?;
        clock.sleep_until(clock.now() + OFTEN * WARM_UP as u32).await;
        let (before, from) = (cpu_of(&agent), clock.now());
        clock.sleep_until(from + length * rounds as u32).await;
        let rounds = clock.now().since(from).as_secs_f64() / length.as_secs_f64();
        let used = cpu_of(&agent).saturating_sub(before);
        agent.kill().await?;
        Ok(used.div_f64(rounds))
    }

    async fn kill(self) -> anyhow::Result<()> {
        let spare = self.spare.into_iter();
        for process in spare.chain([self.worker, self.delegates, self.asks, self.registry]) {
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

/// The CPU time that a process has used: to the nanosecond where the system tells what each thread
/// has used, else to 10 ms.
fn cpu_of(process: &Process) -> Duration {
    let id = process.id();
    id.and_then(|id| of_threads(id).ok())
        .filter(|used| !used.is_zero())
        .unwrap_or_else(|| ProcessUsage::of(&id.into_iter().collect::<Vec<_>>()).cpu)
}

fn of_threads(id: u32) -> std::io::Result<Duration> {
    let mut used = 0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let schedule = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = schedule.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
        used += first.unwrap_or_default();
    }
    Ok(Duration::from_nanos(used))
}
