//! The files that tell agents how to do their jobs, as the faults of a run change it.

use std::fs;
use std::iter::once;
use std::path::PathBuf;

use anyhow::Context as _;
use mesh_core::Timestamp;
use mesh_node::work::{JobBehaviour, JobErrors};
use mesh_sim::faults::FaultSchedule;
use mesh_sim::host::{AgentId, AgentMap};
use mesh_sim::scenario::{Scenario, ScheduleStep};
use tempfile::TempDir;

/// A file for each agent that ends jobs with errors in a run, is slowed down, or has cores that other
/// programs use. The agent reads it
/// again and again (`mesh agent --behaviour`).
#[derive(Debug)]
pub(super) struct BehaviourFiles {
    directory: TempDir,
    /// Each agent's own errors, which hold while no fault sets others.
    errors: AgentMap<Option<JobErrors>>,
    /// The schedule of each agent's background load, which holds while no fault sets another.
    background: AgentMap<Vec<ScheduleStep>>,
    /// What stands in the file of each agent; `None` if it needs no file.
    written: AgentMap<Option<JobBehaviour>>,
}

impl BehaviourFiles {
    /// The files for a run, as they must be at its start.
    pub(super) fn write(scenario: &Scenario, faults: &FaultSchedule) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("failed to make a directory for behaviours")?;
        let agents = scenario.agents.iter();
        let mut files = Self {
            directory,
            errors: agents.clone().map(|agent| agent.errors).collect(),
            background: agents.map(|agent| agent.machine.background.clone()).collect(),
            written: AgentMap::filled(None, scenario.agents.len()),
        };
        let usual = JobBehaviour::default();
        let times: Vec<Timestamp> =
            faults.boundaries().iter().copied().chain(files.changes()).collect();
        for agent in files.written.ids() {
            let mut times = once(Timestamp::ZERO).chain(times.iter().copied());
            if times.any(|at| files.behaviour(faults, agent, at) != usual) {
                files.replace(agent, files.behaviour(faults, agent, Timestamp::ZERO))?;
            }
        }
        Ok(files)
    }

    /// The file of an agent; `None` if it always does its jobs as usual.
    pub(super) fn of(&self, agent: AgentId) -> Option<PathBuf> {
        self.written[agent].map(|_| self.path(agent))
    }

    /// When a file changes although no fault begins or ends then.
    pub(super) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        self.background.values().iter().flatten().map(|step| step.at.into())
    }

    /// Makes the files say what holds at this time.
    pub(super) fn update(&mut self, faults: &FaultSchedule, now: Timestamp) -> anyhow::Result<()> {
        for agent in self.written.ids() {
            let behaviour = self.behaviour(faults, agent, now);
            if self.written[agent].is_some_and(|written| written != behaviour) {
                self.replace(agent, behaviour)?;
            }
        }
        Ok(())
    }

    fn behaviour(&self, faults: &FaultSchedule, agent: AgentId, at: Timestamp) -> JobBehaviour {
        let state = faults.machine(agent, at);
        let begun = self.background[agent].iter().take_while(|step| Timestamp::from(step.at) <= at);
        let scheduled = begun.last().map_or(0.0, |step| step.value);
        JobBehaviour {
            speed_factor: state.speed_factor,
            background: state.background.unwrap_or(scheduled),
            errors: state.errors.or(self.errors[agent]),
        }
    }

    /// Replaces a file as a whole, because its agent may read it at any time.
    fn replace(&mut self, agent: AgentId, behaviour: JobBehaviour) -> anyhow::Result<()> {
        let (path, new) = (self.path(agent), self.directory.path().join("new"));
        fs::write(&new, serde_json::to_string(&behaviour)?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("failed to write {}", path.display()))?;
        self.written[agent] = Some(behaviour);
        Ok(())
    }

    fn path(&self, agent: AgentId) -> PathBuf {
        self.directory.path().join(format!("{}.json", agent.host()))
    }
}
