//! Reads environment variables as Compose files, env files and shells write them.

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// The option whose value is somebody else's words, which must not be changed.
const FREE_TEXT: &str = "text";

/// Reads the variables of all options once more, with regard to how they are written. An empty
/// variable counts as not set. Spaces and quotation marks around a value do not belong to it; env
/// files keep them. Variables that are written plainly are left to clap.
pub(super) fn tidied(command: Command) -> Command {
    let command = command.mut_args(tidied_arg);
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, tidied))
}

fn tidied_arg(arg: Arg) -> Arg {
    let Some(raw) = arg.get_env().and_then(std::env::var_os) else { return with_alias(arg) };
    match reading(&raw, arg.get_id() == FREE_TEXT) {
        Reading::Plain => arg,
        // Then the former name counts, as if the variable were not there.
        Reading::Unset => with_alias(arg.env(Resettable::<clap::builder::OsStr>::Reset)),
        Reading::Instead(value) => {
            arg.env(Resettable::<clap::builder::OsStr>::Reset).default_value(value)
        }
    }
}

/// Reads the variable of an option's former name, if the option has one. An option with a former name
/// may have its value under that in the environment too.
fn with_alias(arg: Arg) -> Arg {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    let value = aliases.iter().filter_map(|alias| std::env::var_os(variable(alias))).next();
    match value.as_ref().map(|raw| (raw, reading(raw, false))) {
        None | Some((_, Reading::Unset)) => arg,
        Some((raw, Reading::Plain)) => arg.default_value(raw.clone()),
        Some((_, Reading::Instead(value))) => arg.default_value(value),
    }
}

/// The environment variable of an option, by the option's name.
fn variable(option: &str) -> String {
    format!("MESH_{}", option.replace('-', "_").to_uppercase())
}

/// Refuses an option of the chosen command that is set under two names in the environment: one of them
/// would win silently. A flag on the command line comes before both of them.
pub(super) fn refuse_second_names(
    command: &Command,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    let options = command.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
    for option in options {
        let Some(own) = option.get_env().and_then(OsStr::to_str) else { continue };
        let aliases = option.get_all_aliases().unwrap_or_default();
        let names = std::iter::once(own.to_owned()).chain(aliases.into_iter().map(variable));
        let is_set = |name: &String| {
            std::env::var_os(name).is_some_and(|raw| reading(&raw, false) != Reading::Unset)
        };
        let set: Vec<String> = names.filter(is_set).collect();
        let source = matches.value_source(option.get_id().as_str());
        if set.len() > 1 && source != Some(ValueSource::CommandLine) {
            let names = set.join(" and ");
            let message = format!("{names} are two names of one setting: keep one of them\n");
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
        }
    }
    Ok(())
}

/// How a variable is to be read.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    /// As it is; clap reads it.
    Plain,
    /// As if it were not there.
    Unset,
    /// As this text.
    Instead(String),
}

fn reading(raw: &OsString, is_free: bool) -> Reading {
    // A variable that is no text is an error, for which clap has the words.
    let Some(raw) = raw.to_str() else { return Reading::Plain };
    if raw.trim().is_empty() {
        return Reading::Unset;
    }
    let value = unquoted(raw.trim());
    match value {
        _ if is_free => Reading::Plain,
        "" => Reading::Unset,
        value if value == raw => Reading::Plain,
        value => Reading::Instead(value.to_owned()),
    }
}

fn unquoted(text: &str) -> &str {
    let inside = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    inside('"').or_else(|| inside('\'')).map_or(text, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_a_value_is_not_part_of_it() {
        let read = |raw: &str| reading(&raw.into(), false);
        let instead = |value: &str| Reading::Instead(value.to_owned());
        for raw in ["", "  ", "\"\"", "''"] {
            assert_eq!(read(raw), Reading::Unset, "{raw:?}");
        }
        for raw in ["30s", "a b", "\"", "it's"] {
            assert_eq!(read(raw), Reading::Plain, "{raw:?}");
        }
        assert_eq!(read("\"30s\""), instead("30s"));
        assert_eq!(read(" '30s'\r"), instead("30s"));
        assert_eq!(reading(&"\"a job\"".into(), true), Reading::Plain);
    }
}
