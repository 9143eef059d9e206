//! `mesh`: the registry, agents and an orchestrator on a real network.
//!
//! This file starts the command that the command line names, and ends the process in good order.

mod addresses;
mod agent;
mod args;
mod autoscale;
mod call;
mod certs;
mod config;
mod dashboard;
mod drain;
mod environment;
mod identity;
mod keys;
mod log;
mod log_queue;
mod open_files;
mod orchestrate;
mod policy;
mod registry;
mod remote_text;
mod secure_folder;
mod security;
mod settings;
mod tls;
mod trace_args;
mod up;
mod values;
mod work;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use mesh_node::Clock;
use mesh_node::process::{children, command_line, console, signal_mask};

use self::args::{Cli, Command};

/// The exit code if something failed.
const FAILURE: u8 = 1;
/// The exit code of a wrong command line or settings file.
const USAGE: u8 = 2;

/// Settings that are right one by one, but can't be used together or on this machine.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct WrongUsage(anyhow::Error);

fn main() -> ExitCode {
    if children::is_guard() {
        return children::run_guard();
    }
    signal_mask::survive_file_limit();
    let cli = match config::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(config::Error::Usage(error)) => return usage(&error),
        Err(error) => return fail(&error.into(), USAGE),
    };
    let log = match log::start(&cli) {
        Ok(log) => log,
        Err(error) => {
            return fail(&anyhow::Error::new(error).context("failed to start the log"), FAILURE);
        }
    };
    if let Err(error) = children::allow_many_files() {
        tracing::debug!(%error, "failed to raise the limit of open files");
    }
    let result = run(cli);
    // Jobs that were cut off are dropped by the runtime at some later time, for which this process
    // does not wait. So their commands are killed here.
    children::kill_all();
    let ended = match result {
        Ok(()) => console::exit_code(0),
        Err(error) => {
            // Through the queue of the log, so that it comes after the lines that were logged
            // before it.
            log.push(error_line(&error).as_bytes());
            ExitCode::from(if error.is::<WrongUsage>() { USAGE } else { FAILURE })
        }
    };
    log.flush();
    ended
}

/// Shows what is wrong with the command line, or the help that it asks for.
fn usage(error: &clap::Error) -> ExitCode {
    let shown = error.print();
    if error.use_stderr() {
        return ExitCode::from(USAGE);
    }
    console::note(shown);
    console::exit_code(0)
}

/// Reports an error that came before the log was started.
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    console::say_bytes(error_line(error).as_bytes());
    ExitCode::from(code)
}

fn error_line(error: &anyhow::Error) -> String {
    // An error may quote what another program said.
    remote_text::harmless(&format!("error: {error:#}\n"))
}

/// Runs the command in a runtime of its own.
fn run(cli: Cli) -> anyhow::Result<()> {
    // A registry does everything under one lock, so a second thread would only wait and be woken.
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
            Command::Call(args) => call::run(clock, &args).await,
            Command::Autoscale(args) => autoscale::run(clock, &args, cli.config.as_deref()).await,
            Command::Drain(args) => drain::run(clock, &args).await,
            Command::Up(args) => up::run(clock, &args).await,
            Command::Dashboard(args) => dashboard::run(&args).await,
            Command::Keys(args) => keys::run(&args),
            Command::Certs(args) => certs::run(&args),
            Command::Completions(args) => {
                command_line::completions(Cli::command(), &args);
                Ok(())
            }
            Command::Man(args) => {
                command_line::man(Cli::command(), &args).context("failed to write the pages")
            }
        }
    });
    // A thread that burns CPU for a job that was cut off must not delay the end.
    runtime.shutdown_background();
    result
}
