//! A scenario: one experiment, checked and complete.
//!
//! The types in this file are what the engines work from. They are made only from files that passed
//! every check: [`Scenario::read`] reads a file and returns either a complete scenario or all
//! problems of the file. The types in `raw` are the file as it is written.

mod arrivals;
mod autoscale;
mod check;
mod clients;
mod diagnostic;
mod draft;
mod draft_agents;
mod edit_in_place;
#[cfg(feature = "reports")]
mod field_name;
mod file;
mod host_directory;
mod label;
mod limited_fields;
mod name_pattern;
mod parsed_toml;
mod providers;
mod raw;
mod reference;
mod registries;
mod schema;
mod seeded;
mod settings;
mod shape;
mod source;
mod structure;
mod text;
mod upper_bound;
mod variants;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::config::{AdmissionConfig, DelegationConfig, MembershipConfig};
use mesh_core::codec::parts::parts;
use mesh_core::profile::Weight;
use mesh_core::protocol::{Name, Reply};
use mesh_core::registry::LeaseConfig;
use mesh_core::routing::PolicyFactory;
use mesh_core::skills::Skills;
use mesh_node::work::JobErrors;

pub use self::arrivals::{Arrivals, BatchSize, Burst, OnOff, OpenArrivals, RateCurve};
pub use self::autoscale::{AutoscaleSpec, ScaledAgent};
pub use self::clients::{ClientRetries, ClientSpec};
pub use self::diagnostic::{Diagnostics, Problem};
pub use self::draft::Draft;
pub(crate) use self::draft_agents::{edit_agents, grouped_agents, with_agents};
#[cfg(feature = "reports")]
pub(crate) use self::edit_in_place::{keys, set_fields};
#[cfg(feature = "reports")]
pub(crate) use self::field_name::whole_path;
pub use self::file::ScenarioFile;
pub(crate) use self::host_directory::named_in_group;
pub use self::label::find_label;
pub(crate) use self::limited_fields::LimitedFields;
pub(crate) use self::parsed_toml::FieldPath;
pub use self::providers::{ProviderBounds, ProviderSpec, RequestBound};
pub use self::reference::reference;
pub use self::registries::{RegistriesSpec, StoreSpec};
pub use self::schema::{json_schema, json_schema_text};
pub use self::seeded::SeededScenario;
pub(crate) use self::structure::DurationField;
pub use self::upper_bound::UpperBound;
use crate::dist::Distribution;
use crate::faults::{Fault, FaultSchedule, RandomFault};
use crate::figures::{Expect, Objective};
use crate::host::AgentId;
use crate::host_names::host_ranges;
pub use crate::host_names::{CLIENT, REGISTRY};
use crate::network::NetworkSpec;

/// One experiment: agents and their machines, a network, a workload, faults, and the policies to
/// compare.
///
/// A scenario is read from a file, or built in code with
/// [`Simulation::build`](crate::Simulation::build). A [`Run`](crate::engine::Run) of it takes one
/// of its policies and one of its seeds. It does not change during a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The scenario's name. Its results are written to a directory of this name.
    pub name: String,
    /// What the scenario shows, in one line, for the report; empty if the file does not say it.
    pub description: String,
    /// The SHA-256 of the file in hex. Files that it names count with their lines.
    pub sha256: String,
    /// The engine that runs it unless the command line says otherwise.
    pub engine: EngineKind,
    /// The seeds. Each policy runs once with each of them.
    pub seeds: Vec<u64>,
    /// How long requests arrive: they are due in `0..duration`.
    pub duration: Duration,
    /// Requests that were due before this are not counted in the figures.
    pub warm_up: Duration,
    /// Extra time after `duration`, for the last requests to end and the mesh to converge.
    pub drain: Duration,
    /// How long leases last.
    pub leases: LeaseConfig,
    /// How agents use the registry. Its `refresh` does not count, because each agent has its own.
    pub membership: MembershipConfig,
    /// The registries.
    pub registries: RegistriesSpec,
    /// Every agent, in the order of the file, with groups written out.
    pub agents: Vec<AgentSpec>,
    /// The set of agents that grows and shrinks; `None`: all agents are there as planned.
    pub autoscale: Option<AutoscaleSpec>,
    /// Services whose limits agents share.
    pub providers: Vec<ProviderSpec>,
    /// How agents delegate.
    pub delegation: DelegationConfig,
    /// The links between hosts.
    pub network: NetworkSpec,
    /// What jobs and messages cost on top of what jobs demand.
    pub costs: Costs,
    /// The requests that clients send.
    pub workload: WorkloadSpec,
    /// The policies to compare, in the order of the file.
    pub policies: Vec<PolicySpec>,
    /// What goes wrong, in the order of start times.
    pub faults: Vec<Fault>,
    /// What goes wrong at random. [`Self::for_seed`] makes faults of it.
    pub random_faults: Vec<RandomFault>,
    /// What makes one policy better than another.
    pub objective: Objective,
    /// Thresholds by policy label; the key `*` holds those of every policy.
    pub expect: BTreeMap<String, Expect>,
}

