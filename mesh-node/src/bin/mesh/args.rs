//! The commands and options of `mesh`. Every option may also come from the environment (`MESH_` and
//! its name) or from a TOML file; see [`super::config`].

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use mesh_core::agent::config::{AdmissionConfig, DelegationConfig, MembershipConfig};
use mesh_core::duration::parse_duration;
use mesh_core::profile::Weight;
use mesh_core::registry::RegistryConfig;
use mesh_node::process::command_line::{CompletionsArgs, ManArgs};
use mesh_node::work::{HttpUrl, UpstreamUrl};

use super::addresses::{RegistryAddresses, advertised, host_port, listen};
use super::autoscale::{self, AutoscaleArgs};
use super::certs::CertsArgs;
use super::dashboard::{DashboardArgs, ViewerArgs};
use super::drain::DrainArgs;
use super::keys::KeysArgs;
use super::policy::PolicyArgs;
use super::security::{CredentialArgs, SecurityArgs};
use super::settings::Settings;
use super::tls::{StoreTlsArgs, TlsArgs};
use super::trace_args::{SpanArgs, TraceArgs};
use super::values::{
    MetricsScope, SetBounds, bounds, measuring, name, output_limit, positive, rate, sampling, site,
    skill, speed, weight,
};

/// The heading above the options that most people need; they come first.
pub(super) const USUAL: &str = "Usual settings";
/// The heading above the other options of a command that belong to no group.
const FURTHER: &str = "Further settings";
/// The heading above the options that every command has.
const EVERYWHERE: &str = "Of every command";

const EXAMPLES: &str = "\
Examples:
  mesh up --agents 4                          a whole mesh, in one process
  mesh registry                               the registry, on port 8500
  mesh agent                                  an agent, on port 8600 to 8700
  mesh agent --name summariser -- ./summarise.py
                                              an agent that runs a command
  mesh agent --work stdio --workers 2 -- python3 worker.py
                                              an agent with two workers that stay
  mesh agent --upstream http://127.0.0.1:9000/rpc
                                              an agent before a JSON-RPC service
  mesh orchestrate --text \"a workload\"        delegate a job, show who did it
  mesh orchestrate --watch                    all agents and their load, live
  mesh call agent-123 info                    what one agent says of itself
  mesh autoscale --max 8                      agents on this machine, as many as needed
  mesh drain agent-123                        have an agent finish its jobs and end
  mesh dashboard                              the mesh as a page, on port 8501

Every option may also be set in the environment (--drain as MESH_DRAIN) or in a TOML file given \
with --config, with a table for each command. A flag wins over the \
environment, and the environment wins over the file.";

