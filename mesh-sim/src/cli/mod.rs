//! The command line.

mod args;
mod check;
mod explore;
mod minimize;
mod progress;
mod replay;
mod run;
mod sweep;
mod validate;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use mesh_sim::scenario::{Diagnostics, json_schema_text};

use self::args::{Args, Command};

/// How a call ended. The numbers are the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    /// Everything that was demanded holds.
    Pass = 0,
    /// Something of ours or of the system's failed: a file that can't be written, say.
    Failed = 1,
    /// The command line or the scenario is wrong.
    Usage = 2,
    /// An oracle was violated.
    Oracle = 3,
    /// A threshold of `[expect]` was missed.
    Threshold = 4,
    /// Two runs of one seed differed.
    Differed = 5,
    /// There was no failure to replay or to minimize.
    NoFailure = 6,
}

pub(crate) fn main() -> ExitCode {
    let Args { command, run } = Args::parse();
    let result = match command {
        Some(Command::Check { files }) => Ok(check::check(&files)),
        Some(Command::Schema) => print(&json_schema_text()).map(|()| Exit::Pass),
        Some(Command::Sweep(args)) => sweep::sweep(args),
        Some(Command::Merge(args)) => sweep::merge(&args),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::Minimize(args)) => minimize::minimize(&args),
        Some(Command::Explore(args)) => explore::explore(&args),
        Some(Command::Validate(args)) => validate::validate(&args),
        None => run::run(&run),
    };
    let exit = result.unwrap_or_else(|error| {
        // A reader that has seen enough (`| head`) is no failure of ours.
        if is_broken_pipe(&error) {
            return Exit::Pass;
        }
        eprintln!("error: {error:#}");
        Exit::Failed
    });
    ExitCode::from(exit as u8)
}

/// Writes to the standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Shows what is wrong with a scenario.
fn complain(diagnostics: &Diagnostics) -> Exit {
    eprintln!("{}", diagnostics.render(io::stderr().is_terminal()));
    Exit::Usage
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
