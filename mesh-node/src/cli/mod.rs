//! The command line: what each command starts, and how it ends.

mod agent;
mod args;
mod config;
mod identity;
mod log;
mod orchestrate;
mod places;
mod policy;
mod registry;
mod signals;
mod up;

use std::process::ExitCode;

use mesh_node::Clock;

use self::args::{Cli, Command};

pub(crate) fn main() -> ExitCode {
    let cli = match config::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(config::Error::Usage(error)) => error.exit(),
        Err(error) => return fail(&error.into()),
    };
    log::start(&cli);
    places::allow_many();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // A registry does everything under one lock: a second thread would only wait and be woken.
    let threads = cli.threads.or(matches!(cli.command, Command::Registry(_)).then_some(1));
    let mut runtime = match threads {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = threads {
        runtime.worker_threads(threads.into());
    }
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(async {
        let clock = Clock::start();
        match cli.command {
            Command::Registry(args) => registry::run(clock, &args).await,
            Command::Agent(args) => agent::run(clock, &args).await,
            Command::Orchestrate(args) => orchestrate::run(clock, &args).await,
            Command::Up(args) => up::run(clock, &args).await,
        }
    });
    // A thread that burns CPU for a job that was cut off must not delay the end.
    runtime.shutdown_background();
    result
}
