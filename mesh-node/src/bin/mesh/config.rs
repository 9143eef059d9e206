//! Flags, then the environment, then a file.
//!
//! The values of the file become the defaults of the options: so clap itself gives flags and the
//! environment their precedence, and checks every value the same way wherever it comes from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _};
use mesh_node::files::read_text;
use toml::{Table, Value};

use super::args::Cli;
use super::environment;

/// Every option of every command fits in a thousandth of it.
const MOST_BYTES: u64 = 1 << 20;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line or the environment is wrong, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file can't be read.
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not TOML.
    #[error("{}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    /// A name in the file is none of ours, or its value is of a kind that no option has.
    #[error("{}: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    /// An option does not take the value that the file gives it.
    #[error("{}: {reason}", path.display())]
    Value { path: PathBuf, reason: String },
}

/// Reads the command line, the environment and the file that they name, if any.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = read(Cli::command(), &args)?;
    let Some(path) = cli.config else { return Ok(cli) };
    let command = with_defaults(Cli::command(), &load(&path)?)
        .map_err(|reason| Error::Key { path: path.clone(), reason })?;
    // What was right without the file can only be wrong because of it.
    read(command, &args).map_err(|error| Error::Value { path, reason: first_paragraph(&error) })
}

/// What is wrong, without the advice to read the help.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let reason = text.split("\n\n").next().unwrap_or_default();
    reason.trim_start_matches("error: ").to_owned()
}

fn read(command: clap::Command, args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = environment::tidied(command);
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn load(path: &Path) -> Result<Table, Error> {
    let text =
        read_text(path, MOST_BYTES).map_err(|source| Error::Read { path: path.into(), source })?;
    text.parse().map_err(|source| Error::Toml { path: path.into(), source: Box::new(source) })
}

/// Settings outside of any table are those of all commands; each command has a table.
fn with_defaults(mut command: clap::Command, file: &Table) -> Result<clap::Command, String> {
    let commands: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for (key, value) in file {
        command = match value {
            Value::Table(table) if commands.contains(key) => {
                let mut changed = Ok(());
                let command = command.mut_subcommand(key, |mut sub| {
                    for (key, value) in table {
                        match with_default(sub.clone(), key, value) {
                            Ok(next) => sub = next,
                            Err(reason) => changed = Err(format!("[{}]: {reason}", sub.get_name())),
                        }
                    }
                    sub
                });
                changed.map(|()| command)?
            }
            Value::Table(_) => {
                return Err(format!("no table [{key}]; tables are {}", commands.join(", ")));
            }
            value => with_default(command, key, value)?,
        };
    }
    Ok(command)
}

fn with_default(command: clap::Command, key: &str, value: &Value) -> Result<clap::Command, String> {
    let keys = keys(&command);
    let Some((id, _)) = keys.iter().find(|(_, known)| known == key) else {
        let known: Vec<&str> = keys.iter().map(|(_, key)| &**key).collect();
        return Err(format!("no setting {key}; settings here are {}", known.join(", ")));
    };
    let values = texts(value).ok_or_else(|| format!("{key}: expected one value"))?;
    Ok(command.mut_arg(id, |arg| arg.default_values(values)))
}

/// The options that a file may set: their ids and their names in the file.
fn keys(command: &clap::Command) -> Vec<(clap::Id, String)> {
    let settable = command
        .get_arguments()
        .filter(|arg| !["help", "version", "config"].contains(&arg.get_id().as_str()));
    settable
        .map(|arg| {
            let name = arg.get_long().unwrap_or(arg.get_id().as_str());
            (arg.get_id().clone(), name.to_owned())
        })
        .collect()
}

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
