//! A scenario: one experiment, checked and complete.
//!
//! The types here are what the engines work from. They exist only past the door: [`Scenario::load`]
//! reads a file, collects every problem in it and either returns a whole scenario or all of them.

mod check;
mod diagnostic;
mod draft;
mod edit;
mod hosts;
mod limited_fields;
mod load;
mod raw;
mod schema;
mod settings;
mod shape;
mod source;
mod text;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::config::{AdmissionConfig, DelegationConfig, MembershipConfig};
use mesh_core::protocol::Name;
use mesh_core::registry::LeaseConfig;
use mesh_core::routing::PolicyFactory;

pub use self::diagnostic::{Diagnostics, Problem};
pub use self::draft::Draft;
#[cfg(feature = "reports")]
pub(crate) use self::edit::{keys, set_fields};
pub(crate) use self::limited_fields::LimitedFields;
pub use self::load::Loaded;
pub use self::schema::{json_schema, json_schema_text};
pub(crate) use self::source::Path as FieldPath;
pub(crate) use self::walk::FoundDuration;
use crate::dist::Distribution;
use crate::faults::{Fault, FaultSchedule};
use crate::figures::Expect;
use crate::host::AgentId;
pub use crate::host_names::{CLIENT, REGISTRY};
use crate::network::NetworkSpec;

/// One experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Names the results directory.
    pub name: String,
    /// One line for the report.
    pub description: String,
    /// SHA-256 of the file, with the lines of files that it names in their places, in hex.
    pub sha256: String,
    /// Which engine runs it unless the command line says otherwise.
    pub engine: EngineKind,
    /// Each policy runs once per seed.
    pub seeds: Vec<u64>,
    /// Arrivals happen in `0..duration`.
    pub duration: Duration,
    /// Requests that were due before this are not in the figures.
    pub warm_up: Duration,
    /// Extra time after `duration` for the last requests to end and the mesh to converge.
    pub drain: Duration,
    /// How long leases last.
    pub leases: LeaseConfig,
    /// How agents use the registry, but that each has a `refresh` of its own.
    pub membership: MembershipConfig,
    /// Every agent, groups expanded, in file order.
    pub agents: Vec<AgentSpec>,
    /// How agents delegate.
    pub delegation: DelegationConfig,
    /// One-way latencies.
    pub network: NetworkSpec,
    /// What load arrives.
    pub workload: WorkloadSpec,
    /// The policies to compare, in file order.
    pub policies: Vec<PolicySpec>,
    /// What goes wrong, by start time.
    pub faults: Vec<Fault>,
    /// Thresholds by policy label; the key `*` holds those of every policy.
    pub expect: BTreeMap<String, Expect>,
}

impl Scenario {
    /// When its faults hold, and on what network.
    pub fn fault_schedule(&self) -> FaultSchedule {
        let agents = self.agents.iter().map(|agent| agent.name.clone());
        FaultSchedule::new(agents, &self.network, &self.faults)
    }
}

/// The engines that run a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// Byte-level simulation over turmoil's TCP.
    Turmoil,
    /// The state machines over one queue of events.
    Event,
}

impl EngineKind {
    /// Its name in scenario files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turmoil => "turmoil",
            Self::Event => "event",
        }
    }

    /// The grain of its time, to be said with its figures.
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
    /// Unique; also its host name.
    pub name: Name,
    /// Its machine.
    pub machine: MachineSpec,
    /// Which jobs it takes.
    pub admission: AdmissionConfig,
    /// It fetches the list of peers this often, before jitter.
    pub refresh: Duration,
    /// How fast its clock runs; 1 is right.
    pub clock_rate: f64,
    /// When it starts and joins the mesh; zero: it is there from the start.
    pub joins: Duration,
    /// When it is told to shut down; `None`: it stays to the end of the run.
    pub leaves: Option<Duration>,
}

/// A machine: cores shared by the running jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineSpec {
    /// Number of cores.
    pub cores: u32,
    /// Work done per second and core; 1 is the reference.
    pub speed: f64,
    /// Share of all cores taken by others, 0 to 1, from each time on; sorted by time.
    pub background: Vec<Step>,
    /// Memory in use at rest, percent.
    pub memory_base_percent: f64,
    /// Memory that each running job adds, percent.
    pub memory_per_job_percent: f64,
    /// CPU % is the busy share over this window.
    pub cpu_window: Duration,
}

/// A value that holds from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// From here on ...
    pub at: Duration,
    /// ... this value.
    pub value: f64,
}

/// The load.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSpec {
    /// When requests are due.
    pub arrivals: Arrivals,
    /// CPU time of a job on a core of speed 1, in seconds.
    pub demand: Distribution,
    /// Which agent gets a request.
    pub entry: Entry,
    /// The client gives up this long after the intended start.
    pub deadline: Duration,
    /// Whether requests say that they may be done twice.
    pub idempotent: bool,
}

/// When requests are due.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Arrivals {
    /// Open loop, exponential gaps.
    Poisson(Vec<Step>),
    /// Open loop, equal gaps.
    Constant(Vec<Step>),
    /// Closed loop: each of `clients` sends, waits for the answer, thinks, and sends again.
    Closed {
        /// Number of clients.
        clients: u32,
        /// Think time, in seconds.
        think: Distribution,
    },
}

impl Arrivals {
    /// The rates of an open loop, in requests per second; none for a closed loop.
    pub fn rates(&self) -> &[Step] {
        match self {
            Self::Poisson(rates) | Self::Constant(rates) => rates,
            Self::Closed { .. } => &[],
        }
    }

    /// The load that a run begins with, in words: `200 requests/s`.
    pub fn opening_load(&self) -> String {
        match self {
            Self::Poisson(rates) | Self::Constant(rates) => {
                let first = rates.first().map_or(0.0, |step| step.value);
                format!("{first} requests/s")
            }
            Self::Closed { clients, .. } => format!("{clients} clients in a closed loop"),
        }
    }
}

/// Which agent a request enters the mesh through.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Entry {
    /// A random one.
    Random,
    /// Each in turn.
    RoundRobin,
    /// Always this one.
    Fixed(AgentId),
}

/// A policy to compare. A scenario file names built-in ones; whoever uses this library may add any
/// other to [`Scenario::policies`].
#[derive(Clone, Debug)]
pub struct PolicySpec {
    /// Its row in the report; unique.
    pub label: String,
    /// Builds the policy of each agent.
    pub factory: Arc<dyn PolicyFactory>,
}

impl PolicySpec {
    /// A policy under a label of its own.
    pub fn new(label: impl Into<String>, factory: impl PolicyFactory + 'static) -> Self {
        Self { label: label.into(), factory: Arc::new(factory) }
    }
}

// Derived, it would move the factory out of its place (rust-lang/rust#78808).
impl PartialEq for PolicySpec {
    fn eq(&self, other: &Self) -> bool {
        let Self { label, factory } = self;
        *label == other.label && **factory == *other.factory
    }
}
