//! Recognises mistyped commands. The first word may also be a scenario file, so clap takes any word
//! for one.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory as _;
use mesh_core::text::closest;

use super::args::Args;

/// What to say if the first word of a command line is neither a command nor a file, but similar to
/// a command.
pub(super) fn command(args: impl IntoIterator<Item = OsString>) -> Option<String> {
    let word = args.into_iter().nth(1)?.into_string().ok()?;
    if word.starts_with('-') || Path::new(&word).exists() {
        return None;
    }
    let command = Args::command();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let near = closest(&word, names).filter(|near| *near != word)?;
    Some(format!("there is no command or file `{word}`; did you mean `mesh-sim {near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_commands_and_files() {
        let said = |word: &str| command(["mesh-sim", word].map(OsString::from));
        assert!(said("chekc").unwrap().ends_with("did you mean `mesh-sim check`?"));
        assert!(said("Sweep").unwrap().ends_with("did you mean `mesh-sim sweep`?"));
        for word in ["check", "help", "--help", "mine.toml", "Cargo.toml"] {
            assert_eq!(said(word), None, "{word}");
        }
    }
}
