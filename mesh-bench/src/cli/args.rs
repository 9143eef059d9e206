//! What may be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use mesh_core::registry::{address, is_address};

const EXAMPLES: &str = "\
Examples:
  mesh-bench live scenarios/baseline.toml                 the scenario on real processes
  mesh-bench live s.toml --policy random --out results/runs/live
  mesh-bench calibrate --out network.toml                 what messages cost here
  mesh-bench compare results/runs/sim results/runs/live   a simulation against what it is of

Exit codes:
  0  done
  1  something failed
  2  the command line or the scenario is wrong, or asks for what a live mesh can't do
  130  interrupted";

/// Measures the mesh, and holds its simulation against the real thing.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Compare two results, policy by policy and quantile by quantile.
    ///
    /// The figures of A are held against those of B: with a simulation as A and a live run as B,
    /// the error is the simulation's. Figures of several seeds are their means.
    Compare(CompareArgs),
    /// Run a scenario on real processes and sockets of this machine.
    ///
    /// Each policy and seed gets a registry and agents of its own, the very requests that the
    /// simulation sends, and the scenario's faults. Thresholds of [expect] are shown, but don't
    /// change the exit code: they were set for a simulated machine.
    Live(LiveArgs),
    /// Measure messages and timers of this machine, for a scenario's [network].
    Calibrate(CalibrateArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct CalibrateArgs {
    /// Messages to measure.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(super) samples: u64,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Write the part of a scenario file here [default: print it].
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct LiveArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenario: PathBuf,
    /// Send the requests to the agents that this registry lists, whose names must be the
    /// scenario's, instead of starting any.
    #[arg(long, value_name = "URL", value_parser = registry, conflicts_with = "mesh")]
    pub(super) registry: Option<String>,
    /// Run only the policy with this label; may be repeated. With --registry, the one that the
    /// running agents go by.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Run this seed instead of the file's; may be repeated.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub(super) seed: Vec<u64>,
    /// The `mesh` binary [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(super) mesh: Option<PathBuf>,
    /// Write the results here [default: results/runs/<scenario name>-live].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

fn registry(text: &str) -> Result<String, &'static str> {
    let address = address(text);
    if is_address(address) { Ok(address.to_owned()) } else { Err("expected http://HOST:PORT") }
}

#[derive(Debug, ClapArgs)]
pub(super) struct CompareArgs {
    /// The directory with the results to judge.
    #[arg(value_name = "A")]
    pub(super) a: PathBuf,
    /// The directory with the results to judge them by.
    #[arg(value_name = "B")]
    pub(super) b: PathBuf,
    /// Compare only the policy with this label; may be repeated [default: those that both have].
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Also write the comparison here, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}
