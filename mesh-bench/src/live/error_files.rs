//! The files that tell agents which of their jobs to end with an error.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use mesh_core::Timestamp;
use mesh_node::work::JobErrors;
use mesh_sim::faults::FaultSchedule;
use mesh_sim::host::{AgentId, AgentMap};
use mesh_sim::scenario::Scenario;
use tempfile::TempDir;

/// A file for each agent that ends jobs with errors in a run, all the time or during faults. The
/// agent reads it anew for each job (`mesh agent --errors`).
#[derive(Debug)]
pub(super) struct ErrorFiles {
    directory: TempDir,
    /// Each agent's own errors, which hold while no fault sets others.
    steady: AgentMap<Option<JobErrors>>,
    /// What stands in the files.
    written: AgentMap<Option<JobErrors>>,
    /// Whether the agent has a file.
    has_file: AgentMap<bool>,
}

impl ErrorFiles {
    /// The files for a run, as they must be at its start.
    pub(super) fn write(scenario: &Scenario, faults: &FaultSchedule) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("failed to make a directory for errors")?;
        let steady: AgentMap<_> = scenario.agents.iter().map(|agent| agent.errors).collect();
        let may_err = |agent| steady[agent].is_some() || faults.may_err(agent);
        let has_file = faults.hosts().agents().map(may_err).collect();
        let written = AgentMap::filled(None, steady.len());
        let mut files = Self { directory, steady, written, has_file };
        files.update(faults, Timestamp::ZERO)?;
        Ok(files)
    }

    /// The file of an agent; `None` if none of its jobs ever ends with an error.
    pub(super) fn of(&self, agent: AgentId) -> Option<PathBuf> {
        self.has_file[agent].then(|| self.path(agent))
    }

    /// Makes the files say what holds at this time.
    pub(super) fn update(&mut self, faults: &FaultSchedule, now: Timestamp) -> anyhow::Result<()> {
        for agent in self.has_file.ids().filter(|agent| self.has_file[*agent]) {
            let errors = faults.machine(agent, now).errors.or(self.steady[agent]);
            if errors != self.written[agent] {
                self.replace(agent, errors)?;
                self.written[agent] = errors;
            }
        }
        Ok(())
    }

    /// Replaces a file as a whole, because its agent may read it at any time.
    fn replace(&self, agent: AgentId, errors: Option<JobErrors>) -> anyhow::Result<()> {
        let text = errors.map(|errors| serde_json::to_string(&errors)).transpose()?;
        let (path, new) = (self.path(agent), self.directory.path().join("new"));
        fs::write(&new, text.unwrap_or_default())
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    fn path(&self, agent: AgentId) -> PathBuf {
        self.directory.path().join(format!("{}.json", agent.host()))
    }
}
