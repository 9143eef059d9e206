//! A scenario on real processes and sockets.

mod burn;
mod host;
mod limits;
mod load;
mod mesh;
mod peers;
mod process;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use mesh_node::Clock;
use mesh_sim::record::{Recorder, RecorderConfig, RunRecord};
use mesh_sim::scenario::{PolicySpec, Scenario};

use self::host::CpuSampler;
pub(crate) use self::host::{HostFacts, Usage};
pub(crate) use self::limits::{Refusal, notes, refusals};
use self::load::Load;
pub(crate) use self::mesh::ANY_PORT;
use self::mesh::Mesh;
pub(crate) use self::peers::await_peers;
pub(crate) use self::process::Process;

/// How often the agents' CPU use is sampled, and whether they live: the recorder wants one sample
/// per second at least.
const SAMPLE: Duration = Duration::from_millis(500);

/// Whose agents get the requests.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Fresh processes of this binary.
    Processes(PathBuf),
    /// Those that the registry at this address lists.
    Running(String),
}

/// One policy with one seed, from the first arrival to the end of the last request.
pub(crate) async fn run(
    scenario: &Scenario,
    place: &Place,
    policy: &PolicySpec,
    seed: u64,
) -> anyhow::Result<RunRecord> {
    let recorder = Recorder::new(RecorderConfig::new(scenario, &policy.label, seed));
    let (mut mesh, agents) = match place {
        Place::Processes(binary) => {
            let mesh = Mesh::start(binary, scenario, policy).await?;
            let agents = mesh.agents();
            (Some(mesh), agents)
        }
        Place::Running(registry) => (None, mesh::listed(registry, scenario).await?),
    };
    let clock = Clock::start();
    let load = Load::new(scenario, &agents, clock, recorder);
    let requests = load.run(scenario, seed);
    match &mut mesh {
        Some(mesh) => tokio::select! {
            biased;
            () = requests => {}
            failed = watch(mesh, &load, clock) => failed?,
        },
        None => requests.await,
    }
    let recorder = load.take_recorder().context("the run was over before")?;
    // There is no log of events to hash: nothing could repeat it.
    Ok(recorder.finish(0, 0, Vec::new()))
}

/// Applies faults and takes samples. Ends only if something goes wrong.
async fn watch(mesh: &mut Mesh, load: &Load, clock: Clock) -> anyhow::Result<()> {
    let mut boundaries = mesh.boundaries().into_iter().peekable();
    let mut sampler = CpuSampler::new();
    let mut sample_at = clock.now();
    loop {
        let next = boundaries.peek().map_or(sample_at, |boundary| sample_at.min(*boundary));
        clock.sleep_until(next).await;
        let now = clock.now();
        if boundaries.next_if(|boundary| *boundary <= now).is_some() {
            mesh.apply_faults(now).await?;
        }
        if sample_at <= now {
            mesh.must_live()?;
            let percent = sampler.sample(&mesh.agent_ids());
            load.record(|recorder| {
                percent.iter().enumerate().for_each(|(agent, cpu)| recorder.cpu(now, agent, *cpu));
            });
            sample_at = now + SAMPLE;
        }
    }
}
