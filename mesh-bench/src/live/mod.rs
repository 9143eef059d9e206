//! `mesh-bench live`: runs a scenario on real processes and sockets.

mod behaviour_files;
mod host;
mod host_process;
mod link_relays;
mod mesh;
mod precise_timer;
mod process;
mod providers;
mod readiness;
mod registry_door;
mod relay;
mod relayed_connection;
mod shared_recorder;
mod unsupported;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use mesh_core::time::Timestamp;
use mesh_node::{Clock, TokioNet};
use mesh_sim::record::{Recorder, RecorderConfig, RunRecord};
use mesh_sim::scenario::{PolicySpec, Scenario};
use mesh_sim::workload::{Pacing, Workload, WorkloadClient};
use sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

use self::host::CpuSampler;
pub(crate) use self::host::{HostFacts, ProcessUsage};
pub(crate) use self::mesh::ANY_PORT;
use self::mesh::ProcessMesh;
pub(crate) use self::process::Process;
pub(crate) use self::readiness::await_peers;
use self::shared_recorder::SharedRecorder;
pub(crate) use self::unsupported::{UnsupportedField, notes, unsupported_fields};

/// How often the agents' CPU use is sampled, and whether they live. The recorder spreads a sample
/// evenly over the seconds that it reaches into.
const SAMPLE: Duration = Duration::from_millis(500);

/// Which mesh gets the requests of a run.
#[derive(Clone, Debug)]
pub(crate) enum MeshUnderTest {
    /// New processes of this binary, a registry and agents for each run.
    NewProcesses(PathBuf),
    /// The agents that the registry at this address lists. They are not started, faulted or
    /// stopped.
    AlreadyRunning(String),
}

/// Runs one policy with one seed, from the first arrival to the end of the last request.
pub(crate) async fn run(
    scenario: &Scenario,
    mesh: &MeshUnderTest,
    policy: &PolicySpec,
    seed: u64,
) -> anyhow::Result<RunRecord> {
    let seeded = scenario.for_seed(seed);
    let (original, scenario) = (scenario, &*seeded.scenario);
    let recorder = Recorder::new(RecorderConfig::new(scenario, &policy.label, seed));
    let (mut processes, agents) = match mesh {
        MeshUnderTest::NewProcesses(binary) => {
            let mesh = ProcessMesh::start(binary, scenario, policy, seed).await?;
            let agents = mesh.addresses();
            (Some(mesh), agents)
        }
        MeshUnderTest::AlreadyRunning(registry) => (None, mesh::listed(registry, scenario).await?),
    };
    let clock = Clock::start();
    if let Some(mesh) = &processes {
        mesh.providers().begin(clock);
    }
    let recorder = SharedRecorder::new(scenario, clock, recorder);
    let client = WorkloadClient::new((scenario, seed), TokioNet, clock, agents, recorder.clone());
    // The simulation sends the same requests.
    let requests = client.run(Workload::of(scenario, seed), Pacing::Thread);
    match &mut processes {
        Some(mesh) => {
            let mut cpu = CpuWatch { sampler: CpuSampler::new(), since: clock.now() };
            tokio::select! {
                biased;
                () = requests => {}
                failed = watch(mesh, &recorder, clock, &mut cpu) => failed?,
            }
            cpu.take(mesh, &recorder, clock.now());
        }
        None => requests.await,
    }
    let recorder = recorder.take().context("the recorder was taken before the end of the run")?;
    // The hash of the event log stays 0: no live run can be repeated, so there is nothing to
    // compare.
    let record = recorder.finish(0, 0, Vec::new()).by_original_faults(original, &seeded);
    let providers = processes.map(|mesh| mesh.providers().counts()).unwrap_or_default();
    Ok(RunRecord { providers, probes: None, ..record })
}

/// Samples the agents' CPU use. Each sample begins where the one before ends.
struct CpuWatch {
    sampler: CpuSampler,
    /// When the last sample was taken.
    since: Timestamp,
}

impl CpuWatch {
    /// Takes a sample and tells the recorder, unless the time since the last one is too short to
    /// measure.
    fn take(&mut self, mesh: &ProcessMesh, recorder: &SharedRecorder, now: Timestamp) {
        if now < self.since + MINIMUM_CPU_UPDATE_INTERVAL {
            return;
        }
        let percent = self.sampler.sample(&mesh.process_ids());
        recorder.record(|recorder| {
            for (agent, percent) in percent.iter() {
                recorder.cpu(self.since, now, agent, *percent);
            }
        });
        self.since = now;
    }
}

/// Makes the mesh change as the scenario says, and takes samples. Ends only if something goes wrong.
async fn watch(
    mesh: &mut ProcessMesh,
    recorder: &SharedRecorder,
    clock: Clock,
    cpu: &mut CpuWatch,
) -> anyhow::Result<()> {
    let mut boundaries = mesh.boundaries().into_iter().peekable();
    // The first sample only sets the beginning: what is used from here on counts.
    cpu.sampler.sample(&mesh.process_ids());
    loop {
        let sample_at = cpu.since + SAMPLE;
        let next = boundaries.peek().map_or(sample_at, |boundary| sample_at.min(*boundary));
        clock.sleep_until(next).await;
        let now = clock.now();
        mesh.must_live()?;
        // Before the processes change: those that a fault kills have used CPU until now.
        cpu.take(mesh, recorder, now);
        if boundaries.next_if(|boundary| *boundary <= now).is_some() {
            mesh.update(now).await?;
        }
    }
}
