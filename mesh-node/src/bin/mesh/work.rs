//! What an agent does with its jobs: makes its executor of the options.

use std::path::PathBuf;
use std::sync::{Mutex, Once};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use mesh_core::codec::limits::{ENVELOPE_BYTES, OUTPUT_BYTES};
use mesh_node::http::{Client, ClientLimits};
use mesh_node::net::CallRules;
use mesh_node::process::children;
use mesh_node::work::{
    BehaviourFile, Builtin, Erring, Exec, JobCommand, ProviderClient, SharedCores, StdioSettings,
    StdioWorkers, SubjobCaller, Synthetic, Upstream, UpstreamSettings, check_program,
};
use mesh_node::{Clock, GuardedNet};

use super::agent::NewAgent;
use super::args::{AgentSettings, Work, WorkArgs};
use super::tls::TlsArgs;

/// The demand of a job that names none, which is also that of the Python demo.
const DEMAND: Duration = Duration::from_millis(300);
/// How long an idle connection to an upstream is kept: less than the 5 s of uvicorn and Node, which
/// close idle connections after that.
const UPSTREAM_IDLE: Duration = Duration::from_secs(4);
/// How long a worker may go on with a job that was cut off.
const WORKER_GRACE: Duration = Duration::from_secs(1);

/// Refuses options that belong to another way of doing the work, and a command that does not exist.
pub(super) fn check(settings: &AgentSettings, tls: &TlsArgs) -> anyhow::Result<()> {
    let args = &settings.work;
    let work = chosen(args);
    for (option, of, given) in [
        ("--demand", &[Work::Synthetic][..], args.demand.is_some()),
        ("--burn", &[Work::Synthetic], args.burn),
        ("--speed", &[Work::Synthetic], args.speed.is_some()),
        ("--wait-speed", &[Work::Synthetic], args.wait_speed.is_some()),
        ("--cores", &[Work::Synthetic], args.cores.is_some()),
        ("--behaviour", &[Work::Synthetic], args.behaviour.is_some()),
        ("--provider", &[Work::Synthetic], args.provider.is_some()),
        ("--provider-job", &[Work::Synthetic], !args.provider_job.is_empty()),
        ("--upstream", &[Work::Upstream], args.upstream.is_some()),
        ("--upstream-ca", &[Work::Upstream], args.upstream_ca.is_some()),
        ("--upstream-idle", &[Work::Upstream], args.upstream_idle.is_some()),
        ("--workers", &[Work::Stdio], args.workers.is_some()),
        ("--ready-timeout", &[Work::Stdio], args.ready_timeout.is_some()),
        ("--worker-grace", &[Work::Stdio], args.worker_grace.is_some()),
        ("--output-limit", &[Work::Exec, Work::Stdio, Work::Upstream], args.output_limit.is_some()),
        ("a command", &[Work::Exec, Work::Stdio], !args.command.is_empty()),
    ] {
        if given && !of.contains(&work) {
            bail!("{option} has no effect with --work {}", word(work));
        }
    }
    ensure!(
        args.provider.is_some() || args.provider_job.is_empty(),
        "--provider-job has no effect without --provider"
    );
    match work {
        Work::Synthetic => {}
        Work::Upstream => {
            let url = args.upstream.as_ref().context("--work upstream needs --upstream URL")?;
            ensure!(
                url.is_tls() || args.upstream_ca.is_none(),
                "--upstream-ca has no effect without --upstream https://..."
            );
            ensure!(
                !url.is_tls() || args.upstream_ca.is_some() || tls.tls_ca.is_some(),
                "--upstream https://... needs --upstream-ca FILE: the certificates of the \
                 authorities that the service must have its own from"
            );
        }
        Work::Exec | Work::Stdio => {
            let program = args.command.first();
            let program = program
                .with_context(|| format!("--work {} needs a command after --", word(work)))?;
            check_program(program).map_err(|error| anyhow!("failed to {error}"))?;
        }
    }
    if work == Work::Stdio {
        workers(settings)?;
    }
    Ok(())
}

/// How jobs are done: as `--work` says, or as other options imply.
fn chosen(args: &WorkArgs) -> Work {
    args.work.unwrap_or(match args {
        WorkArgs { upstream: Some(_), .. } => Work::Upstream,
        WorkArgs { command, .. } if !command.is_empty() => Work::Exec,
        _ => Work::Synthetic,
    })
}

/// The value of `--work`.
fn word(work: Work) -> String {
    format!("{work:?}").to_lowercase()
}

/// How many workers an agent has.
fn workers(settings: &AgentSettings) -> anyhow::Result<u32> {
    let most = settings.admission.0.concurrency.limit();
    settings.work.workers.or(most).context("--concurrency unlimited needs a number of --workers")
}

