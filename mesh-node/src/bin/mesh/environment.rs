//! Environment variables as Compose files, env files and shells write them.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Arg, Command};

/// Words of somebody else, not to be changed.
const FREE_TEXT: &str = "text";

/// Reads the variables of all options once more, with a view to how they are written: an empty one
/// is not set, and spaces and quotation marks around a value are not part of it, as env files keep
/// them. What is written plainly is left to clap.
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
        Reading::Unset => arg.env(Resettable::<clap::builder::OsStr>::Reset),
        Reading::Instead(value) => {
            arg.env(Resettable::<clap::builder::OsStr>::Reset).default_value(value)
        }
    }
}

/// An option that has another name may have its value under that in the environment.
fn with_alias(arg: Arg) -> Arg {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    let variable = |alias: &&str| format!("MESH_{}", alias.replace('-', "_").to_uppercase());
    let value = aliases.iter().filter_map(|alias| std::env::var_os(variable(alias))).next();
    match value.as_ref().map(|raw| (raw, reading(raw, false))) {
        None | Some((_, Reading::Unset)) => arg,
        Some((raw, Reading::Plain)) => arg.default_value(raw.clone()),
        Some((_, Reading::Instead(value))) => arg.default_value(value),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Plain,
    Unset,
    Instead(String),
}

fn reading(raw: &OsString, is_free: bool) -> Reading {
    // What is no text is an error that clap words.
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
