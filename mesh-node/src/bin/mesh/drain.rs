//! `mesh drain`: has an agent finish its jobs and go, or stay after all.

use clap::Args;
use clap::builder::BoolishValueParser;
use mesh_node::Clock;
use mesh_node::process::console::print;

use super::WrongUsage;
use super::addresses::RegistryAddresses;
use super::args::USUAL;
use super::orchestrate::MeshClient;
use super::security::{CredentialArgs, call_rules};
use super::tls::TlsArgs;
use super::values::name;

const DRAIN: &str = "\
The agent gets no more jobs, finishes those that it has, and ends; after its --drain, the rest is cut \
off. Until then, --cancel makes it take jobs again. It learns of both with its next heartbeat.

Exit codes:
  0  a registry has marked the agent, and will tell it
  1  no registry has
  2  the command line is wrong";

#[derive(Debug, Args)]
#[command(after_help = DRAIN, next_help_heading = USUAL)]
pub(crate) struct DrainArgs {
    /// The agent's name in the registry
    #[arg(value_name = "AGENT", value_parser = name, help_heading = None::<&str>)]
    agent: String,
    #[command(flatten)]
    registries: RegistryAddresses,
    /// Let the agent take jobs again
    #[arg(long, env = "MESH_CANCEL", value_parser = BoolishValueParser::new())]
    cancel: bool,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    tls: TlsArgs,
}

pub(super) async fn run(clock: Clock, args: &DrainArgs) -> anyhow::Result<()> {
    let registries = args.registries.all().map_err(WrongUsage)?;
    let credentials = args.credentials.open()?;
    let net = args.tls.open()?.client(call_rules(&registries, credentials.clone()));
    let mesh = MeshClient::new(clock, registries, net);
    mesh.drain(&args.agent, !args.cancel, &credentials).await?;
    let does = if args.cancel { "takes jobs again" } else { "drains" };
    print(&format!("{} {does}\n", args.agent));
    Ok(())
}
