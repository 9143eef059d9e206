//! The providers of a scenario: this program is the service that agents ask before their jobs.

use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use mesh_node::http::{Request, Response, ServerLimits, StatusCode, serve};
use mesh_node::{Clock, Net as _, TokioNet};
use mesh_sim::host::AgentId;
use mesh_sim::machine::{ProviderCounts, ProviderLimits, Providers, SharedProvider};
use mesh_sim::scenario::Scenario;
use tokio::task::AbortHandle;

use super::mesh::ANY_PORT;

/// How many jobs may use a provider at once, if the provider has no limit itself.
const CONNECTIONS: usize = 65_536;

/// The providers of a run, each an HTTP server on loopback (`mesh agent --provider`). Their limits
/// are those of the simulation.
#[derive(Debug)]
pub(super) struct ProviderServers {
    providers: Providers,
    servers: Vec<ProviderServer>,
    /// The clock of the run, once it has begun.
    clock: Arc<OnceLock<Clock>>,
}

/// The server of one provider, until it is dropped.
#[derive(Debug)]
struct ProviderServer {
    address: String,
    task: AbortHandle,
}

impl Drop for ProviderServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProviderServers {
    /// Starts the servers.
    pub(super) async fn start(scenario: &Scenario) -> anyhow::Result<Self> {
        let (providers, clock) = (Providers::of(scenario), Arc::default());
        let mut servers = Vec::new();
        for provider in providers.iter() {
            servers.push(ProviderServer::start(provider, &clock).await?);
        }
        Ok(Self { providers, servers, clock })
    }

    /// The options of an agent that has a provider.
    pub(super) fn args_of(&self, agent: AgentId) -> Vec<String> {
        let mut providers = self.providers.iter().zip(&self.servers);
        let own = providers.find(|(provider, _)| provider.spec().agents.contains(&agent));
        let Some((provider, server)) = own else { return Vec::new() };
        let mut args = vec!["--provider".to_owned(), format!("http://{}/", server.address)];
        for job in provider.spec().jobs.iter().flatten() {
            args.extend(["--provider-job".to_owned(), job.to_string()]);
        }
        args
    }

    /// The run begins: from now on jobs may ask. `clock` shows the time since then.
    pub(super) fn begin(&self, clock: Clock) {
        // A failed set is no error: a run begins once.
        let _ = self.clock.set(clock);
    }

    /// How many jobs asked each provider.
    pub(super) fn counts(&self) -> Vec<ProviderCounts> {
        self.providers.counts()
    }
}

impl ProviderServer {
    async fn start(
        provider: &SharedProvider,
        clock: &Arc<OnceLock<Clock>>,
    ) -> anyhow::Result<Self> {
        let listener = TokioNet.bind(ANY_PORT).await.context("failed to listen on loopback")?;
        let address = listener.local_addr()?.to_string();
        let (provider, clock) = (provider.clone(), clock.clone());
        let answer = move |_: Request| {
            let answer = answer(&provider, clock.get().copied());
            async move { answer }
        };
        let limits = ServerLimits { connections: CONNECTIONS, ..ServerLimits::default() };
        let server = serve::<TokioNet, _>(listener, answer, limits, std::future::pending());
        Ok(Self { address, task: tokio::spawn(server).abort_handle() })
    }
}

/// Answers an agent that asks whether a job may begin. If it may, the answer does not end: the
/// provider is in use until the agent closes the connection, or dies.
fn answer(provider: &SharedProvider, clock: Option<Clock>) -> Response {
    let Some(clock) = clock else {
        return Response::error(StatusCode::SERVICE_UNAVAILABLE, "the run has not begun");
    };
    match provider.with_limits(|limits| limits.admit(clock.now())) {
        Ok(()) => {
            let unit = UnitInUse(provider.clone());
            Response::stream("application/octet-stream", 0, move |_| {
                // Nothing is sent. The unit is moved in here, and dropped when the client leaves.
                let _ = &unit;
                std::task::Poll::Pending
            })
        }
        Err(stay_away) => {
            let refusal = Response::error(StatusCode::TOO_MANY_REQUESTS, "too many requests");
            refusal.with_header("retry-after", stay_away.as_secs())
        }
    }
}

/// A job that uses a provider, until this is dropped.
struct UnitInUse(SharedProvider);

impl Drop for UnitInUse {
    fn drop(&mut self) {
        self.0.with_limits(ProviderLimits::release);
    }
}