impl Scenario {
    /// The schedule of the scenario's faults, with its network. Random faults are not in it: ask the
    /// scenario [for a seed](Self::for_seed).
    pub fn fault_schedule(&self) -> FaultSchedule {
        let agents = self.agents.iter().map(|agent| agent.name.clone());
        FaultSchedule::new(agents, self.registries.count.get(), &self.network, &self.faults)
    }

    /// The agents with policies of their own: each of these policies with its parameters, and the
    /// agents that have it, in short.
    pub fn own_policies(&self) -> Vec<(String, Vec<String>)> {
        let mut policies: Vec<(&PolicySpec, Vec<Name>)> = Vec::new();
        for agent in &self.agents {
            let Some(own) = &agent.policy else { continue };
            match policies.iter_mut().find(|(policy, _)| *policy == own) {
                Some((_, names)) => names.push(agent.name.clone()),
                None => policies.push((own, vec![agent.name.clone()])),
            }
        }
        let in_short = |(policy, names): (&PolicySpec, Vec<Name>)| {
            let parameters = policy.factory.settings().map(ToString::to_string);
            let policy = parameters.unwrap_or_else(|| policy.label.clone());
            (policy, host_ranges(&names))
        };
        policies.into_iter().map(in_short).collect()
    }

    /// The same in words: one line for each policy.
    pub fn own_policies_in_words(&self) -> Vec<String> {
        let line = |(policy, agents): (String, Vec<String>)| {
            format!("{policy} always: {}", agents.join(", "))
        };
        self.own_policies().into_iter().map(line).collect()
    }
}

/// The engines that run a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// The code of mesh-node, with real HTTP bytes over turmoil's simulated TCP.
    Turmoil,
    /// The state machines of mesh-core over one queue of events.
    Event,
}

impl EngineKind {
    /// The engine's name in scenario files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turmoil => "turmoil",
            Self::Event => "event",
        }
    }

    /// The resolution of the engine's time, which reports show beside its figures.
    pub const fn resolution(self) -> &'static str {
        match self {
            Self::Turmoil => "1 ms",
            Self::Event => "1 ns",
        }
    }
}

/// One agent and the machine under it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSpec {
    /// The agent's name, which is unique and also the name of its host.
    pub name: Name,
    /// The machine on which the agent does its jobs.
    pub machine: MachineSpec,
    /// The kinds of jobs that it can do.
    pub skills: Skills,
    /// How much work it says that it can do.
    pub weight: Weight,
    /// The site where it lives; `None` if the scenario has no sites.
    pub site: Option<Name>,
    /// How many jobs the agent runs and queues before it refuses more.
    pub admission: AdmissionConfig,
    /// The policy of the agent; `None`: the one that is compared.
    pub policy: Option<PolicySpec>,
    /// The time between two fetches of the list of peers, before jitter.
    pub refresh: Duration,
    /// How fast the agent's clock runs: 1 is right, 1.01 gains a second in 100.
    pub clock_rate: f64,
    /// The errors that some of its jobs end with.
    pub errors: Option<JobErrors>,
    /// When the agent starts and joins the mesh; zero: it is there from the start.
    pub joins: Duration,
    /// When the agent is told to shut down; `None`: it stays to the end of the run.
    pub leaves: Option<Duration>,
    /// Whether an autoscaler starts and drains the agent.
    pub scaled: ScaledAgent,
}

