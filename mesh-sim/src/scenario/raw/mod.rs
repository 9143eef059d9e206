//! A scenario file as it is written.
//!
//! The JSON Schema is generated from these types: an editor shows their documentation, and files
//! are checked against their bounds. A type that flattens another one can't refuse unknown fields
//! itself; the check against the schema (see [`super::schema`]) does that for all types.

mod arrivals;
mod autoscale;
mod costs;
mod distribution;
mod faults;
mod jobs;
mod network;
mod policies;
mod providers;
mod registries;
mod workload;

use std::collections::BTreeMap;

use mesh_core::agent::config::{AdmissionConfig, Concurrency, DelegationConfig, MembershipConfig};
use mesh_core::registry::LeaseConfig;
use mesh_core::routing::STARTER_POLICIES;
use mesh_core::skills::MAX_SKILLS;
use mesh_node::work::JobErrors;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::arrivals::{
    Arrivals, BatchSize, Burst, OnOff, OpenArrivals, RateCurve, RateStep,
};
pub(crate) use self::autoscale::{Autoscale, ReportOutage};
pub(crate) use self::costs::Costs;
pub(crate) use self::distribution::Distribution;
pub(crate) use self::faults::Fault;
pub(crate) use self::jobs::{CalledJobs, JobKind, JobNeeds, Sessions};
pub(crate) use self::network::{Hosts, Network, Site, SiteLink};
pub(crate) use self::policies::{Policy, PolicyName, PolicyTable};
pub(crate) use self::providers::Provider;
pub(crate) use self::registries::Registries;
pub(crate) use self::workload::{Entry, Workload};
use super::text;
use crate::figures::{Expect, Objective};
use crate::units::DurationText;

/// The greatest seed. JSON readers that keep numbers as doubles still read it exactly.
const MAX_SEED: u64 = (1 << 53) - 1;

/// One experiment: agents, a network, a workload, faults, and the policies to compare.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The scenario's name; its results go to a directory of this name. That of the file, without
    /// its extension, if left out.
    #[schemars(extend("pattern" = text::SCENARIO_NAME, "examples" = ["partition"]))]
    pub(crate) name: Option<String>,
    /// What the scenario shows, in one line; nothing if left out.
    #[schemars(extend("pattern" = text::LINE))]
    pub(crate) description: Option<String>,
    /// The engine that runs the scenario unless `--engine` names another. The other one is for
    /// scenarios that are about connections.
    #[serde(default)]
    pub(crate) engine: Engine,
    /// Each policy runs once with each of these seeds. If left out, `mesh-sim` takes ten, five or
    /// one from 42 on, as many as are cheap for a scenario of this size; a live run takes 42.
    #[serde(default = "default_seeds")]
    #[schemars(length(min = 1, max = 1000), inner(range(min = 0, max = MAX_SEED)))]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) seeds: Vec<u64>,
    /// Requests arrive for this long, in simulated time.
    pub(crate) duration: DurationText,
    /// Requests that were due before this are not in the figures.
    #[serde(default)]
    pub(crate) warm_up: DurationText,
    /// Extra time for the last requests to end and the mesh to converge.
    #[serde(default = "default_drain")]
    pub(crate) drain: DurationText,
    /// The registry and how agents use it.
    #[serde(default)]
    pub(crate) registry: Registry,
    /// The registries of the mesh; one if left out.
    #[serde(default)]
    pub(crate) registries: Registries,
    /// Places where hosts live, each with links of its own. Without any, all links are those of the
    /// network.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub(crate) sites: Vec<Site>,
    /// Groups of equal agents.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) agents: Vec<AgentGroup>,
    /// A set of agents that grows and shrinks with its load. Without it, all agents are there as
    /// planned.
    pub(crate) autoscale: Option<Autoscale>,
    /// Services that agents use for their jobs, with limits that they share.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub(crate) providers: Vec<Provider>,
    /// How agents delegate.
    #[serde(default)]
    pub(crate) delegation: DelegationConfig,
    /// The links between hosts.
    #[serde(default)]
    pub(crate) network: Network,
    /// What jobs and messages cost on top of what jobs demand; nothing if left out.
    #[serde(default)]
    pub(crate) costs: Costs,
    /// The requests that clients send.
    pub(crate) workload: Workload,
    /// The policies to compare: names, or tables with parameters. A few that differ much if left
    /// out.
    #[serde(default = "default_policies")]
    #[schemars(length(min = 1, max = 100), extend("default" = STARTER_POLICIES.map(|policy| policy.name)))]
    pub(crate) policies: Vec<Policy>,
    /// What goes wrong, and when.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub(crate) faults: Vec<Fault>,
    /// What makes one policy better than another; by default the share of answered requests, then
    /// the 99th percentile of latency.
    #[serde(default)]
    pub(crate) objective: Objective,
    /// Thresholds by policy label; those under "*" hold for every policy.
    #[serde(default)]
    pub(crate) expect: BTreeMap<String, Expect>,
}

