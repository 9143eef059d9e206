//! The commands of `mesh-bench`, one file each.

mod args;
mod calibrate;
mod idle;
mod live;
mod security;
mod stores;
mod throughput;

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use mesh_node::process::console::{self, print, say};
use mesh_node::process::signals::Stop;
use mesh_node::process::{children, command_line, signal_mask};
use thiserror::Error;

use self::args::{Args, Command};
use crate::throughput::echo;

/// How the program ended. The numbers are the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExitReason {
    /// Everything went well.
    Done = 0,
    /// Something failed, for example some of the requests.
    Failed = 1,
    /// The command line or the scenario is wrong, or asks for what can't be done.
    Usage = 2,
    /// A signal came first: 128 and the number of SIGINT.
    Interrupted = 130,
}

pub(crate) fn main() -> ExitCode {
    signal_mask::survive_file_limit();
    let Args { command } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return console::exit_code(usage(&error) as u8),
    };
    // An error is ignored: if files run out, the request generator fails and says so.
    let _ = children::allow_many_files();
    let result = match command {
        Command::Calibrate(args) => calibrate::calibrate(&args),
        Command::Live(args) => live::live(&args),
        Command::Idle(args) => idle::idle(&args),
        Command::Security(args) => security::security(&args),
        Command::Stores(args) => stores::stores(&args),
        Command::Throughput(args) => throughput::throughput(&args),
        Command::Completions(args) => {
            command_line::completions(Args::command(), &args);
            Ok(ExitReason::Done)
        }
        Command::Man(args) => command_line::man(Args::command(), &args)
            .context("failed to write the pages")
            .map(|()| ExitReason::Done),
        Command::Echo(args) => echo(args.listen, args.threads).map(|()| ExitReason::Done),
    };
    let exit = result.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        if error.is::<NoMesh>() { ExitReason::Usage } else { ExitReason::Failed }
    });
    console::exit_code(exit as u8)
}

/// Shows what is wrong with the command line, or the help that it asks for.
fn usage(error: &clap::Error) -> ExitReason {
    let shown = error.print();
    if error.use_stderr() {
        return ExitReason::Usage;
    }
    console::note(shown);
    ExitReason::Done
}

/// The `mesh` binary is not where it was looked for.
#[derive(Debug, Error)]
#[error(
    "no `mesh` at {}: build it with cargo build -p mesh-node, or name it with --mesh",
    .0.display()
)]
struct NoMesh(PathBuf);

/// The `mesh` binary: the one that was named, or the one beside this program.
fn binary(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name(format!("mesh{EXE_SUFFIX}")),
    };
    if path.is_file() { Ok(path) } else { Err(NoMesh(path).into()) }
}

/// Runs to the end, or until a signal asks to stop; then the result is `None`, and dropping the run
/// has killed its processes. If this process is killed itself, a guard kills them.
fn until_signal<T>(run: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = Stop::listen()?;
        children::keep_guard()?;
        tokio::select! {
            biased;
            () = stop.requested() => Ok(None),
            result = run => result.map(Some),
        }
    })
}
