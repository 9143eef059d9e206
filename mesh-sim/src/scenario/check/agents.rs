//! Checks of the groups of agents, and the agents that they stand for.

use std::time::Duration;

use mesh_core::agent::config::{AdmissionConfig, Concurrency};
use mesh_core::profile::Weight;
use mesh_core::protocol::Name;
use mesh_core::skills::Skills;
use mesh_node::work::JobErrors;

use super::Checker;
use super::single_agents::SingleAgentEntry;
use crate::host::IndexedId as _;
use crate::host_names::is_registry_name;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::{AgentSpec, CLIENT, MachineSpec, PolicySpec, REGISTRY, ScaledAgent, raw};
use crate::units::format_duration;

/// The most agents of a scenario.
const MAX_AGENTS: u64 = 100_000;
/// The longest name that the registry accepts, in characters.
const MAX_NAME: usize = 64;
/// Names that no agent may have, because they mean something else in `entry`, patterns and faults.
const RESERVED: [&str; 4] = [REGISTRY, CLIENT, "random", "round_robin"];

impl Checker<'_> {
    /// Every agent, in the order of the file. Adds them to the directory of hosts.
    pub(super) fn agents(&mut self, raw: &raw::Scenario) -> Vec<AgentSpec> {
        let (groups, refresh) = (&raw.agents[..], raw.registry.membership.refresh);
        let total: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
        if total > MAX_AGENTS {
            let title = format!("{total} agents are too many");
            let label = format!("expected at most {MAX_AGENTS} in all groups together");
            self.report(&FieldPath::field("agents").index(groups.len() - 1), title, label);
            // Host patterns are not checked then, because their agents are not in the directory.
            self.hosts_complete = false;
            return Vec::new();
        }
        let mut agents = Vec::new();
        for (position, group) in groups.iter().enumerate() {
            let path = FieldPath::field("agents").index(position);
            let names = self.names(group, &path);
            let machine = self.machine(group, &path);
            self.joins_and_leaves(group, &path);
            self.own_errors(group.errors.as_ref(), &path);
            let single = self.single_agents(group, &names, &path);
            self.homes_of_group(group, &names, &single, &path);
            let equal = AgentSpec {
                name: group.name.as_str().into(),
                skills: skills(&group.skills),
                weight: weight(group.weight),
                site: None,
                machine,
                admission: AdmissionConfig {
                    queue: group.queue,
                    max_depth: group.max_depth,
                    busy_hint: group.busy_hint,
                    ..AdmissionConfig::default()
                },
                policy: self.own_policy(group.policy.as_ref(), &path),
                refresh: group.refresh.map_or(refresh, |own| own.0),
                clock_rate: group.clock_rate,
                errors: group.errors,
                joins: group.joins.0,
                leaves: group.leaves.map(|leaves| leaves.0),
                scaled: ScaledAgent::No,
            };
            agents.extend(names.into_iter().map(|name| {
                let own = single.get(&name);
                let home = self.homes.get(&name).map(|home| &self.sites[home.index()]);
                let site = home.map(|site| site.name.as_str().into());
                with_differences(AgentSpec { name, site, ..equal.clone() }, group, own)
            }));
        }
        self.somebody_is_there(groups);
        agents
    }

    /// The policy of a group, or of an entry of `each`, that has one of its own. `path` is that of
    /// its owner.
    pub(super) fn own_policy(
        &mut self,
        policy: Option<&raw::Policy>,
        path: &FieldPath,
    ) -> Option<PolicySpec> {
        let (policy, path) = (policy?, path.key("policy"));
        if self.source.states(&path, "label") {
            let title = "the policy of some agents is no row of the report";
            self.report(&path.key("label"), title, "expected no `label`");
        }
        if self.source.states(&path, "set") {
            let title = "the policy of some agents can't change the scenario";
            self.report(&path.key("set"), title, "expected no `set`");
        }
        let factory = self.policy(&path, policy)?;
        Some(PolicySpec::shared(factory.name().to_owned(), factory))
    }

    /// Checks the errors of a group, or of an entry of `each`, at `path`.
    pub(super) fn own_errors(&mut self, errors: Option<&JobErrors>, path: &FieldPath) {
        let conflicts = errors.into_iter().flat_map(JobErrors::conflicts);
        conflicts.for_each(|conflict| self.conflict(&path.key("errors"), &conflict));
    }

    /// Checks that agents join and leave while requests arrive, and that they join before they
    /// leave.
    fn joins_and_leaves(&mut self, group: &raw::AgentGroup, path: &FieldPath) {
        let end = format_duration(self.last_arrival);
        let is_late = |field: &str, at: Duration, checker: &mut Self| {
            if !at.is_zero() && at >= checker.last_arrival {
                let title = format!("`{field}` is after the last request");
                let label = format!("expected less than `duration`, which is {end}");
                checker.report(&path.key(field), title, label);
            }
        };
        is_late("joins", group.joins.0, self);
        let Some(leaves) = group.leaves else { return };
        is_late("leaves", leaves.0, self);
        if leaves <= group.joins && !leaves.0.is_zero() {
            let joins = format_duration(group.joins.0);
            let label = format!("expected later than `joins`, which is {joins}");
            self.report(&path.key("leaves"), "agents leave before they join", label);
        }
    }

    /// Checks that at any time of the arrivals there is an agent to which requests can be sent.
    fn somebody_is_there(&mut self, groups: &[raw::AgentGroup]) {
        let is_there = |group: &raw::AgentGroup, at: Duration| {
            group.joins.0 <= at && group.leaves.is_none_or(|leaves| at < leaves.0)
        };
        let leaves = groups.iter().filter_map(|group| Some(group.leaves?.0));
        for at in std::iter::once(Duration::ZERO).chain(leaves) {
            if at >= self.last_arrival || groups.iter().any(|group| is_there(group, at)) {
                continue;
            }
            let left = groups.iter().position(|group| group.leaves.is_some_and(|l| l.0 == at));
            let (position, field) = left.map_or((0, "joins"), |position| (position, "leaves"));
            let path = FieldPath::field("agents").index(position).key(field);
            let title = format!("no agent is there at {}", format_duration(at));
            self.report(&path, title, "requests need an agent to enter through at any time");
            return;
        }
    }

    /// The names of a group's agents. Checks that they are valid and not taken.
    fn names(&mut self, group: &raw::AgentGroup, path: &FieldPath) -> Vec<Name> {
        let path = path.key("name");
        let base = group.name.as_str();
        let names: Vec<Name> = match group.count {
            1 => vec![base.into()],
            count => (1..=count).map(|number| format!("{base}-{number}").into()).collect(),
        };
        if RESERVED.contains(&base) {
            let title = format!("{base:?} can't be an agent's name");
            let label = format!("these names are taken: {}", RESERVED.join(", "));
            self.report(&path, title, label);
            return names;
        }
        if let Some(registry) = names.iter().find(|name| is_registry_name(name)) {
            let title = format!("{registry:?} can't be an agent's name");
            self.report(&path, title, "it is the name of a registry where there are several");
            return names;
        }
        if base.contains("..") {
            let title = format!("{base:?} can't be an agent's name");
            self.report(&path, title, "two dots make a range, like \"agent-1..3\"");
        }
        if let Some(long) = names.last().filter(|name| name.len() > MAX_NAME) {
            let title = format!("the agents' names get longer than {MAX_NAME} characters");
            self.report(&path, title, format!("the last would have {}", long.len()));
        }
        if let Err(taken) = self.hosts.add(base, &names) {
            let title = format!("two agents are called {taken:?}");
            self.report(&path, title, "an earlier group has an agent of this name");
        }
        names
    }

    fn machine(&mut self, group: &raw::AgentGroup, path: &FieldPath) -> MachineSpec {
        let path = path.key("background");
        let background = match &group.background {
            raw::Background::Constant(load) => {
                self.schedule(&path, *load, std::iter::empty(), Duration::MAX)
            }
            raw::Background::Schedule(steps) => {
                let steps = steps.iter().map(|step| (step.at, step.load));
                self.schedule(&path, 0.0, steps, self.end)
            }
        };
        MachineSpec {
            cores: group.cores,
            speed: group.speed,
            wait_speed: group.wait_speed,
            background,
            memory_base_percent: 100.0 * group.memory.base,
            memory_per_job_percent: 100.0 * group.memory.per_job,
            cpu_window: group.cpu_window.0,
        }
    }
}

