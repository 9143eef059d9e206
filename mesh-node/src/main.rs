//! `mesh`: the registry, agents and an orchestrator on a real network.

mod cli;
mod system;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    if mesh_node::children::is_guard() {
        return mesh_node::children::run_guard();
    }
    cli::main()
}
