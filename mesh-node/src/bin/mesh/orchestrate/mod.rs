//! `mesh orchestrate`: finds the agents, has one of them delegate a job, and shows what came of it.

mod many_jobs;
mod mesh;
mod totals;
mod watch;

use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_node::Clock;
use mesh_node::process::console::print;
use mesh_node::process::signals::Stop;
use serde_json::{Value, json};

use self::mesh::AgentCallError;
pub(super) use self::mesh::{ListedAgent, MeshClient};
use self::totals::MeshTotals;
use super::WrongUsage;
use super::args::{JobArgs, OrchestrateArgs};
use super::identity;
use super::remote_text::{harmless, json_text};
use super::security::call_rules;

pub(super) async fn run(clock: Clock, args: &OrchestrateArgs) -> anyhow::Result<()> {
    let registries = args.registries.all().map_err(WrongUsage)?;
    let credentials = args.credentials.open()?;
    let net = args.tls.open()?.client(call_rules(&registries, credentials.clone()));
    let mesh = MeshClient::new(clock, registries, net).in_trace(args.trace.context());
    if args.watch {
        return watch::run(&mesh, &credentials, args.json, Stop::listen()?).await;
    }
    let agents = mesh.discover().await?;
    let entry_agents = entry_agents(&mesh, &agents, args)?;
    if args.repeat.is_some() || args.rate.is_some() {
        return many_jobs::run(&mesh, &entry_agents, args).await;
    }
    let delegation = delegate_to_any(&mesh, entry_agents, &args.job).await?;
    if args.json {
        let mut json = delegation.to_json(&agents);
        // After the job, and without it if nobody tells.
        let board = mesh.board(&credentials).await;
        json["mesh"] = serde_json::to_value(board.as_ref().map(MeshTotals::of))?;
        print(&json_text(&json));
    } else {
        let names: Vec<&str> = agents.iter().map(|agent| &*agent.name).collect();
        let delegation = delegation.render(&args.job.text);
        print(&harmless(&format!("discovered    {}\n{delegation}", names.join(", "))));
    }
    Ok(())
}

/// The agents that may be the entry agent.
fn entry_agents(
    mesh: &MeshClient,
    agents: &[ListedAgent],
    args: &OrchestrateArgs,
) -> anyhow::Result<Vec<ListedAgent>> {
    if agents.is_empty() {
        bail!("{} no agents", mesh.registries_list());
    }
    let Some(name) = &args.agent else { return Ok(agents.to_vec()) };
    Ok(vec![mesh.find(agents, name)?.clone()])
}

/// A job that an agent has delegated, and what came of it.
pub(super) struct DelegatedJob {
    /// The agent that the job was sent to, and that delegated it.
    entry: ListedAgent,
    /// The result of `delegate`, with the fields of the Python demo: `delegated_to`, `peer_result`,
    /// `rpc_latency_ms`.
    result: Value,
    /// The part of the round trip that was not spent inside of the entry agent.
    network: Duration,
}

/// Sends one of these agents, a random one that answers, a job to delegate. If the agent dies before
/// it gets the job, another one gets it.
async fn delegate_to_any(
    mesh: &MeshClient,
    mut agents: Vec<ListedAgent>,
    job: &JobArgs,
) -> anyhow::Result<DelegatedJob> {
    loop {
        let entry = mesh.any_live(&mut agents).await?;
        match delegate(mesh, entry, job).await {
            Err(error) if !agents.is_empty() && was_never_begun(&error) => {
                tracing::warn!(error = format!("{error:#}"), "passed over");
            }
            ended => return ended,
        }
    }
}

/// Whether a job failed because no agent got it.
fn was_never_begun(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AgentCallError>().is_some_and(AgentCallError::was_never_begun)
}

/// Sends the entry agent a job to delegate.
pub(super) async fn delegate(
    mesh: &MeshClient,
    entry: ListedAgent,
    job: &JobArgs,
) -> anyhow::Result<DelegatedJob> {
    let sent = mesh.clock.now();
    let result = mesh.call(&entry, "delegate", &params(job), job.timeout).await;
    let result = result.with_context(|| format!("{} failed to delegate", entry.name))?;
    let took = mesh.clock.now().since(sent);
    let inside = result["rpc_latency_ms"].as_f64().unwrap_or_default().max(0.0);
    let inside = Duration::try_from_secs_f64(inside / 1e3).unwrap_or_default();
    Ok(DelegatedJob { entry, result, network: took.saturating_sub(inside) })
}

/// The JSON-RPC params of a job.
pub(super) fn params(job: &JobArgs) -> Value {
    let mut params = json!({ "text": job.text, "timeout_ms": ms(job.timeout) });
    if let Some(demand) = job.demand {
        params["demand_ms"] = ms(demand).into();
    }
    if let Some(wait) = job.wait {
        params["wait_ms"] = ms(wait).into();
    }
    if let Some(skill) = &job.skill {
        params["skill"] = skill.as_str().into();
    }
    if job.idempotent {
        params["idempotent"] = true.into();
    }
    // A number for logs, which is the same on every hop.
    params["request"] = (identity::since_epoch().as_micros() as u64).into();
    params
}

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl DelegatedJob {
    fn to_json(&self, discovered: &[ListedAgent]) -> Value {
        let discovered: Vec<&str> = discovered.iter().map(|agent| &*agent.name).collect();
        json!({
            "discovered": discovered,
            "asked": self.entry.name,
            "result": self.result,
            "network_latency_ms": ms(self.network),
        })
    }

    /// The result for people, with units.
    pub(super) fn render(&self, text: &str) -> String {
        let target = &self.result["delegated_to"];
        let peer = &self.result["peer_result"];
        format!(
            "asked         {} to delegate {text:?}\n\
             delegated to  {} at {}\n\
             its load      cpu {}   memory {}   latency {}\n\
             result        {}\n\
             rpc latency   {} at {}, {} in all\n\
             network       {:.1} ms\n",
            self.entry.name,
            plain(&target["agent"]),
            plain(&target["url"]),
            figure(&target["cpu"], "%"),
            figure(&target["mem"], "%"),
            figure(&target["latency_ms"], "ms"),
            peer["result"],
            figure(&peer["rpc_latency_ms"], "ms"),
            plain(&peer["agent"]),
            figure(&self.result["rpc_latency_ms"], "ms"),
            ms(self.network),
        )
    }
}

/// A number with its unit, or a dash if the policy did not ask for it.
fn figure(value: &Value, unit: &str) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.1} {unit}"))
}

/// A text without its quotation marks.
fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