fn default_seeds() -> Vec<u64> {
    vec![42]
}

/// The policies that a scenario compares if it names none.
fn default_policies() -> Vec<Policy> {
    STARTER_POLICIES.map(|policy| Policy::Name(PolicyName(policy.name.to_owned()))).into()
}

fn default_drain() -> DurationText {
    DurationText::from_secs(10)
}

/// The engine that runs a scenario.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Engine {
    /// Real HTTP bytes over simulated TCP, for up to 40 hosts; resolution 1 ms.
    Turmoil,
    /// The agents alone over a queue of messages, for up to 100,000 of them; resolution 1 ns.
    #[default]
    Event,
}

/// The registry and how agents use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Registry {
    #[serde(flatten)]
    pub(crate) leases: LeaseConfig,
    #[serde(flatten)]
    pub(crate) membership: MembershipConfig,
}

/// A group of equal agents, each on a machine of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentGroup {
    /// The agent's name; if there are several, they are called name-1, name-2 and so on.
    #[serde(default = "default_agent_name")]
    #[schemars(extend("pattern" = text::NAME, "examples" = ["agent"]))]
    pub(crate) name: String,
    /// The site where the agents live; every agent must have one if there are `sites`.
    #[schemars(extend("pattern" = text::NAME))]
    pub(crate) site: Option<String>,
    /// The number of agents in the group.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) count: u32,
    /// Cores of each machine, shared equally by the running jobs.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) cores: u32,
    /// Work done per second and core; 1 is the reference machine.
    #[serde(default = "one_f64")]
    #[schemars(range(max = 1000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) speed: f64,
    /// How fast what jobs wait for is: with 2, waits take half of their time.
    #[serde(default = "one_f64")]
    #[schemars(range(max = 1000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) wait_speed: f64,
    /// The kinds of jobs that the agents can do. A job that demands a skill goes to agents that
    /// have it, a job that demands none to any agent.
    #[serde(default)]
    #[schemars(length(max = MAX_SKILLS))]
    pub(crate) skills: Vec<SkillName>,
    /// How much work each agent says that it can do, relative to others. It says so to policies
    /// whose `weights` are "declared"; the machine is not changed by it.
    #[serde(default = "one_f64")]
    #[schemars(range(min = 0.01, max = 100.0))]
    pub(crate) weight: f64,
    /// Jobs that may run at once; as many as there are cores if left out.
    pub(crate) concurrency: Option<Concurrency>,
    #[serde(default = "default_queue")]
    #[schemars(schema_with = "queue")]
    pub(crate) queue: u32,
    #[serde(default = "default_max_depth")]
    #[schemars(schema_with = "max_depth")]
    pub(crate) max_depth: u32,
    #[serde(default)]
    #[schemars(schema_with = "busy_hint")]
    pub(crate) busy_hint: bool,
    /// The policy of these agents, whichever policy the others are compared with: a name, or a table
    /// with parameters.
    pub(crate) policy: Option<Policy>,
    /// How often the agents fetch the list of peers; the registry's `refresh` if left out.
    pub(crate) refresh: Option<DurationText>,
    /// How fast the agents' clocks run: 1.01 gains a second in 100. Only engine event can honour
    /// values other than 1.
    #[serde(default = "one_f64")]
    #[schemars(range(min = 0.5, max = 2.0))]
    pub(crate) clock_rate: f64,
    /// Share of all cores that other programs take: a ratio, or a schedule of ratios.
    #[serde(default)]
    pub(crate) background: Background,
    /// Memory in use.
    #[serde(default)]
    pub(crate) memory: Memory,
    /// CPU % is the busy share of all cores over this window. Agents that start together measure one
    /// after the other.
    #[serde(default = "default_cpu_window")]
    pub(crate) cpu_window: DurationText,
    /// Errors that some jobs of these agents end with; none if left out.
    pub(crate) errors: Option<JobErrors>,
    /// When the agents join the mesh; before that nothing listens at their addresses. 0s: they are
    /// there from the start.
    #[serde(default)]
    pub(crate) joins: DurationText,
    /// When the agents leave the mesh: they end their leases, take no further requests, and get at
    /// most 11s to finish what they have begun. They stay if left out.
    pub(crate) leaves: Option<DurationText>,
    /// What is different about single agents of the group, by their names or patterns of them, like
    /// "agent-3" or "agent-5..6".
    #[serde(default)]
    pub(crate) each: BTreeMap<String, SingleAgent>,
}

