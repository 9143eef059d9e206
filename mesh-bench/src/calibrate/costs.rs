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
use tokio::task::JoinSet;

use super::{PATIENCE, empty_job, record};
use crate::live::{Process, ProcessUsage, await_peers};

/// The time between two heartbeats, and between two fetches of the list, of the agent that has many.
const OFTEN: Duration = Duration::from_millis(10);
/// The least window of samples that agents take, and how many calls are measured for each sample.
const SAMPLE: Duration = Duration::from_millis(200);
const CALLS_PER_SAMPLE: u64 = 40;
/// The first calls of each kind, which open connections and fill caches; they are not counted.
const WARM_UP: u64 = 50;
/// How long a job waits, and the time from one call to the next. So several jobs are under way at
/// once, and an agent has slept or done something else before a job arrives and before it ends. As in
/// a mesh: calls that follow each other at once find everything in the cache, and take half of the
/// CPU time.
const JOB: Duration = Duration::from_millis(200);
const SPACING: Duration = Duration::from_millis(25);
/// How many jobs are at an agent at once, but for one of them waiting, to measure what arrivals cost.
const WAITING: u64 = 25;

/// CPU times of an agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasuredCosts {
    /// Of a job that only waits, without what its arrival takes.
    pub(crate) job: Duration,
    /// Of a job that arrives and has to wait for a slot.
    pub(crate) work: Duration,
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
    let workers = [&group.worker];
    let whole = group.cpu_per_call(clock, &group.worker, &workers, samples, Request::Work, |_| {});
    let whole = whole.await?;
    // Of all agents together, so that what the peers do for a delegation is in it.
    let all = group.agents();
    let delegated = group
        .cpu_per_call(clock, &group.delegates, &all, samples, Request::Delegate, |_| {})
        .await?;
    let mut round_trip = LatencyHistogram::default();
    let asked = group
        .cpu_per_call(clock, &group.asks, &all, samples, Request::Delegate, |reply| {
            // Peers with equal queues are drawn from, so this is any one's round trip.
            if let Reply::Delegate(reply) = reply
                && let Some(latency) = reply.delegated_to.latency
            {
                record(&mut round_trip, latency);
            }
        })
        .await?;
    let probe = asked.saturating_sub(delegated) / (2 * u32::from(peers));
    // Later, because this agent and the next ones stay in the list for a while after their end.
    let work = group.cpu_per_arrival(clock, mesh, samples).await?.min(whole);
    let often = format!("heartbeat = \"{0}ms\"\nrefresh = \"{0}ms\"", OFTEN.as_millis());
    // A heartbeat and a fetch of the list each time.
    let rounds = (samples.div_ceil(2), OFTEN);
    let calls = group.cpu_per_round(clock, mesh, rounds, (&often, "1s")).await?;
    let rounds = (samples.div_ceil(CALLS_PER_SAMPLE), SAMPLE);
    let window = format!("{}ms", SAMPLE.as_millis());
    let sample = group.cpu_per_round(clock, mesh, rounds, ("", &window)).await?;
    group.kill().await?;
    let (job, heartbeat) = (whole - work, calls / 2);
    let delegation = delegated.saturating_sub(whole);
    let costs = MeasuredCosts { job, work, probe, heartbeat, sample, delegation };
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
            // A job that waits for a slot would be measured as a slow one.
            let options = ["--policy", policy, "--concurrency", "unlimited"];
            start(mesh, name, &[&to[..], &options].concat()).await
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

    /// All agents.
    fn agents(&self) -> Vec<&Process> {
        let named = [&self.worker, &self.delegates, &self.asks];
        named.into_iter().chain(&self.spare).collect()
    }

    /// The CPU time that some agents together spend for each call of this kind to one of them. `look`
    /// is shown each answer.
    async fn cpu_per_call(
        &self,
        clock: Clock,
        to: &Process,
        spenders: &[&Process],
        samples: u64,
        request: impl Fn(Task) -> Request,
        mut look: impl FnMut(&Reply),
    ) -> anyhow::Result<Duration> {
        let cpu = || spenders.iter().map(|agent| cpu_of(agent)).sum::<Duration>();
        let mut before = Duration::ZERO;
        let mut calls = JoinSet::new();
        for number in 0..WARM_UP + samples {
            if number == WARM_UP {
                before = cpu();
            }
            let request = request(Task { demand: Some(JOB), ..empty_job(number) });
            let (client, address) = (self.client.clone(), to.address.clone());
            calls.spawn(async move { call(&client, &address, &request, PATIENCE).await });
            clock.sleep_until(clock.now() + SPACING).await;
        }
        // As many jobs are under way as were at the beginning.
        let used = cpu().saturating_sub(before);
        while let Some(answer) = calls.join_next().await {
            let reply = answer.context("a call ended early")?;
            look(&reply.map_err(|error| anyhow!("failed to call an agent: {error:?}"))?);
        }
        Ok(used.div_f64(samples as f64))
    }

    /// The CPU time that an agent spends on a job that arrives while all slots are taken.
    async fn cpu_per_arrival(
        &self,
        clock: Clock,
        mesh: &Path,
        samples: u64,
    ) -> anyhow::Result<Duration> {
        let to = ["agent", "--name", "full", "--registry", &self.registry.address];
        let one_slot = ["--concurrency", "1", "--queue", "1000", "--work", "synthetic"];
        let agent = start(mesh, "full", &[&to[..], &one_slot].concat()).await?;
        let mut calls = JoinSet::new();
        let mut used = Duration::ZERO;
        for number in 0..WARM_UP + samples {
            // The first job of each batch takes the slot, the others wait. Then all are cancelled.
            let batch = number % WAITING;
            if batch == 0 {
                calls = JoinSet::new();
                clock.sleep_until(clock.now() + SPACING * 4).await;
            }
            let demand = Some(PATIENCE);
            let request = Request::Work(Task { demand, ..empty_job(number) });
            let (client, address) = (self.client.clone(), agent.address.clone());
            let before = cpu_of(&agent);
            calls.spawn(async move { call(&client, &address, &request, PATIENCE).await });
            clock.sleep_until(clock.now() + SPACING).await;
            if batch > 0 && number >= WARM_UP {
                used += cpu_of(&agent).saturating_sub(before);
            }
        }
        agent.kill().await?;
        Ok(used.div_f64((samples * (WAITING - 1) / WAITING).max(1) as f64))
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
