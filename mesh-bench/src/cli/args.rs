//! What may be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  mesh-bench compare results/runs/sim results/runs/live   a simulation against what it is of

Exit codes:
  0  done
  1  something failed
  2  the command line is wrong";

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