/// What is different about a single agent of a group. A field that is left out is that of the
/// group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SingleAgent {
    /// The site where the agent lives.
    #[schemars(extend("pattern" = text::NAME))]
    pub(crate) site: Option<String>,
    /// Cores of its machine.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) cores: Option<u32>,
    /// Work done per second and core; 1 is the reference machine.
    #[schemars(range(max = 1000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) speed: Option<f64>,
    /// How fast the waits of its jobs go by.
    #[schemars(range(max = 1000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) wait_speed: Option<f64>,
    /// The kinds of jobs that it can do.
    #[schemars(length(max = MAX_SKILLS))]
    pub(crate) skills: Option<Vec<SkillName>>,
    /// How much work it says that it can do, relative to others.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub(crate) weight: Option<f64>,
    /// Jobs that may run at once.
    pub(crate) concurrency: Option<Concurrency>,
    /// Its policy, whichever policy the others are compared with: a name, or a table with parameters.
    pub(crate) policy: Option<Policy>,
    /// Errors that some of its jobs end with.
    pub(crate) errors: Option<JobErrors>,
}

/// The name of a skill.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = text::SKILL, "examples" = ["summarise", "model:x"]))]
pub(crate) struct SkillName(pub(crate) String);

fn default_agent_name() -> String {
    "agent".to_owned()
}

fn one() -> u32 {
    1
}

fn one_f64() -> f64 {
    1.0
}

fn default_queue() -> u32 {
    AdmissionConfig::default().queue
}

fn default_max_depth() -> u32 {
    AdmissionConfig::default().max_depth
}

fn queue(_: &mut SchemaGenerator) -> Schema {
    admission("/properties/queue")
}

fn max_depth(_: &mut SchemaGenerator) -> Schema {
    admission("/properties/max_depth")
}

fn busy_hint(_: &mut SchemaGenerator) -> Schema {
    admission("/properties/busy_hint")
}

/// The schema of a field of the agents' own settings, which scenario files repeat.
fn admission(field: &str) -> Schema {
    let admission = schemars::schema_for!(AdmissionConfig);
    let field = admission.pointer(field).and_then(Value::as_object).cloned();
    field.unwrap_or_default().into()
}

fn default_cpu_window() -> DurationText {
    DurationText::from_secs(1)
}

/// Share of all cores that other programs take.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Background {
    /// The same share all the time.
    Constant(#[schemars(range(min = 0.0, max = 0.99))] f64),
    /// Shares by time, in order; zero before the first.
    Schedule(#[schemars(length(min = 1, max = 10_000))] Vec<LoadStep>),
}

impl Default for Background {
    fn default() -> Self {
        Self::Constant(0.0)
    }
}

/// A background load from a time on.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadStep {
    /// When this share begins to hold.
    pub(crate) at: DurationText,
    /// Share of all cores.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub(crate) load: f64,
}

/// Memory in use, as ratios of the whole.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Memory {
    /// While no job runs.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) base: f64,
    /// Added by each running job.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) per_job: f64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { base: 0.2, per_job: 0.01 }
    }
}
