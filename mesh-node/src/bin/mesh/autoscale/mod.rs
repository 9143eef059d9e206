//! `mesh autoscale`: keeps a set of agents as large as its load needs it.

mod control;
mod platform;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Parser as _};
use mesh_core::agent::config::AdmissionConfig;
use mesh_core::scaling::ScalingConfig;
use mesh_node::Clock;
use mesh_node::process::signals::Stop;
use mesh_node::scaling::{MAX_PERIOD_MS, MAX_SET_BYTES, is_set};

pub(super) use self::control::{Autoscaler, SetSettings};
use self::platform::{Commands, LocalProcesses};
pub(super) use self::platform::{Platform, StartOutcome};
use super::WrongUsage;
use super::addresses::RegistryAddresses;
use super::args::{AgentArgs, Cli, Command, USUAL};
use super::orchestrate::MeshClient;
use super::security::{CredentialArgs, call_rules};
use super::settings::{Settings, as_option};
use super::tls::TlsArgs;
use super::values::positive;

const AUTOSCALE: &str = "\
Examples:
  mesh autoscale --max 8 -- --upstream http://127.0.0.1:9000/rpc
                     1 to 8 agents as processes of this machine
  mesh autoscale --set gpu --out-command './start.sh' --in-command './stop.sh'
                     agents that commands start elsewhere: with `mesh agent --set \
$MESH_SET --name $MESH_NAME --registry $MESH_REGISTRY`

The agents go on when the autoscaler ends. Another one finds them by what they report, and of several \
for one set only one acts.";

#[derive(Debug, Args)]
#[command(after_help = AUTOSCALE, next_help_heading = USUAL)]
pub(crate) struct AutoscaleArgs {
    /// The name of the set; the names of its agents begin with it
    #[arg(long, env = "MESH_SET", value_name = "NAME", default_value = "set", value_parser = set)]
    set: String,
    #[command(flatten)]
    registries: RegistryAddresses,
    /// The command that starts an agent elsewhere, with its name in MESH_NAME, and MESH_SET and
    /// MESH_REGISTRY for its options
    #[arg(
        long,
        env = "MESH_OUT_COMMAND",
        value_name = "COMMAND",
        requires = "in_command",
        conflicts_with = "options"
    )]
    out_command: Option<String>,
    /// The command that releases what the agent MESH_NAME ran on: it has ended, or never registered
    #[arg(long, env = "MESH_IN_COMMAND", value_name = "COMMAND", requires = "out_command")]
    in_command: Option<String>,
    /// How long such a command may take
    #[arg(long, env = "MESH_COMMAND_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = positive)]
    command_timeout: Duration,
    /// How long an agent may take from its start to its registration
    #[arg(long, env = "MESH_START_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = positive)]
    start_timeout: Duration,
    /// Time between two looks at the set
    #[arg(long, env = "MESH_INTERVAL", value_name = "TIME", default_value = "5s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    scaling: Settings<ScalingConfig>,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    tls: TlsArgs,
    /// The options of the agents: those of `mesh agent`
    #[arg(last = true, value_name = "AGENT OPTIONS", help_heading = None::<&str>)]
    options: Vec<String>,
}

/// Keeps the set until a signal comes. The agents go on.
pub(super) async fn run(
    clock: Clock,
    args: &AutoscaleArgs,
    config: Option<&Path>,
) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let registries = args.registries.all().map_err(WrongUsage)?;
    let credentials = args.credentials.open()?;
    let net = args.tls.open()?.client(call_rules(&registries, credentials.clone()));
    let mesh = MeshClient::new(clock, registries.clone(), net);
    let settings = SetSettings {
        set: (*args.set).into(),
        config: args.scaling.0.clone(),
        interval: args.interval,
        start_timeout: args.start_timeout,
    };
    let listed = match (&args.out_command, &args.in_command) {
        (Some(start), Some(release)) => {
            let platform = Commands {
                start: start.clone(),
                release: release.clone(),
                timeout: args.command_timeout,
                set: args.set.clone(),
                registries: registries.join(","),
            };
            keep(stop, Autoscaler::new(mesh, credentials, settings, platform)).await
        }
        _ => {
            let agent = agent_of(&args.options).map_err(WrongUsage)?;
            check(&args.scaling.0, &agent.settings.admission.0).map_err(WrongUsage)?;
            let program = std::env::current_exe().context("failed to find this program")?;
            let options = agent_options(args, &registries, config);
            let platform = LocalProcesses { program, options, kills: BTreeMap::new() };
            keep(stop, Autoscaler::new(mesh, credentials, settings, platform)).await
        }
    };
    tracing::info!(set = args.set, agents = listed, "stopped; the agents go on");
    Ok(())
}

async fn keep<P: Platform>(stop: Stop, mut autoscaler: Autoscaler<P>) -> usize {
    tokio::select! {
        biased;
        () = stop.requested() => {}
        () = autoscaler.run() => {}
    }
    autoscaler.listed()
}

/// The options of the agents, read as `mesh agent` will. So mistakes in them are found before the
/// first start.
fn agent_of(options: &[String]) -> anyhow::Result<AgentArgs> {
    let line = ["mesh", "agent"].into_iter().chain(options.iter().map(|option| &**option));
    let cli =
        Cli::try_parse_from(line).map_err(|error| anyhow!("the options after --: {error}"))?;
    let Command::Agent(agent) = cli.command else { return Err(anyhow!("no options of an agent")) };
    ensure!(agent.name.is_none(), "--name: each agent gets a name of its own");
    // The variable MESH_SET may name it, too: that is meant for this command.
    let names_set = |option: &String| option == "--set" || option.starts_with("--set=");
    ensure!(!options.iter().any(names_set), "--set belongs before the --");
    let port = agent.listen.as_deref().and_then(|listen| listen.rsplit(':').next());
    ensure!(
        port.is_none_or(|port| port == "0"),
        "--listen: only port 0 can be that of many agents"
    );
    Ok(*agent)
}

/// Refuses settings that agents with these can't reach.
pub(super) fn check(config: &ScalingConfig, admission: &AdmissionConfig) -> anyhow::Result<()> {
    let slots = admission.concurrency.limit();
    match config.conflicts(slots, admission.queue).first() {
        Some(conflict) => Err(anyhow!("{}", as_option::<ScalingConfig>(&conflict.to_string()))),
        None => Ok(()),
    }
}

/// The options of all agents on the command line of `mesh agent`.
fn agent_options(
    args: &AutoscaleArgs,
    registries: &[String],
    config: Option<&Path>,
) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["--set".into(), (&args.set).into()];
    for registry in registries {
        options.extend(["--registry".into(), registry.into()]);
    }
    // Agents that measure their machine would all report the same.
    if !args.options.iter().any(|option| option.starts_with("--metrics-scope")) {
        options.extend(["--metrics-scope".into(), "process".into()]);
    }
    if let Some(config) = config {
        options.extend(["--config".into(), config.into()]);
    }
    options.extend(args.options.iter().map(Into::into));
    options
}

/// The name of a set.
pub(super) fn set(text: &str) -> Result<String, String> {
    let expected = || format!("expected 1 to {MAX_SET_BYTES} of A-Z a-z 0-9 . _ -");
    is_set(text).then(|| text.to_owned()).ok_or_else(expected)
}

fn interval(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_millis(MAX_PERIOD_MS);
    match positive(text)? {
        time if time < Duration::from_millis(50) => Err("expected at least 50ms".to_owned()),
        time if time > longest => Err("expected at most 60s".to_owned()),
        time => Ok(time),
    }
}
