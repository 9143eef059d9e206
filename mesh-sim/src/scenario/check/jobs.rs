//! Checks of the kinds of jobs.

use std::collections::BTreeSet;

use mesh_core::subjobs::MAX_TREE;

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
                calls: Vec::new(),
                join: None,
                in_turn: false,
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
        let mut names: Vec<&str> = Vec::new();
        let mut jobs = Vec::new();
        for (position, job) in workload.jobs.iter().enumerate() {
            let path = path.index(position);
            if names.contains(&&*job.name) {
                let title = format!("two kinds of jobs are called {:?}", job.name);
                self.report(&path.key("name"), title, "expected another name");
            }
            names.push(&job.name);
            jobs.push(self.job(&path, job, workload, agents));
        }
        let raw = workload.jobs.iter().zip(&mut jobs).enumerate();
        for (position, (raw, job)) in raw {
            self.calls(&path.index(position), raw, &names, job);
        }
        self.trees(&path, &jobs, agents);
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
        if demand.is_none() && wait.is_none() && job.calls.is_empty() {
            let label = "expected `demand`, the CPU time of a job, or `wait`, or `calls`";
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
            calls: Vec::new(),
            join: job.join,
            in_turn: job.in_turn,
            deadline: job.deadline.unwrap_or(workload.deadline).0,
            idempotent: job.idempotent.unwrap_or(workload.idempotent),
        }
    }

    /// Finds the kinds that a kind calls, and checks that it does not wait for more than that.
    fn calls(&mut self, path: &FieldPath, raw: &raw::JobKind, names: &[&str], job: &mut JobKind) {
        for (number, raw::CalledJobs { job: name, count }) in raw.calls.iter().enumerate() {
            let Some(kind) = names.iter().position(|known| known == name) else {
                let path = path.key("calls").index(number).key("job");
                let hint = did_you_mean(name, names.iter().copied(), '"');
                let label = format!("{hint}expected the name of a kind in `jobs`");
                self.report(&path, format!("no kind of jobs is called {name:?}"), label);
                continue;
            };
            job.calls.extend((0..*count).map(|_| kind as u16));
        }
        // Calls of a kind that does not exist count too: the mistake is only in their name.
        let total: u32 = raw.calls.iter().map(|calls| calls.count).sum();
        if let Some(join) = raw.join.filter(|join| *join > total) {
            let title = format!("a job can't wait for {join} of {total} others");
            self.report(&path.key("join"), title, "expected at most as many as in `calls`");
        }
    }

    /// Checks that no kind leads to itself, and that trees of jobs are neither too large nor deeper
    /// than agents delegate.
    fn trees(&mut self, path: &FieldPath, jobs: &[JobKind], agents: &[AgentSpec]) {
        let most = agents.iter().map(|agent| agent.admission.max_depth).min().unwrap_or_default();
        for kind in 0..jobs.len() {
            let path = path.index(kind).key("calls");
            let name = &jobs[kind].name;
            match tree(jobs, kind, jobs.len()) {
                None => {
                    let title = format!("jobs of kind {name:?} lead to jobs of their own kind");
                    return self.report(&path, title, "expected no circle of `calls`");
                }
                Some((size, _)) if size > MAX_TREE => {
                    let title = format!("a job of kind {name:?} leads to {size} jobs");
                    let label = format!("expected at most {MAX_TREE}, itself included");
                    return self.report(&path, title, label);
                }
                Some((_, depth)) if depth > u64::from(most) => {
                    let title = format!("a job of kind {name:?} is delegated on {depth} times");
                    let label = format!("expected at most {most}, the `max_depth` of the agents");
                    return self.report(&path, title, label);
                }
                Some(_) => {}
            }
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

/// How many jobs a job of this kind leads to, itself included, and how often one of them is
/// delegated from agent to agent. `None` if more kinds than `left` follow each other: then they lead
/// in a circle.
fn tree(jobs: &[JobKind], kind: usize, left: usize) -> Option<(usize, u64)> {
    let left = left.checked_sub(1)?;
    let (mut size, mut depth) = (1usize, 0);
    let mut known: Option<(u16, (usize, u64))> = None;
    for called in &jobs[kind].calls {
        // Calls of one kind stand side by side.
        let below = match known {
            Some((kind, below)) if kind == *called => below,
            _ => tree(jobs, usize::from(*called), left)?,
        };
        known = Some((*called, below));
        size = size.saturating_add(below.0);
        depth = depth.max(below.1);
    }
    Some((size, depth + 1))
}