impl AgentSpec {
    /// Whether the agent has the skill that jobs of this kind demand.
    pub fn can_do(&self, kind: &JobKind) -> bool {
        kind.skill.as_ref().is_none_or(|skill| self.skills.have(skill))
    }

    /// The policy of the agent in a run of the policy `compared`.
    pub fn policy_in<'a>(&'a self, compared: &'a PolicySpec) -> &'a PolicySpec {
        self.policy.as_ref().unwrap_or(compared)
    }
}

/// The machine under an agent: cores that its running jobs share.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineSpec {
    /// The number of cores.
    pub cores: u32,
    /// The work done per second and core; 1 is the reference machine.
    pub speed: f64,
    /// How fast what jobs wait for is: waits take 1 / `wait_speed` of their time.
    pub wait_speed: f64,
    /// The share of all cores that other programs take, 0 to 1: the schedule of its values, by
    /// time.
    pub background: Vec<ScheduleStep>,
    /// The memory in use while no job runs, in percent.
    pub memory_base_percent: f64,
    /// The memory that each running job adds, in percent.
    pub memory_per_job_percent: f64,
    /// CPU % is the busy share of all cores over this window.
    pub cpu_window: Duration,
}

/// What jobs and messages cost on top of what jobs demand. CPU times are those on a core of speed 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// CPU time of each job on top of its demand, while it has a slot.
    pub job: Duration,
    /// CPU time of each job when it arrives, before it runs, waits or is refused.
    pub work: Duration,
    /// Time of each job on top of its wait, without CPU time.
    pub job_delay: Duration,
    /// CPU time of a probe, at the agent that asks and again at the agent that answers.
    pub probe: Duration,
    /// How much later the answer to a probe comes, without CPU time; `None`: no later.
    pub probe_delay: Option<Distribution>,
    /// CPU time of a call to the registry, at the agent that calls.
    pub heartbeat: Duration,
    /// CPU time in which an agent measures its load, once per [`MachineSpec::cpu_window`].
    pub sample: Duration,
    /// CPU time of a delegation, at the agent that delegates.
    pub delegation: Duration,
}

/// A step of a schedule: a value that holds from a time on, until the next step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleStep {
    /// When the value begins to hold, from the start of the run.
    pub at: Duration,
    /// The value, in the unit of what is scheduled.
    pub value: f64,
}

/// The requests that clients send: when, to which agents, and how much work each is.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSpec {
    /// When requests are due.
    pub arrivals: Arrivals,
    /// The kinds of jobs, at least one. [`Arrival::kind`](crate::workload::Arrival::kind) is a
    /// position in this list.
    pub jobs: Vec<JobKind>,
    /// Requests that belong together; `None`: each stands for itself.
    pub sessions: Option<SessionSpec>,
    /// How the entry agent of a request is chosen.
    pub entry: EntryChoice,
    /// What clients do about requests that do not succeed at first.
    pub client: ClientSpec,
}

impl WorkloadSpec {
    /// The kind of a job.
    pub fn job(&self, kind: u16) -> &JobKind {
        &self.jobs[usize::from(kind)]
    }

    /// Whether jobs have others done.
    pub fn has_subjobs(&self) -> bool {
        self.jobs.iter().any(|job| !job.calls.is_empty())
    }

    /// The subjobs that an answer to a request tells of: the kind and the latency of each, as the
    /// job saw it that it is a part of.
    pub fn subjobs_in(&self, reply: &Reply) -> Vec<(u16, Duration)> {
        let Reply::Delegate(reply) = reply else { return Vec::new() };
        if !self.has_subjobs() {
            return Vec::new();
        }
        let kind = |name: &str| self.jobs.iter().position(|job| *job.name == *name);
        let parts = parts(&reply.peer_result.result).into_iter();
        parts.filter_map(|(name, latency)| Some((kind(&name)? as u16, latency))).collect()
    }

