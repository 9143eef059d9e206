//! What each program makes of its own command line: completions for shells, and man pages.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::console::print;

// The same for every program, so they don't say which one it is.
const COMPLETIONS_EXAMPLES: &str = "\
Examples, for a program called PROGRAM:
  PROGRAM completions bash > ~/.local/share/bash-completion/completions/PROGRAM
  PROGRAM completions zsh > ~/.zfunc/_PROGRAM
  PROGRAM completions fish > ~/.config/fish/completions/PROGRAM.fish";
const MAN_EXAMPLES: &str = "\
Examples, for a program called PROGRAM:
  PROGRAM man | man -l -
  PROGRAM man ~/.local/share/man/man1";

/// The options of the command `completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(ignore_case = true)]
    pub shell: Shell,
}

/// The options of the command `man`.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Write a page for each command to this directory [default: print the page of the program].
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Prints the script that completes the command line of a program in a shell.
pub fn completions(mut command: Command, args: &CompletionsArgs) {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script));
}

/// Prints the man page of a program, or writes the pages of all of its commands to a directory.
///
/// # Errors
/// If the pages can't be written.
pub fn man(command: Command, args: &ManArgs) -> io::Result<()> {
    if let Some(dir) = &args.dir {
        fs::create_dir_all(dir)?;
        return clap_mangen::generate_to(command, dir);
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print(&String::from_utf8_lossy(&page));
    Ok(())
}
