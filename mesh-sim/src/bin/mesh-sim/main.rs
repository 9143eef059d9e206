//! The program `mesh-sim`, which tells which routing policy is best before it is deployed.
//!
//! This file runs the command that the command line names, and returns its exit code.

mod args;
mod check;
mod compare;
mod explore;
mod init;
mod minimize;
mod misspelt;
mod output;
mod progress;
mod recommend;
mod replay;
mod run;
mod sweep;
mod validate;
mod view;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use mesh_node::process::console::{self, print, say};
use mesh_node::process::interrupt::INTERRUPTED;
use mesh_node::process::{command_line, signal_mask};
use mesh_sim::judge::Verdict;
use mesh_sim::report::paint::painted;
use mesh_sim::scenario::{Diagnostics, json_schema_text};

use self::args::{Args, Command};

/// How the program ends. The numbers are its exit codes, which `mesh-sim --help` lists. Where
/// several apply, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SimExit {
    /// Everything that was demanded holds.
    Pass = Verdict::Pass.exit_code() as isize,
    /// The program or the system failed: a file can't be written, say.
    Failed = 1,
    /// The command line or the scenario has a mistake.
    Usage = 2,
    /// An oracle was violated.
    Oracle = Verdict::Violated.exit_code() as isize,
    /// A threshold of `[expect]` was missed.
    Threshold = Verdict::Missed.exit_code() as isize,
    /// Two runs with the same seed differed.
    Differed = 5,
    /// There was no failure to replay or to minimize.
    NoFailure = 6,
    /// Something is clearly better than what it was compared with.
    Worse = 7,
    /// A signal interrupted the work. What was complete was written.
    Interrupted = INTERRUPTED as isize,
}

impl From<Verdict> for SimExit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Missed => Self::Threshold,
            Verdict::Violated => Self::Oracle,
        }
    }
}

fn main() -> ExitCode {
    signal_mask::survive_file_limit();
    if let Some(complaint) = misspelt::command(std::env::args_os()) {
        say(&format!("error: {complaint}"));
        return console::exit_code(SimExit::Usage as u8);
    }
    let Args { command, run } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return console::exit_code(usage(&error) as u8),
    };
    let result = match command {
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Check { files }) => Ok(check::check(&files)),
        Some(Command::Init(args)) => init::init(&args),
        Some(Command::Schema) => {
            print(&json_schema_text());
            Ok(SimExit::Pass)
        }
        Some(Command::Sweep(args)) => sweep::sweep(args),
        Some(Command::Merge(args)) => sweep::merge(&args),
        Some(Command::Compare(args)) => compare::compare(&args),
        Some(Command::Recommend(args)) => recommend::recommend(&args),
        Some(Command::Replay(args)) => replay::replay(&args),
        Some(Command::View(args)) => view::view(&args),
        Some(Command::Minimize(args)) => minimize::minimize(&args),
        Some(Command::Explore(args)) => explore::explore(&args),
        Some(Command::Validate(args)) => validate::validate(&args),
        Some(Command::Completions(args)) => {
            command_line::completions(Args::command(), &args);
            Ok(SimExit::Pass)
        }
        Some(Command::Man(args)) => command_line::man(Args::command(), &args)
            .context("failed to write the pages")
            .map(|()| SimExit::Pass),
        None => run::run(&run),
    };
    let exit = result.unwrap_or_else(|error| failed(&error));
    console::exit_code(exit as u8)
}

/// Prints an error of the program or the system.
fn failed(error: &anyhow::Error) -> SimExit {
    say(&format!("error: {error:#}"));
    SimExit::Failed
}

/// Prints the mistake of the command line, or the help that it asks for.
fn usage(error: &clap::Error) -> SimExit {
    let shown = error.print();
    if error.use_stderr() {
        return SimExit::Usage;
    }
    // clap has printed help to the standard output; the exit code depends on whether that failed.
    console::note(shown);
    SimExit::Pass
}

/// Prints text for people; on a terminal, what matters stands out.
fn print_text(text: &str) {
    match console::has_colours() {
        true => print(&painted(text)),
        false => print(text),
    }
}

/// Prints the mistakes of a scenario.
fn complain(diagnostics: &Diagnostics) -> SimExit {
    say(&diagnostics.render(io::stderr().is_terminal()));
    SimExit::Usage
}
