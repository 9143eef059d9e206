//! Checks of the kinds of jobs.

use std::collections::BTreeSet;

use super::Checker;
use crate::dist::Distribution;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::text::did_you_mean;
use crate::scenario::{AgentSpec, JobKind, raw};

impl Checker<'_> {
    /// The kinds of jobs of a workload: those of the list, or the only one, whose fields stand in
    /// the workload itself.
    pub(super) fn jobs(&mut self, workload: &raw::Workload, agents: &[AgentSpec]) -> Vec<JobKind> {
        let path = FieldPath::field("workload");
        if workload.jobs.is_empty() {
            let only = raw::JobKind {
                name: "job".to_owned(),
                share: 1.0,
                needs: workload.needs.clone(),
                deadline: None,
                idempotent: None,
            };
            return vec![self.job(&path, &only, workload, agents)];
        }
        for field in ["demand", "wait", "skill"] {
            if self.source.states(&path, field) {
                let title = format!("`{field}` stands beside `jobs`");
                self.report(&path.key(field), title, "expected in each item of `jobs` instead");
            }
        }
        let path = path.key("jobs");
        let mut names = BTreeSet::new();
        let mut jobs = Vec::new();
        for (position, job) in workload.jobs.iter().enumerate() {
            let path = path.index(position);
            if !names.insert(&job.name) {
                let title = format!("two kinds of jobs are called {:?}", job.name);
                self.report(&path.key("name"), title, "expected another name");
            }
            jobs.push(self.job(&path, job, workload, agents));
        }
        if jobs.iter().all(|job| job.share == 0.0) {
            let label = "expected a share above 0 in one of the kinds";
            self.report(&path, "no kind of jobs has a share", label);
        }
        jobs
    }

    fn job(
        &mut self,
        path: &FieldPath,
        job: &raw::JobKind,
        workload: &raw::Workload,
        agents: &[AgentSpec],
    ) -> JobKind {
        let raw::JobNeeds { demand, wait, skill } = &job.needs;
        if demand.is_none() && wait.is_none() {
            let label = "expected `demand`, the CPU time of a job, or `wait`, or both";
            self.report(path, "jobs that take no time", label);
        }
        if let Some(skill) = skill {
            self.somebody_has(path, skill, agents);
        }
        let none = Distribution::Constant { value: 0.0 };
        let demand = demand.as_ref().map(|raw| self.distribution(&path.key("demand"), raw));
        JobKind {
            name: job.name.as_str().into(),
            share: job.share,
            demand: demand.unwrap_or(none),
            wait: wait.as_ref().map(|raw| self.distribution(&path.key("wait"), raw)),
            skill: skill.as_deref().map(Into::into),
            deadline: job.deadline.unwrap_or(workload.deadline).0,
            idempotent: job.idempotent.unwrap_or(workload.idempotent),
        }
    }

    /// Checks that an agent has the skill.
    fn somebody_has(&mut self, path: &FieldPath, skill: &str, agents: &[AgentSpec]) {
        if !self.hosts_complete || agents.iter().any(|agent| agent.skills.have(skill)) {
            return;
        }
        let all: BTreeSet<&str> = agents
            .iter()
            .flat_map(|agent| agent.skills.as_slice().iter().map(|skill| &**skill))
            .collect();
        let hint = did_you_mean(skill, all.iter().copied(), '"');
        let label = match all.is_empty() {
            true => "expected `skills = [...]` in a group of agents".to_owned(),
            false => format!("{hint}expected a skill from `skills` of a group of agents"),
        };
        self.report(&path.key("skill"), format!("no agent has the skill {skill:?}"), label);
    }
}
