//! The command line.

mod args;
mod compare;
mod live;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Args, Command};

/// How a call ended. The numbers are the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All is done.
    Done = 0,
    /// The scenario is wrong, or asks for what can't be done.
    Usage = 2,
    /// A signal came first: 128 and the number of SIGINT.
    Interrupted = 130,
}

pub(crate) fn main() -> ExitCode {
    let Args { command } = Args::parse();
    let result = match command {
        Command::Compare(args) => compare::compare(&args).map(|()| Exit::Done),
        Command::Live(args) => live::live(&args),
    };
    match result {
        Ok(exit) => ExitCode::from(exit as u8),
        // A reader that has seen enough (`| head`) is no failure of ours.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to the standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
