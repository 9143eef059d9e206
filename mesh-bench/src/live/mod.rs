//! A scenario on real processes and sockets.

mod burn;
mod host;
mod limits;
mod mesh;
mod peers;
mod process;
mod shared_recorder;

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
pub(crate) use self::limits::{UnsupportedField, notes, refusals};
pub(crate) use self::mesh::ANY_PORT;
use self::mesh::ProcessMesh;
pub(crate) use self::peers::await_peers;
pub(crate) use self::process::Process;
use self::shared_recorder::SharedRecorder;

/// How often the agents' CPU use is sampled, and whether they live. A sample is spread evenly over
/// the seconds that it reaches into.
const SAMPLE: Duration = Duration::from_millis(500);

/// Whose agents get the requests.
#[derive(Clone, Debug)]
pub(crate) enum MeshUnderTest {
    /// Fresh processes of this binary.
    NewProcesses(PathBuf),
    /// Those that the registry at this address lists.
    AlreadyRunning(String),
}

/// One policy with one seed, from the first arrival to the end of the last request.
pub(crate) async fn run(
    scenario: &Scenario,
    place: &MeshUnderTest,
    policy: &PolicySpec,
    seed: u64,
) -> anyhow::Result<RunRecord> {
    let recorder = Recorder::new(RecorderConfig::new(scenario, &policy.label, seed));
    let (mut mesh, agents) = match place {
        MeshUnderTest::NewProcesses(binary) => {
            let mesh = ProcessMesh::start(binary, scenario, policy).await?;
            let agents = mesh.addresses();
            (Some(mesh), agents)
        }
        MeshUnderTest::AlreadyRunning(registry) => (None, mesh::listed(registry, scenario).await?),
    };
    let clock = Clock::start();
    let recorder = SharedRecorder::new(scenario, clock, recorder);
    let client = WorkloadClient::new(scenario, TokioNet, clock, agents, recorder.clone());
    // The same requests as the simulation's.
    let requests = client.run(Workload::of(scenario, seed), Pacing::Thread);
    match &mut mesh {
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
    let recorder = recorder.take().context("the run was over before")?;
    // There is no log of events to hash: nothing could repeat it.
    Ok(recorder.finish(0, 0, Vec::new()))
}

/// Samples of the agents' CPU use, end to end.
struct CpuWatch {
    sampler: CpuSampler,
    /// When the last one was taken.
    since: Timestamp,
}

impl CpuWatch {
    /// Tells the recorder of the time since the last sample, unless that is too short to measure.
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

/// Applies faults and takes samples. Ends only if something goes wrong.
async fn watch(
    mesh: &mut ProcessMesh,
    recorder: &SharedRecorder,
    clock: Clock,
    cpu: &mut CpuWatch,
) -> anyhow::Result<()> {
    let mut boundaries = mesh.boundaries().into_iter().peekable();
    // What is used from here on counts.
    cpu.sampler.sample(&mesh.process_ids());
    loop {
        let sample_at = cpu.since + SAMPLE;
        let next = boundaries.peek().map_or(sample_at, |boundary| sample_at.min(*boundary));
        clock.sleep_until(next).await;
        let now = clock.now();
        mesh.must_live()?;
        // Before a fault: what it kills has been busy until then.
        cpu.take(mesh, recorder, now);
        if boundaries.next_if(|boundary| *boundary <= now).is_some() {
            mesh.apply_faults(now).await?;
        }
    }
}