/// The executor of an agent, of options that have passed [`check`]. Workers have been started, and are ready if they say when they are.
pub(super) async fn executor(
    settings: &AgentSettings,
    agent: &NewAgent,
) -> anyhow::Result<Builtin> {
    let (args, name) = (&settings.work, &agent.name);
    let output_bytes = args.output_limit.unwrap_or(OUTPUT_BYTES);
    Ok(match chosen(args) {
        Work::Synthetic => synthetic(args, agent)?,
        Work::Exec => {
            guard_commands();
            let name_for_clients = format!("the command of {name}");
            Builtin::Exec(Exec::new(command(args, agent), output_bytes, name_for_clients))
        }
        Work::Stdio => {
            guard_commands();
            let settings = StdioSettings {
                command: command(args, agent),
                workers: workers(settings)?,
                ready_timeout: args.ready_timeout,
                grace: args.worker_grace.unwrap_or(WORKER_GRACE),
                output_bytes,
                name_for_clients: format!("a worker of {name}"),
            };
            let started = StdioWorkers::start(settings).await;
            Builtin::Stdio(started.map_err(|error| anyhow!("failed to {error}"))?)
        }
        Work::Upstream => Builtin::Upstream(upstream(args, agent)?),
    })
}

/// The executor that passes jobs on.
fn upstream(args: &WorkArgs, agent: &NewAgent) -> anyhow::Result<Upstream> {
    let url = args.upstream.clone().context("an upstream has a URL")?;
    // It gets none of the mesh's keys.
    let named = vec![url.address().to_owned()];
    let net = GuardedNet::new(CallRules { named, ..CallRules::default() });
    let net = match url.is_tls() {
        true => net.with_tls(agent.tls.open_upstream(args.upstream_ca.as_ref())?),
        false => net,
    };
    let made = Upstream::new(UpstreamSettings {
        url,
        net,
        agent_url: format!("{}/rpc", url_for_others(agent)),
        name_for_clients: format!("the upstream of {}", agent.name),
        // If the upstream is an agent, its result may be as large as results may be, and its
        // own envelope comes on top.
        output_bytes: args.output_limit.unwrap_or(OUTPUT_BYTES + ENVELOPE_BYTES),
        idle: args.upstream_idle.unwrap_or(UPSTREAM_IDLE),
    });
    made.map_err(|error| anyhow!("failed to {error}"))
}

/// The executor whose jobs only take time, or end with an error.
fn synthetic(args: &WorkArgs, agent: &NewAgent) -> anyhow::Result<Builtin> {
    let watch = |file: &PathBuf| {
        let behaviour = BehaviourFile::watch(file.clone());
        behaviour.with_context(|| format!("failed to read {}", file.display()))
    };
    let behaviour = args.behaviour.as_ref().map(watch).transpose()?;
    let provider = args.provider.clone();
    // The agent itself, wherever it listens.
    let client = Client::new(agent.net.with_address(&agent.local), ClientLimits::default());
    let synthetic = Synthetic {
        demand: args.demand.unwrap_or(DEMAND),
        speed: args.speed.unwrap_or(1.0),
        wait_speed: args.wait_speed.unwrap_or(1.0),
        behaviour: behaviour.clone(),
        cores: args.cores.map(SharedCores::new),
        burns: args.burn,
        sessions: Mutex::default(),
        provider: provider.map(|url| ProviderClient::new(url, args.provider_job.clone())),
        subjobs: SubjobCaller::new(client, Clock::start(), agent.local.to_string()).of(&agent.name),
    };
    Ok(match behaviour {
        None => Builtin::Synthetic(synthetic),
        Some(file) => {
            let rng = agent.seed.child("errors").rng();
            Builtin::Erring(Box::new(Erring::new(synthetic, file, rng)))
        }
    })
}

/// The command that does the jobs of an agent.
fn command(args: &WorkArgs, agent: &NewAgent) -> JobCommand {
    let mut words = args.command.iter().cloned();
    JobCommand {
        program: words.next().unwrap_or_default(),
        args: words.collect(),
        agent_url: match agent.net.scheme() {
            // The certificate is one of that name.
            "https" => format!("{}/rpc", url_for_others(agent)),
            _ => format!("http://{}/rpc", agent.local),
        },
    }
}

/// Where others reach the agent.
fn url_for_others(agent: &NewAgent) -> String {
    format!("{}://{}", agent.net.scheme(), agent.url)
}

/// Makes sure that commands end with this process, and that their orphans are reaped. Done once for
/// all agents of a process.
fn guard_commands() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Err(error) = children::keep_guard() {
            tracing::warn!(%error, "no guard: SIGKILL would leave running commands behind");
        }
        tokio::spawn(async {
            if let Err(error) = children::reap_orphans().await {
                tracing::warn!(%error, "processes that commands leave behind are not reaped");
            }
        });
    });
}
