//! `mesh-sim`: which routing policy is best, before it is deployed.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
