//! What may be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use mesh_sim::scenario::EngineKind;

const EXAMPLES: &str = "\
Examples:
  mesh-sim scenarios/partition.toml                     run all policies, print the table
  mesh-sim scenarios/partition.toml --policy weighted   only one of them
  mesh-sim scenarios/partition.toml --seed 7 --trace    another seed, with every event
  mesh-sim scenarios/partition.toml --json | jq .runs   the summary, for programs
  mesh-sim check scenarios/*.toml                       only look for mistakes
  mesh-sim schema > scenarios/schema.json               for completion in an editor

Exit codes:
  0  everything held
  1  something failed (a file could not be written, say)
  2  the command line or the scenario is wrong
  3  an oracle was violated: a bug in the mesh
  4  a threshold in [expect] was missed
  5  two runs of one seed differed";

/// Tells which routing policy is best, before it is deployed.
///
/// Runs a scenario file in a simulated mesh, once per policy and seed, and compares the policies.
/// The same file and seed give the same bytes, on any machine.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look for mistakes in scenario files, without running them.
    Check {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RunArgs {
    /// The scenario file to run.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(super) scenario: Option<PathBuf>,
    /// Run this seed instead of the file's; may be repeated.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub(super) seed: Vec<u64>,
    /// Run only the policy with this label; may be repeated.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Run in this engine instead of the file's.
    #[arg(long)]
    pub(super) engine: Option<EngineArg>,
    /// Write the results here [default: results/runs/<scenario name>].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Print summary.json instead of the table.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write every event to events.jsonl.
    #[arg(long)]
    pub(super) trace: bool,
    /// Run everything twice, and name the first event that differs.
    #[arg(long)]
    pub(super) check_determinism: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum EngineArg {
    /// The mesh's own sockets and bytes over simulated TCP; whole milliseconds.
    Turmoil,
    /// The agents alone over a queue of messages; nanoseconds, thousands of agents.
    Event,
}

impl From<EngineArg> for EngineKind {
    fn from(engine: EngineArg) -> Self {
        match engine {
            EngineArg::Turmoil => Self::Turmoil,
            EngineArg::Event => Self::Event,
        }
    }
}
