//! `mesh-bench`: the mesh measured, and its simulation held against the real thing.

mod calibrate;
mod cli;
mod http_load;
mod idle;
mod live;
mod throughput;

use std::process::ExitCode;

fn main() -> ExitCode {
    if mesh_node::process::children::is_guard() {
        return mesh_node::process::children::run_guard();
    }
    cli::main()
}
