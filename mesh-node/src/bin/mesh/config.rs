//! Merges the settings: flags come before the environment, and the environment before a file.
//!
//! The values of the file become the defaults of the options. So clap itself gives flags and the
//! environment their precedence, and checks every value in the same way wherever it comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _};
use mesh_core::text::closest;
use mesh_node::files::read_text;
use toml::{Table, Value};

use super::args::Cli;
use super::environment;
use super::settings::shared_keys;

/// The largest file that is read: a thousand times what all options of all commands need.
const MOST_BYTES: u64 = 1 << 20;

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line or the environment is wrong, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file can't be read.
    #[error("failed to read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not TOML.
    #[error("{}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    /// A key of the file is unknown or stands twice, or its value is of a kind that no option has.
    #[error("{}: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    /// An option refuses the value that the file gives it.
    #[error("{}: {reason}", path.display())]
    Value { path: PathBuf, reason: String },
}

/// Reads the command line, the environment and the file that they name, if any.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = read(Cli::command(), &args)?;
    let Some(path) = cli.config else { return Ok(cli) };
    let command = with_defaults(Cli::command(), &read_file(&path)?)
        .map_err(|reason| Error::Key { path: path.clone(), reason })?;
    // Without the file everything was right, so whatever is wrong now is the file's fault.
    read(command, &args).map_err(|error| Error::Value { path, reason: first_paragraph(&error) })
}

/// clap's message without its advice to read the help.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let reason = text.split("\n\n").next().unwrap_or_default();
    reason.trim_start_matches("error: ").to_owned()
}

/// Reads the command line and the environment.
fn read(command: clap::Command, args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut tidied = environment::tidied(command.clone());
    let matches = tidied.try_get_matches_from_mut(args)?;
    environment::refuse_second_names(&command, &matches)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut tidied))
}

fn read_file(path: &Path) -> Result<Table, Error> {
    let text =
        read_text(path, MOST_BYTES).map_err(|source| Error::Read { path: path.into(), source })?;
    text.parse().map_err(|source| Error::Toml { path: path.into(), source: Box::new(source) })
}

/// Makes the values of the file the defaults of the options.
///
/// Settings outside of any table hold for all commands. Each command has a table of its own. Some
/// tables are also those of scenarios: what they say holds for every command that has the setting,
/// unless the command's own table says otherwise.
fn with_defaults(mut command: clap::Command, file: &Table) -> Result<clap::Command, String> {
    // Commands without variables, such as `man`, have nothing that is worth a file either.
    let has_settings =
        |sub: &&clap::Command| sub.get_arguments().any(|arg| arg.get_env().is_some());
    let commands = command.get_subcommands().filter(has_settings);
    let commands: Vec<String> = commands.map(|sub| sub.get_name().to_owned()).collect();
    let shared = shared_keys();
    refuse_second_names(Some(&command), file)?;
    for (name, value) in file {
        if let Value::Table(table) = value {
            let own = command.find_subcommand(name);
            refuse_second_names(own, table).map_err(|e| format!("[{name}]: {e}"))?;
            for (option, value) in shared_values(name, table, &shared) {
                let texts = one_or_many(option, value).map_err(|e| format!("[{name}]: {e}"))?;
                let set = |sub| with_shared_default(sub, option, &texts);
                command = commands.iter().fold(command, |all, name| all.mut_subcommand(name, set));
            }
        }
    }
    for (name, value) in file {
        let Value::Table(table) = value else {
            command = with_default(command, name, value, &[])?;
            continue;
        };
        let here = shared.iter().filter(|(of, ..)| of == name);
        let here: Vec<&str> = here.map(|(_, key, _)| &**key).collect();
        let is_shared = |key: &str| here.contains(&&*snake_case(key));
        if commands.contains(name) {
            let own = table.iter().filter(|(key, _)| !is_shared(key));
            command = with_command_defaults(command, name, own, &here)?;
        } else if !here.is_empty() {
            if let Some(key) = table.keys().find(|key| !is_shared(key)) {
                return Err(format!("[{name}]: {}", no_setting(key, &here)));
            }
        } else {
            let tables = [&commands[..], &["delegation".to_owned()]].concat();
            let hint = closest(name, tables.iter().map(String::as_str));
            let hint = hint.map(|near| format!("did you mean [{near}]? ")).unwrap_or_default();
            return Err(format!("no table [{name}]; {hint}tables are {}", tables.join(", ")));
        }
    }
    Ok(command)
}

