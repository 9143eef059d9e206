//! `mesh-bench` measures the mesh, and compares its simulation with the real thing.

mod calibrate;
mod cli;
mod idle;
mod live;
mod request_generator;
mod security;
mod stores;
mod throughput;

use std::process::ExitCode;

fn main() -> ExitCode {
    if mesh_node::process::children::is_guard() {
        return mesh_node::process::children::run_guard();
    }
    cli::main()
}
