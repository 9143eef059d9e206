//! Checks of the workload.

use super::Checker;
use crate::host::{AgentId, IndexedId as _};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::text::did_you_mean;
use crate::scenario::{AgentSpec, EntryChoice, SessionSpec, WorkloadSpec, raw};

impl Checker<'_> {
    pub(super) fn workload(&mut self, raw: &raw::Scenario, agents: &[AgentSpec]) -> WorkloadSpec {
        let workload = &raw.workload;
        let path = FieldPath::field("workload");
        WorkloadSpec {
            arrivals: self.arrivals(&path, &workload.arrivals),
            jobs: self.jobs(workload, agents),
            sessions: workload.sessions.as_ref().map(|sessions| SessionSpec {
                share: sessions.share,
                length: sessions.length,
                pause: self.distribution(&path.key("sessions").key("pause"), &sessions.pause),
                warm: sessions.warm,
            }),
            entry: self.entry(&workload.entry, agents),
        }
    }

    /// How the entry agent is chosen. A fixed one must be an agent that is there all the time.
    fn entry(&mut self, entry: &str, agents: &[AgentSpec]) -> EntryChoice {
        match entry {
            "random" => return EntryChoice::Random,
            "round_robin" => return EntryChoice::RoundRobin,
            _ => {}
        }
        let position = agents.iter().position(|agent| &*agent.name == entry);
        if position.is_none() && self.hosts_complete {
            let names = agents.iter().take(1000).map(|agent| &*agent.name);
            let hint = did_you_mean(entry, ["random", "round_robin"].into_iter().chain(names), '"');
            let title = format!("no agent is called {entry:?}");
            let label = format!("{hint}allowed: \"random\", \"round_robin\", an agent's name");
            let path = FieldPath::field("workload").key("entry");
            let problem = self.problem(&path, title, label);
            self.problems.push(problem.note(self.hosts.describe()));
        }
        let agent = AgentId::from_index(position.unwrap_or_default());
        if let Some(spec) = agents.get(agent.index())
            && !(spec.joins.is_zero() && spec.leaves.is_none())
        {
            let title = format!("requests can't enter through {entry} all the time");
            let label = "expected an agent that neither joins nor leaves in the middle of the run";
            self.report(&FieldPath::field("workload").key("entry"), title, label);
        }
        EntryChoice::Fixed(agent)
    }
}
