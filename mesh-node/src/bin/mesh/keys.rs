//! `mesh keys`: makes, lists and revokes the keys of a service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use mesh_core::duration::parse_duration;
use mesh_node::process::console::{print, say};
use mesh_node::security::keys::{AgentNames, ApiKey, KeyId, KeyRecord, KeySet, Role};
use mesh_node::security::{PrivateReplacement, UtcTime, check_private};
use serde_json::json;

use super::WrongUsage;
use super::args::USUAL;
use super::remote_text::json_text;
use super::values::name;

const EXAMPLES: &str = "\
Examples:
  mesh keys new --keys keys.toml --role register --names 'worker-*' --to worker.key
  mesh keys new --keys keys.toml --role call --to worker.key --expires 90d
  mesh keys new --keys keys.toml --rotate a1B2c3D4e --to worker.key
  mesh keys list --keys keys.toml
  mesh keys revoke --keys keys.toml a1B2c3D4e

Services started with --keys keys.toml follow within two seconds. A rotation is: a new key with \
--rotate, the processes that used the old one, `mesh_key_last_used_timestamp_seconds` of GET \
/metrics to see that nobody does any more, and revoke.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key, and show it once
    New(NewKeyArgs),
    /// Show which keys there are; their secrets are not kept
    List(ListKeysArgs),
    /// Take keys out, which ends what their owners may do
    Revoke(RevokeKeysArgs),
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct KeysFile {
    /// The file by which services know keys
    #[arg(long = "keys", env = "MESH_KEYS", value_name = "FILE", default_value = "keys.toml")]
    path: PathBuf,
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct NewKeyArgs {
    #[command(flatten)]
    file: KeysFile,
    /// What its owner may do: register (agents), call (agents), observe (metrics), or admin, which
    /// is everything
    #[arg(long, value_name = "ROLE", required_unless_present = "rotate")]
    role: Option<Role>,
    /// The names under which its owner may register agents: a name, or worker-* for all that begin
    /// so; may be given several times
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    names: Vec<AgentNames>,
    /// Who has the key; keys with the same owner take over each other's names [default: its id]
    #[arg(long, value_name = "NAME", value_parser = name)]
    owner: Option<String>,
    /// How long the key is good, such as 90d or 12h [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,
    /// What you want to remember of it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Make it like this key, for the same owner, to follow it
    #[arg(long, value_name = "ID", conflicts_with_all = ["role", "names", "owner"])]
    rotate: Option<KeyId>,
    /// Write the key into this file, which --key-file reads, in place of one with the same role,
    /// instead of showing it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct ListKeysArgs {
    #[command(flatten)]
    file: KeysFile,
    /// Print JSON
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct RevokeKeysArgs {
    #[command(flatten)]
    file: KeysFile,
    /// The ids of the keys
    #[arg(value_name = "ID", required = true)]
    ids: Vec<KeyId>,
}

pub(super) fn run(args: &KeysArgs) -> anyhow::Result<()> {
    match &args.command {
        KeysCommand::New(args) => new(args),
        KeysCommand::List(args) => list(args),
        KeysCommand::Revoke(args) => revoke(args),
    }
}

/// The keys of the file; none if there is no file yet.
fn read(file: &KeysFile) -> anyhow::Result<KeySet> {
    let path = &file.path;
    if !path.exists() {
        return Ok(KeySet::default());
    }
    KeySet::read(path).with_context(|| path.display().to_string())
}

/// The keys of the file, and the right to replace it: nobody else can before this is dropped.
fn edit(file: &KeysFile) -> anyhow::Result<(KeySet, PrivateReplacement)> {
    let begun = PrivateReplacement::begin(&file.path).with_context(|| not_written(file))?;
    Ok((read(file)?, begun))
}

fn write(keys: &KeySet, file: &KeysFile, begun: PrivateReplacement) -> anyhow::Result<()> {
    keys.replace(begun).with_context(|| not_written(file))
}

fn not_written(file: &KeysFile) -> String {
    format!("failed to write {}", file.path.display())
}

fn new(args: &NewKeyArgs) -> anyhow::Result<()> {
    let (mut keys, begun) = edit(&args.file)?;
    let now = UtcTime::now();
    let former = args.rotate.as_ref().map(|id| {
        keys.get(id).cloned().with_context(|| format!("there is no key {id}")).map_err(WrongUsage)
    });
    let former = former.transpose()?;
    let role = former.as_ref().map(|former| former.role).or(args.role);
    let role = role.context("--role is missing").map_err(WrongUsage)?;
    let key = ApiKey::generate(role, getrandom::fill)
        .map_err(|error| anyhow::anyhow!("the operating system has no random bytes: {error}"))?;
    let mut record = KeyRecord::new(&key, now);
    match former {
        Some(former) => {
            (record.names, record.owner, record.note) = (former.names, former.owner, former.note);
        }
        None => {
            record.names.clone_from(&args.names);
            if let Some(owner) = &args.owner {
                record.owner.clone_from(owner);
            }
        }
    }
    check_names(&record).map_err(WrongUsage)?;
    if let Some(note) = &args.note {
        record.note.clone_from(note);
    }
    let until = |lifetime: Duration| UtcTime::from_unix(now.as_unix() + lifetime.as_secs());
    record.expires = args.expires.map(until);
    ensure!(keys.insert(record), "two keys got the same id: try again");
    // First the key, then its hash: a key that nobody knows harms nobody.
    match &args.to {
        Some(path) => store(&key, path)
            .with_context(|| format!("failed to write the key to {}", path.display()))?,
        None => print(&format!("{}\n", key.reveal())),
    }
    write(&keys, &args.file, begun)?;
    let whom = args.to.as_ref().map_or("shown once".to_owned(), |to| to.display().to_string());
    let file = args.file.path.display();
    say(&format!("key {} ({role}): {whom}; services know it by {file}", key.id()));
    Ok(())
}

/// A key that registers agents is bound to names, and no other key is.
fn check_names(record: &KeyRecord) -> anyhow::Result<()> {
    match (record.role, record.names.is_empty()) {
        (Role::Register, true) => bail!("--role register needs --names, such as 'worker-*'"),
        (Role::Register, false) | (_, true) => Ok(()),
        (role, false) => bail!("--names has no effect with --role {role}"),
    }
}

/// Writes a key into a file of a client, in place of one with the same role.
fn store(key: &ApiKey, path: &Path) -> anyhow::Result<()> {
    let begins = format!("mesh_{}_", key.role());
    let begun = PrivateReplacement::begin(path)?;
    let mut text = String::new();
    if path.exists() {
        check_private(path)?;
        let former = std::fs::read_to_string(path)?;
        let kept = former.lines().filter(|line| !line.trim_start().starts_with(&begins));
        text = kept.map(|line| format!("{line}\n")).collect();
    }
    text.push_str(&format!("{}\n", key.reveal()));
    Ok(begun.finish(text.as_bytes())?)
}

fn list(args: &ListKeysArgs) -> anyhow::Result<()> {
    let (keys, now) = (read(&args.file)?, UtcTime::now());
    if args.json {
        let entry = |key: &KeyRecord| {
            let names: Vec<String> = key.names.iter().map(ToString::to_string).collect();
            json!({
                "id": key.id, "role": key.role, "owner": key.owner, "names": names,
                "created": key.created, "expires": key.expires, "expired": key.is_over(now),
                "note": key.note,
            })
        };
        print(&json_text(&keys.iter().map(entry).collect()));
        return Ok(());
    }
    let mut text =
        format!("{:<10} {:<9} {:<16} {:<21} {}\n", "id", "role", "owner", "expires", "names, note");
    for key in keys.iter() {
        let expires = match key.expires {
            None => "never".to_owned(),
            Some(_) if key.is_over(now) => "expired".to_owned(),
            Some(expires) => expires.to_string(),
        };
        let names: Vec<String> = key.names.iter().map(ToString::to_string).collect();
        let more = [names.join(","), key.note.clone()].join(" ");
        let (id, role, owner) = (key.id.as_str(), key.role.as_str(), &key.owner);
        let line = format!("{id:<10} {role:<9} {owner:<16} {expires:<21} {more}");
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    print(&text);
    Ok(())
}

fn revoke(args: &RevokeKeysArgs) -> anyhow::Result<()> {
    let (mut keys, begun) = edit(&args.file)?;
    for id in &args.ids {
        let known = keys.remove(id).with_context(|| format!("there is no key {id}"));
        known.map_err(WrongUsage)?;
    }
    write(&keys, &args.file, begun)?;
    if keys.is_empty() {
        say("that was the last key: nobody can do anything now");
    }
    Ok(())
}

/// Parses a time that may also be in days.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    const MOST_DAYS: u64 = 100 * 365;
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u64>().ok());
    match days {
        Some(days @ 1..=MOST_DAYS) => Ok(Duration::from_secs(days * 24 * 3600)),
        Some(_) => Err(format!("expected 1d to {MOST_DAYS}d")),
        None => match parse_duration(text) {
            Ok(time) if time < Duration::from_secs(1) => Err("expected 1s or more".to_owned()),
            other => other.map_err(|error| error.to_string()),
        },
    }
}
