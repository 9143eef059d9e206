//! `mesh orchestrate`: discovers agents, has one delegate a job, and shows what came of it.

mod many_jobs;
mod mesh;
mod watch;

use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_node::Clock;
use mesh_node::process::console::print;
use mesh_node::process::signals::Stop;
use serde_json::{Value, json};

pub(super) use self::mesh::{ListedAgent, MeshClient};
use super::args::{JobArgs, OrchestrateArgs};
use super::identity;

pub(super) async fn run(clock: Clock, args: &OrchestrateArgs) -> anyhow::Result<()> {
    let mesh = MeshClient::new(clock, &args.registry.address);
    if args.watch {
        return watch::run(&mesh, Stop::listen()?).await;
    }
    let agents = mesh.discover().await?;
    let entries = entries(&agents, args)?;
    if args.repeat.is_some() || args.rate.is_some() {
        return many_jobs::run(&mesh, &entries, args).await;
    }
    let asked = mesh.any_live(entries).await?;
    let delegation = delegate(&mesh, asked, &args.job).await?;
    if args.json {
        print(&format!("{:#}\n", delegation.to_json(&agents)));
    } else {
        let names: Vec<&str> = agents.iter().map(|agent| &*agent.name).collect();
        let delegation = delegation.render(&args.job.text);
        print(&format!("discovered    {}\n{delegation}", names.join(", ")));
    }
    Ok(())
}

/// The agents that may be asked.
fn entries(agents: &[ListedAgent], args: &OrchestrateArgs) -> anyhow::Result<Vec<ListedAgent>> {
    if agents.is_empty() {
        bail!("the registry at {} lists no agents", args.registry.address);
    }
    let Some(name) = &args.agent else { return Ok(agents.to_vec()) };
    let agent = agents.iter().find(|agent| agent.name == *name);
    let agent = agent.with_context(|| format!("the registry lists no agent {name}"))?;
    Ok(vec![agent.clone()])
}

/// A job that was delegated.
pub(super) struct DelegatedJob {
    /// The agent that was asked to.
    asked: ListedAgent,
    /// The seed's result: `delegated_to`, `peer_result`, `rpc_latency_ms`.
    result: Value,
    /// What the round trip took beyond the agent's own time.
    network: Duration,
}

/// Has `asked` delegate a job.
pub(super) async fn delegate(
    mesh: &MeshClient,
    asked: ListedAgent,
    job: &JobArgs,
) -> anyhow::Result<DelegatedJob> {
    let sent = mesh.clock.now();
    let result = mesh.call(&asked, "delegate", &params(job), job.timeout).await;
    let result = result.with_context(|| format!("{} failed to delegate", asked.name))?;
    let took = mesh.clock.now().since(sent);
    let inside = result["rpc_latency_ms"].as_f64().unwrap_or_default().max(0.0);
    let inside = Duration::try_from_secs_f64(inside / 1e3).unwrap_or_default();
    Ok(DelegatedJob { asked, result, network: took.saturating_sub(inside) })
}

/// The params of a job.
pub(super) fn params(job: &JobArgs) -> Value {
    let mut params = json!({ "text": job.text, "timeout_ms": ms(job.timeout) });
    if let Some(demand) = job.demand {
        params["demand_ms"] = ms(demand).into();
    }
    if job.idempotent {
        params["idempotent"] = true.into();
    }
    // What is the same on every hop, for logs.
    params["request"] = (identity::since_epoch().as_micros() as u64).into();
    params
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl DelegatedJob {
    fn to_json(&self, discovered: &[ListedAgent]) -> Value {
        let discovered: Vec<&str> = discovered.iter().map(|agent| &*agent.name).collect();
        json!({
            "discovered": discovered,
            "asked": self.asked.name,
            "result": self.result,
            "network_latency_ms": ms(self.network),
        })
    }

    /// For people, with the fields' units.
    pub(super) fn render(&self, text: &str) -> String {
        let target = &self.result["delegated_to"];
        let peer = &self.result["peer_result"];
        format!(
            "asked         {} to delegate {text:?}\n\
             delegated to  {} at {}   cpu {}   memory {}   latency {}\n\
             result        {}\n\
             rpc latency   {} at {}, {} in all\n\
             network       {:.1} ms\n",
            self.asked.name,
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

/// A number with its unit; a dash for what the policy didn't ask.
fn figure(value: &Value, unit: &str) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.1} {unit}"))
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
