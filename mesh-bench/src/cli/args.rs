//! The commands and options of `mesh-bench`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Parser, Subcommand};
use mesh_core::duration::parse_duration;
use mesh_core::registry::{address, is_address};
use mesh_node::process::command_line::{CompletionsArgs, ManArgs};
use mesh_sim::sweep::Seeds;
use mesh_sim::units::at_least_one;

use crate::throughput::names;

const EXAMPLES: &str = "\
Examples:
  mesh-bench live scenarios/baseline.toml        run it on real processes
  mesh-bench live s.toml --policy random --out results/runs/live
  mesh-bench calibrate --out network.toml        measure this machine
  mesh-bench idle                                what an idle mesh costs
  mesh-bench throughput --only work --seconds 5  an agent against a bare server

Exit codes:
  0  done
  1  something failed; for example, a request of `throughput`
  2  the command line or the scenario is wrong, or a live mesh can't run it
  130  interrupted";

/// Measures the live mesh. `mesh-sim compare` compares a simulation with it.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario on real processes and sockets of this machine.
    ///
    /// Each policy and seed gets a registry and agents of its own, the same requests as in the
    /// simulation, and the scenario's faults. Verdicts on [expect] are shown, but don't change the
    /// exit code, because the thresholds were set for a simulated machine.
    Live(LiveArgs),
    /// Measure messages and timers on this machine, for the table [network] of a scenario.
    Calibrate(CalibrateArgs),
    /// Measure how many requests per second the mesh answers, compared with other systems.
    ///
    /// The systems of a group take turns. All run as processes of this machine and share its cores
    /// with the request generator, so look at the ratios and not at absolute figures. Without --rate,
    /// each connection sends a request as soon as it has the answer to the one before.
    Throughput(ThroughputArgs),
    /// Measure the cost of idle agents, and of a registry that gets only heartbeats.
    Idle(IdleArgs),
    /// Measure registries with each kind of store, beside what the store can do alone.
    ///
    /// Starts Redis and etcd with empty directories, if they are installed.
    Stores(StoresArgs),
    /// Measure what keys, TLS and new connections cost, beside nginx with TLS.
    ///
    /// Without nginx, its line is left out, and TLS is compared with nothing.
    Security(SecurityBenchArgs),
    /// Print the script that completes this command line in a shell.
    Completions(CompletionsArgs),
    /// Print the man page, or write the pages of all commands.
    Man(ManArgs),
    /// The bare HTTP server with which `throughput` compares agents.
    #[command(hide = true)]
    Echo(EchoArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct ThroughputArgs {
    /// Length of a round, in seconds; a warm-up of a tenth of it goes before.
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Number of rounds for each system.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) rounds: u16,
    /// Number of kept-alive connections.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) connections: u16,
    /// Open loop: this many requests are due per second, and latency counts from when they are due.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Measure only this system and its baseline; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    pub(super) only: Vec<String>,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// A Python with the packages of mesh-node/tests/interop/requirements.txt.
    #[arg(long, value_name = "FILE", default_value = "python3")]
    pub(super) python: PathBuf,
    /// Also write the figures of every round here, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct IdleArgs {
    /// How long to measure, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Number of leases that the registry holds.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub(super) leases: u16,
    /// Time between two heartbeats of a lease, below the registry's TTL of 30s.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = heartbeat)]
    pub(super) heartbeat: Duration,
    /// Number of kept-alive connections over which the heartbeats are sent.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub(super) connections: u16,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Also write the figures here, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct SecurityBenchArgs {
    /// Length of a round, in seconds; a warm-up of a tenth of it goes before.
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Number of rounds for each system.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) rounds: u16,
    /// Number of kept-alive connections of the rounds.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) connections: u16,
    /// Number of idle connections that are held while the memory is looked at.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=900))]
    pub(super) held: u16,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Also write the figures of every round here, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StoresArgs {
    /// Length of each measurement, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Number of leases that each registry holds.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub(super) leases: u16,
    /// Number of kept-alive connections over which requests are sent.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub(super) connections: u16,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Also write the figures here, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct EchoArgs {
    #[arg(long, value_name = "IP:PORT")]
    pub(super) listen: SocketAddr,
    /// [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..Duration::from_secs(30);
    match parse_duration(text) {
        Ok(heartbeat) if !range.contains(&heartbeat) => {
            Err("expected at least 100ms and less than 30s".to_owned())
        }
        other => other.map_err(|error| error.to_string()),
    }
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0.1 to 3600"),
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(rate) if (1.0..=1e6).contains(&rate) => Ok(rate),
        _ => Err("expected requests per second, 1 to 1000000"),
    }
}

fn threads(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(threads) if (1..=1024).contains(&threads) => Ok(threads),
        _ => Err("expected a number of threads, 1 to 1024"),
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct CalibrateArgs {
    /// Number of messages to measure.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    pub(super) samples: u64,
    /// How many peers an agent of your mesh asks at once: probes of many take longer.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(2..=64))]
    pub(super) peers: u16,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Write the table for the scenario file here [default: print it].
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct LiveArgs {
    /// The scenario file; - is standard input.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenario: PathBuf,
    /// Start no agents; send the requests to those that this registry lists. Their names must be
    /// those of the scenario.
    #[arg(long, value_name = "URL", value_parser = registry, conflicts_with = "mesh")]
    pub(super) registry: Option<String>,
    /// Run only the policy with this label; may be repeated. With --registry, the policy of the
    /// running agents.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Run these seeds instead of those of the file: 7, 1..20 (both included), or 1..20,42; may be
    /// repeated.
    #[arg(long, alias = "seeds", value_name = "SEEDS")]
    pub(super) seed: Vec<Seeds>,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Write the results into this folder, in place of older ones there [default: a new folder,
    /// results/runs/NAME-live/1, 2, 3 ...; `latest` leads to the last one].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Of the numbered folders with results, keep only the N newest [default: all].
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "out")]
    pub(super) keep: Option<NonZero<usize>>,
}

fn registry(text: &str) -> Result<String, &'static str> {
    let address = address(text);
    if is_address(address) { Ok(address.to_owned()) } else { Err("expected http://HOST:PORT") }
}