    /// The longest deadline of a request.
    pub fn longest_deadline(&self) -> Duration {
        self.jobs.iter().map(|job| job.deadline).max().unwrap_or_default()
    }
}

/// Sessions: requests that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSpec {
    /// The share of the requests that belong to sessions, 0 to 1.
    pub share: f64,
    /// The mean number of requests of a session, at least 1.
    pub length: f64,
    /// The least time between two requests of a session.
    pub pause: Distribution,
    /// What is left of a job's demand and wait at the agent that did the session's last job, 0 to
    /// 1.
    pub warm: f64,
}

/// A kind of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobKind {
    /// What reports call it, unique in the scenario.
    pub name: Name,
    /// How many of the requests are of this kind, relative to the shares of the others.
    pub share: f64,
    /// The CPU time of a job on a core of speed 1.
    pub demand: Distribution,
    /// How long a job waits after it has had its CPU time, for something that takes none; `None`:
    /// not at all.
    pub wait: Option<Distribution>,
    /// The skill that a job demands; `None`: any agent may do it.
    pub skill: Option<Name>,
    /// The jobs that a job has delegated after it has waited: positions in
    /// [`WorkloadSpec::jobs`].
    pub calls: Vec<u16>,
    /// How many of them must be answered; `None`: all.
    pub join: Option<u32>,
    /// Whether each is delegated when the one before it has ended; else all at once.
    pub in_turn: bool,
    /// The client gives up this long after a request was due.
    pub deadline: Duration,
    /// Whether requests say that their jobs may safely be done twice.
    pub idempotent: bool,
}

impl JobKind {
    /// A kind of jobs of which all requests are, with nothing but a demand, a deadline of 5 s and
    /// the name "job".
    pub fn new(demand: Distribution) -> Self {
        Self {
            name: "job".into(),
            share: 1.0,
            demand,
            wait: None,
            skill: None,
            calls: Vec::new(),
            join: None,
            in_turn: false,
            deadline: Duration::from_secs(5),
            idempotent: false,
        }
    }
}

/// How the entry agent of a request is chosen, to which the client sends it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EntryChoice {
    /// At random.
    Random,
    /// The agents take turns.
    RoundRobin,
    /// It is always this agent.
    Fixed(AgentId),
    /// At random by weight: each agent with the sum of the weights up to its own.
    Weighted(Arc<[(AgentId, f64)]>),
}

/// A policy to compare. A scenario file names built-in policies; code that uses this library can
/// add any other to [`Scenario::policies`].
#[derive(Clone, Debug)]
pub struct PolicySpec {
    /// The policy's name in reports and results, unique in the scenario.
    pub label: String,
    /// Builds the policy of each agent.
    pub factory: Arc<dyn PolicyFactory>,
    /// The scenario in which it runs, if the file sets some fields for it alone; `None`: the one
    /// that it is listed in. Requests and faults are the same in both.
    pub variant: Option<Arc<ScenarioFile>>,
}

impl PolicySpec {
    /// A policy with this label.
    pub fn new(label: impl Into<String>, factory: impl PolicyFactory + 'static) -> Self {
        Self::shared(label, Arc::new(factory))
    }

    /// A policy with this label, whose factory may be shared.
    pub fn shared(label: impl Into<String>, factory: Arc<dyn PolicyFactory>) -> Self {
        Self { label: label.into(), factory, variant: None }
    }

    /// The scenario in which it runs, if that is not the one that it is listed in.
    pub fn variant_scenario(&self) -> Option<&Scenario> {
        self.variant.as_ref().map(|file| &file.scenario)
    }
}

// Not derived, because the derived code would move the factory out (rust-lang/rust#78808).
impl PartialEq for PolicySpec {
    fn eq(&self, other: &Self) -> bool {
        let Self { label, factory, variant: _ } = self;
        *label == other.label
            && **factory == *other.factory
            && self.variant_scenario() == other.variant_scenario()
    }
}