/// Refuses a table with two keys that are names of one option: one of them would win silently.
/// `command` has the options of the table, if it is the table of a command.
fn refuse_second_names(command: Option<&clap::Command>, table: &Table) -> Result<(), String> {
    let options = command.map(keys).unwrap_or_default();
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for key in table.keys() {
        let name = snake_case(key);
        let option = options.iter().find(|(_, names)| names.contains(&name));
        // Keys that scenarios have as well are no options of this command, and have one name each.
        let option = option.map_or(name, |(id, _)| id.to_string());
        if let Some(first) = known.insert(option, key) {
            return Err(format!(
                "{first} and {key} are two names of one setting: keep one of them"
            ));
        }
    }
    Ok(())
}

/// The settings in a table that scenarios have as well, each with the id of its option.
fn shared_values<'a>(
    name: &str,
    table: &'a Table,
    shared: &'a [(&'static str, String, String)],
) -> Vec<(&'a str, &'a Value)> {
    let option = |key: &str| {
        let found = shared.iter().find(|(of, own, _)| *of == name && *own == snake_case(key));
        found.map(|(_, _, option)| &**option)
    };
    table.iter().filter_map(|(key, value)| Some((option(key)?, value))).collect()
}

/// Gives a command's option a default. A command without the option stays as it is.
fn with_shared_default(sub: clap::Command, option: &str, texts: &[String]) -> clap::Command {
    if sub.get_arguments().any(|arg| arg.get_id() == option) {
        return sub.mut_arg(option, |arg| arg.default_values(texts.to_vec()));
    }
    sub
}

/// Makes the settings of a command's table the defaults of its options. `shared` are further names
/// for the message about an unknown key.
fn with_command_defaults<'a>(
    command: clap::Command,
    name: &str,
    settings: impl Iterator<Item = (&'a String, &'a Value)>,
    shared: &[&str],
) -> Result<clap::Command, String> {
    let mut changed = Ok(());
    let command = command.mut_subcommand(name, |mut sub| {
        for (key, value) in settings {
            match with_default(sub.clone(), key, value, shared) {
                Ok(next) => sub = next,
                Err(reason) => changed = Err(format!("[{name}]: {reason}")),
            }
        }
        sub
    });
    changed.map(|()| command)
}

/// Makes one value the default of the option that `key` names. `shared` are further names for the
/// message about an unknown key.
fn with_default(
    command: clap::Command,
    key: &str,
    value: &Value,
    shared: &[&str],
) -> Result<clap::Command, String> {
    if let ("policy", Value::Table(policy)) = (key, value) {
        return with_policy(command, policy);
    }
    let keys = keys(&command);
    let Some((id, _)) = keys.iter().find(|(_, names)| names.contains(&snake_case(key))) else {
        let mut known: Vec<&str> = keys.iter().map(|(_, names)| &*names[0]).collect();
        known.extend(shared.iter().filter(|name| !keys.iter().any(|(_, of)| &*of[0] == **name)));
        return Err(no_setting(key, &known));
    };
    let texts = one_or_many(key, value)?;
    Ok(command.mut_arg(id, |arg| arg.default_values(texts)))
}

/// Takes a policy in the form that scenarios have: a table with its name and parameters.
fn with_policy(command: clap::Command, policy: &Table) -> Result<clap::Command, String> {
    refuse_second_names(Some(&command), policy)?;
    policy.iter().try_fold(command, |command, (key, value)| {
        let key = if key == "name" { "policy" } else { key };
        with_default(command, key, value, &[])
    })
}

fn no_setting(key: &str, known: &[&str]) -> String {
    let hint = closest(&snake_case(key), known.iter().copied());
    let hint = hint.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    format!("no setting {key}; {hint}settings here are {}", known.join(", "))
}

/// The options that a file may set: their ids, and their names in the file, which include former
/// names.
fn keys(command: &clap::Command) -> Vec<(clap::Id, Vec<String>)> {
    let settable = command
        .get_arguments()
        .filter(|arg| !["help", "version", "config"].contains(&arg.get_id().as_str()));
    settable
        .map(|arg| {
            let name = arg.get_long().unwrap_or(arg.get_id().as_str());
            let aliases = arg.get_all_aliases().unwrap_or_default();
            let names = std::iter::once(name).chain(aliases).map(snake_case).collect();
            (arg.get_id().clone(), names)
        })
        .collect()
}

/// A key of the file in the form that all names here have. Keys may have dashes, as options do.
fn snake_case(key: &str) -> String {
    key.replace('-', "_")
}

fn one_or_many(key: &str, value: &Value) -> Result<Vec<String>, String> {
    texts(value).ok_or_else(|| format!("{key}: expected one value"))
}

/// A value as the texts that clap parses; `None` if it is of a kind that no option has.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(vec![value.to_string()]),
        Value::Array(values) => {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
        }
        Value::Table(_) | Value::Datetime(_) => None,
    }
}