/// The Agentic Mesh on a real network: registry, agents, orchestrator.
#[derive(Debug, Parser)]
#[command(
    name = "mesh",
    version,
    max_term_width = 80,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    disable_help_flag = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// A TOML file with settings
    #[arg(long, global = true, env = "MESH_CONFIG", value_name = "FILE", help_heading = EVERYWHERE)]
    pub(crate) config: Option<PathBuf>,
    /// Least important level of the log, which goes to standard error [default: warn; registry,
    /// agent and dashboard: info]
    #[arg(
        long,
        global = true,
        env = "MESH_LOG",
        value_enum,
        ignore_case = true,
        help_heading = EVERYWHERE
    )]
    pub(crate) log: Option<Level>,
    /// Format of the log
    #[arg(
        long,
        global = true,
        env = "MESH_LOG_FORMAT",
        value_enum,
        ignore_case = true,
        default_value = "text",
        help_heading = EVERYWHERE
    )]
    pub(crate) log_format: LogFormat,
    /// Number of threads that serve; 1 is cheapest if many processes share a machine [default: one
    /// per core; registry: 1]
    #[arg(long, global = true, env = "MESH_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = EVERYWHERE)]
    pub(crate) threads: Option<u16>,
    /// Print help; -h prints less
    #[arg(long, short, global = true, action = ArgAction::Help, help_heading = EVERYWHERE)]
    help: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Off,
    Error,
    #[value(alias = "warning")]
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep the list of live agents
    Registry(RegistryArgs),
    /// Do jobs and delegate jobs to peers
    Agent(Box<AgentArgs>),
    /// Ask an agent to delegate a job, or many, and show the result
    Orchestrate(OrchestrateArgs),
    /// Call a method of one agent, and show the result
    Call(CallArgs),
    /// Have an agent finish its jobs and end, or take jobs again
    Drain(DrainArgs),
    /// Keep a set of agents as large as its load needs it
    Autoscale(Box<AutoscaleArgs>),
    /// Start a registry and agents in one process, and delegate a first job
    Up(Box<UpArgs>),
    /// Show a mesh while it works, as a page in a browser
    Dashboard(DashboardArgs),
    /// Make, list and revoke the keys of a service
    Keys(KeysArgs),
    /// Make certificates for a mesh with TLS, and revoke them
    Certs(CertsArgs),
    /// Print the script that completes this command line in a shell
    Completions(CompletionsArgs),
    /// Print the man page, or write the pages of all commands
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
pub(crate) struct RegistryArgs {
    /// Where to listen
    #[arg(long, env = "MESH_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8500", value_parser = listen)]
    pub(crate) listen: String,
    /// Keep the leases in this directory, so that they outlast the registry
    #[arg(long, env = "MESH_DATA_DIR", value_name = "DIR", conflicts_with = "store")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep the leases in a Redis or etcd, which registries can share: redis://HOST or
    /// etcd://HOST:PORT; with TLS, rediss://HOST or etcds://HOST:PORT
    #[arg(long, env = "MESH_STORE", hide_env_values = true, value_name = "URL")]
    pub(crate) store: Option<StoreUrl>,
    #[command(flatten)]
    pub(crate) store_tls: StoreTlsArgs,
    #[command(flatten)]
    pub(crate) leases: Settings<RegistryConfig>,
    #[command(flatten)]
    pub(crate) viewers: ViewerArgs,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// The url of a store as it was given: it may have a password, so it is not shown.
#[derive(Clone)]
pub(crate) struct StoreUrl(pub(crate) String);

impl From<String> for StoreUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("StoreUrl")
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
pub(crate) struct AgentArgs {
    /// Name of the agent: 1 to 64 of A-Z a-z 0-9 . _ - [default: agent-NNN, random]
    #[arg(long, env = "MESH_NAME", value_parser = name)]
    pub(crate) name: Option<String>,
    /// Where to listen; port 0 is any free port [default: a free port of 127.0.0.1:8600-8700]
    #[arg(long, env = "MESH_LISTEN", value_name = "HOST:PORT", value_parser = listen)]
    pub(crate) listen: Option<String>,
    /// Where peers reach the agent, if not where it listens; without a port, the port on which it
    /// listens
    #[arg(long, env = "MESH_ADVERTISE", value_name = "HOST[:PORT]", value_parser = advertised, help_heading = FURTHER)]
    pub(crate) advertise: Option<String>,
    /// The set that the agent belongs to, for `mesh autoscale`
    #[arg(long, env = "MESH_SET", value_name = "NAME", help_heading = FURTHER, value_parser = autoscale::set)]
    pub(crate) set: Option<String>,
    #[command(flatten)]
    pub(crate) registries: RegistryAddresses,
    #[command(flatten)]
    pub(crate) settings: AgentSettings,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// The options that all agents of a process share.
#[derive(Debug, Args)]
#[command(next_help_heading = FURTHER)]
pub(crate) struct AgentSettings {
    /// How many connections may be open at once; further ones are refused
    #[arg(long, env = "MESH_CONNECTIONS", value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// What the figures of CPU and memory measure
    #[arg(long, env = "MESH_METRICS_SCOPE", value_enum, default_value = "host")]
    pub(crate) metrics_scope: MetricsScope,
    /// Time between two samples of CPU and memory; at least 200ms
    #[arg(long, env = "MESH_SAMPLE", value_name = "TIME", default_value = "1s", value_parser = sampling)]
    pub(crate) sample: Duration,
    /// How long unfinished work may go on after the signal to stop
    #[arg(long, env = "MESH_DRAIN", value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) drain: Duration,
    /// Time between two measurements of a round trip for the dashboard, each to another peer; 0s: none
    #[arg(long, env = "MESH_MEASURE_PEERS", value_name = "TIME", default_value = "5s", value_parser = measuring)]
    pub(crate) measure_peers: Duration,
    /// A skill that the agent has; may be given several times. It refuses jobs that demand another
    /// one
    #[arg(long, env = "MESH_SKILL", value_name = "NAME", value_delimiter = ',', value_parser = skill)]
    pub(crate) skill: Vec<String>,
    /// How much work the agent can do, relative to others: 0.01 to 100. Policies whose `weights`
    /// are `declared` send it that much more
    #[arg(long, env = "MESH_WEIGHT", value_name = "NUMBER", default_value = "1", value_parser = weight)]
    pub(crate) weight: Weight,
    /// Where the agent lives, such as a region: 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, env = "MESH_SITE", value_name = "NAME", value_parser = site)]
    pub(crate) site: Option<String>,
    // The groups below have headings of their own. An option after one of them would stand under
    // its heading.
    #[command(flatten)]
    pub(crate) admission: Settings<AdmissionConfig>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) delegation: Settings<DelegationConfig>,
    #[command(flatten)]
    pub(crate) membership: Settings<MembershipConfig>,
    #[command(flatten)]
    pub(crate) spans: SpanArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// How an agent does its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Sleep, or burn CPU, for the demand of the job
    Synthetic,
    /// Run COMMAND for each job: JSON on its standard input, JSON from its standard output
    Exec,
    /// Run COMMAND once per worker: a line of JSON per job, a line of JSON per answer
    Stdio,
    /// Call a JSON-RPC service
    Upstream,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What `work` does")]
pub(crate) struct WorkArgs {
    /// How jobs are done [default: what --upstream or COMMAND imply, otherwise synthetic]
    #[arg(long, env = "MESH_WORK", value_enum)]
    pub(crate) work: Option<Work>,
    /// synthetic: demand of a job that names none [default: 300ms]
    #[arg(long, env = "MESH_DEMAND", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) demand: Option<Duration>,
    /// synthetic: burn CPU time instead of sleeping
    #[arg(long, env = "MESH_BURN", value_parser = BoolishValueParser::new())]
    pub(crate) burn: bool,
    /// synthetic: how fast jobs compute; with 2, they take half of their demand [default: 1]
    #[arg(long, env = "MESH_SPEED", value_name = "FACTOR", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    /// synthetic: how fast waits go by; with 2, they take half of their time [default: 1]
    #[arg(long, env = "MESH_WAIT_SPEED", value_name = "FACTOR", value_parser = speed)]
    pub(crate) wait_speed: Option<f64>,
    /// synthetic: cores that jobs share while they sleep for their demand, so that many jobs at once
    /// take longer [default: each job has a core of its own]
    #[arg(long, env = "MESH_CORES", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), conflicts_with = "burn")]
    pub(crate) cores: Option<u32>,
    /// synthetic: a JSON file with what changes while the agent runs: `speed_factor`, `background`
    /// load of the cores, and `errors` that some jobs end with
    #[arg(long, env = "MESH_BEHAVIOUR", value_name = "FILE")]
    pub(crate) behaviour: Option<PathBuf>,
    /// synthetic: ask this service before each job; it is in use until the connection is closed. A
    /// job is done only if it answers with a status of success
    #[arg(long, env = "MESH_PROVIDER", value_name = "URL")]
    pub(crate) provider: Option<HttpUrl>,
    /// synthetic: ask --provider only for jobs with this text; may be given several times
    #[arg(long, env = "MESH_PROVIDER_JOB", value_name = "TEXT", value_delimiter = ',')]
    pub(crate) provider_job: Vec<String>,
    /// A JSON-RPC service that does the jobs; it also gets the methods that the agent does not have
    #[arg(long, env = "MESH_UPSTREAM", value_name = "URL", help_heading = USUAL)]
    pub(crate) upstream: Option<UpstreamUrl>,
    /// upstream: the certificates of the authorities that the service must have its own from, in
    /// PEM; the agent shows its own certificate, if it has one [default: --tls-ca]
    #[arg(long, env = "MESH_UPSTREAM_CA", value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// upstream: how long an idle connection is kept; set it below the time for which the service
    /// keeps it, or jobs get lost on connections that the service is just closing; 0s keeps none
    /// [default: 4s]
    #[arg(long, env = "MESH_UPSTREAM_IDLE", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) upstream_idle: Option<Duration>,
    /// stdio: how many workers there are; each does one job at a time [default: --concurrency]
    #[arg(long, env = "MESH_WORKERS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// stdio: time from the start of a worker until it writes {"ready": true}; it gets no jobs
    /// before that, and is started again if it takes longer [default: it gets jobs at once]
    #[arg(long, env = "MESH_READY_TIMEOUT", value_name = "TIME", value_parser = positive)]
    pub(crate) ready_timeout: Option<Duration>,
    /// stdio: how long a worker may go on with a job that was cut off; then it is killed and
    /// started again [default: 1s]
    #[arg(long, env = "MESH_WORKER_GRACE", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) worker_grace: Option<Duration>,
    /// exec, stdio, upstream: greatest size of a result; a job with a larger one fails, and its
    /// command is killed [default: 8388608]
    #[arg(long, env = "MESH_OUTPUT_LIMIT", value_name = "BYTES", value_parser = output_limit)]
    pub(crate) output_limit: Option<usize>,
    /// exec, stdio: the command that does the jobs
    #[arg(last = true, value_name = "COMMAND", help_heading = None::<&str>)]
    pub(crate) command: Vec<String>,
}

/// The heading above the options that send more than one job.
const MANY: &str = "Many jobs";

const ORCHESTRATE: &str = "\
With --repeat or --rate, a latency counts from when the job was due, and a job that failed counts \
with its whole --timeout.

Exit codes:
  0  done, also if the reader of the output left early
  1  something failed: the job, one of many jobs, or writing the output
  2  the command line is wrong";

#[derive(Debug, Args)]
#[command(after_help = ORCHESTRATE, next_help_heading = USUAL)]
pub(crate) struct OrchestrateArgs {
    #[command(flatten)]
    pub(crate) registries: RegistryAddresses,
    /// Ask this agent [default: any live one; with --repeat or --rate, each in turn]
    #[arg(long, env = "MESH_AGENT", value_name = "NAME", value_parser = name)]
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Print JSON
    #[arg(long, env = "MESH_JSON", value_parser = BoolishValueParser::new(), help_heading = USUAL)]
    pub(crate) json: bool,
    /// Show all agents and their load until stopped; only once if the output is not a terminal
    #[arg(long, env = "MESH_WATCH", value_parser = BoolishValueParser::new(), conflicts_with_all = ["repeat", "rate", "agent"], help_heading = USUAL)]
    pub(crate) watch: bool,
    /// Send this many jobs, one after the other unless --rate is set
    #[arg(long, env = "MESH_REPEAT", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = MANY)]
    pub(crate) repeat: Option<u64>,
    /// Send this many jobs per second, whether or not earlier ones are answered, until --repeat or
    /// a signal ends it
    #[arg(long, env = "MESH_RATE", value_name = "PER_SECOND", value_parser = rate, help_heading = MANY)]
    pub(crate) rate: Option<f64>,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The job")]
pub(crate) struct JobArgs {
    /// The text of the job
    #[arg(long, env = "MESH_TEXT", default_value = "parallel workload", help_heading = USUAL)]
    pub(crate) text: String,
    /// How long to wait for the job
    #[arg(long, env = "MESH_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = positive)]
    pub(crate) timeout: Duration,
    /// Time that a synthetic agent spends on the job [default: its own --demand]
    #[arg(long, env = "MESH_DEMAND", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) demand: Option<Duration>,
    /// Time that a synthetic agent waits in the job without using the CPU [default: none]
    #[arg(long, env = "MESH_WAIT", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// The skill that the job demands [default: any agent may do it]
    #[arg(long, env = "MESH_SKILL", value_name = "NAME", value_parser = skill)]
    pub(crate) skill: Option<String>,
    /// The job may be done twice: if an agent dies while it does the job, another one may do it
    /// again
    #[arg(long, env = "MESH_IDEMPOTENT", value_parser = BoolishValueParser::new())]
    pub(crate) idempotent: bool,
}

const CALL: &str = "\
Examples:
  mesh call agent-123 info                       its load
  mesh call 127.0.0.1:8600 work \"a workload\"    a job for this agent itself
  mesh call http://127.0.0.1:8600 delegate '{\"text\":\"x\",\"demand_ms\":5}'
  mesh call agent-123 info --json | jq .cpu      a figure, for programs

Exit codes:
  0  the agent has answered with a result
  1  something failed; for example, the agent answered with an error
  2  the command line is wrong";

#[derive(Debug, Args)]
#[command(after_help = CALL, next_help_heading = USUAL)]
pub(crate) struct CallArgs {
    /// The agent: its name in the registry, its HOST:PORT or its URL
    #[arg(value_name = "AGENT", help_heading = None::<&str>)]
    pub(crate) agent: String,
    /// The method: info, work, delegate, or one that only this agent has
    #[arg(value_name = "METHOD", default_value = "info", help_heading = None::<&str>)]
    pub(crate) method: String,
    /// The params, a JSON object or array; of work and delegate, the text of the job will do
    /// [default: {}]
    #[arg(value_name = "PARAMS", help_heading = None::<&str>)]
    pub(crate) params: Option<String>,
    #[command(flatten)]
    pub(crate) registries: RegistryAddresses,
    /// How long to wait for the answer; the agent is told, too, if the method is work or delegate
    #[arg(long, env = "MESH_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = positive)]
    pub(crate) timeout: Duration,
    /// Print the result as JSON
    #[arg(long, env = "MESH_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
pub(crate) struct UpArgs {
    /// How many agents
    #[arg(long, short = 'n', env = "MESH_AGENTS", value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(2..=100))]
    pub(crate) agents: u16,
    /// Start and drain agents as the load needs it, between these numbers, such as 2..8
    #[arg(long, env = "MESH_AUTOSCALE", value_name = "MIN..MAX", value_parser = bounds, conflicts_with_all = ["agents", "secure"])]
    pub(crate) autoscale: Option<SetBounds>,
    /// Where the registry listens [default: 127.0.0.1:8500, or a free port if that is taken]
    #[arg(long, env = "MESH_LISTEN", value_name = "HOST:PORT", value_parser = listen)]
    pub(crate) listen: Option<String>,
    /// Make an authority, certificates and keys for it, in a folder that is gone when it ends, and let
    /// nobody in without
    #[arg(long, env = "MESH_SECURE", value_parser = BoolishValueParser::new(), conflicts_with_all = ["join", "keys", "key_file", "tls_cert", "tls_ca"])]
    pub(crate) secure: bool,
    /// A further registry that lists the agents, too, and whose agents are their peers; may be given
    /// several times
    #[arg(long, env = "MESH_JOIN", value_name = "HOST:PORT", value_delimiter = ',', value_parser = host_port, help_heading = FURTHER)]
    pub(crate) join: Vec<String>,
    /// The text of the first job
    #[arg(long, env = "MESH_TEXT", default_value = "parallel workload")]
    pub(crate) text: String,
    #[command(flatten)]
    pub(crate) leases: Settings<RegistryConfig>,
    #[command(flatten)]
    pub(crate) viewers: ViewerArgs,
    #[command(flatten)]
    pub(crate) settings: AgentSettings,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}