/// An agent of a group that has the machine of the group, with the fields that are different for
/// this agent.
fn with_differences(
    mut agent: AgentSpec,
    group: &raw::AgentGroup,
    own: Option<&SingleAgentEntry<'_>>,
) -> AgentSpec {
    agent.policy = own.and_then(|own| own.policy.clone()).or(agent.policy);
    let own = own.map(|entry| entry.fields);
    agent.errors = own.and_then(|own| own.errors).or(agent.errors);
    let machine = &mut agent.machine;
    machine.cores = own.and_then(|own| own.cores).unwrap_or(machine.cores);
    machine.speed = own.and_then(|own| own.speed).unwrap_or(machine.speed);
    machine.wait_speed = own.and_then(|own| own.wait_speed).unwrap_or(machine.wait_speed);
    if let Some(own) = own.and_then(|own| own.skills.as_deref()) {
        agent.skills = skills(own);
    }
    agent.weight = own.and_then(|own| own.weight).map_or(agent.weight, weight);
    let concurrency = own.and_then(|own| own.concurrency).or(group.concurrency);
    agent.admission.concurrency = concurrency.unwrap_or(Concurrency::Limit(machine.cores));
    agent
}

/// A weight of the file, which the schema bounds.
fn weight(weight: f64) -> Weight {
    Weight::new(weight).unwrap_or_default()
}

fn skills(names: &[raw::SkillName]) -> Skills {
    names.iter().map(|name| &*name.0).collect()
}
