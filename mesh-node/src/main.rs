//! `mesh`: the registry, agents and an orchestrator on a real network.

mod cli;
mod system;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
