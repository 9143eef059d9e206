//! A mesh as its users see it: a list of agents, each with a few methods.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use mesh_core::codec::{Origin, limits};
use mesh_core::jsonrpc::{self, Id};
use mesh_node::http::{Bytes, Client, ClientLimits, Method, StatusCode};
use mesh_node::rpc::{RpcAnswer, ServiceAddress, exchange};
use mesh_node::wire::{INDEX_HEADER, listing, read_services};
use mesh_node::{Clock, TokioNet};
use serde_json::{Value, json};

/// How long the registry, or an agent that is asked for its load, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What an agent may take beyond the time that its caller gives it, to say that the time is over.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A listed agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedAgent {
    pub(crate) name: String,
    /// `host:port`.
    pub(crate) url: String,
}

/// The agents of one registry; copies share the connections.
#[derive(Clone)]
pub(crate) struct MeshClient {
    pub(crate) clock: Clock,
    registry: String,
    client: Client<TokioNet>,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentCallError {
    /// The agent's answer, and whose error it says that is.
    #[error("{0}")]
    Answered(jsonrpc::Error, Option<Origin>),
    /// No answer.
    #[error(transparent)]
    Silent(#[from] mesh_node::rpc::ExchangeError),
}

impl MeshClient {
    pub(crate) fn new(clock: Clock, registry: &str) -> Self {
        let client = Client::new(TokioNet, ClientLimits::default());
        Self { clock, registry: registry.to_owned(), client }
    }

    /// The agents that the registry lists, by name.
    pub(crate) async fn discover(&self) -> anyhow::Result<Vec<ListedAgent>> {
        self.list("/services", PATIENCE).await.map(|(agents, _)| agents)
    }

    /// Waits until so many agents are listed.
    pub(crate) async fn await_agents(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        let until = self.clock.now() + limit;
        let (mut agents, mut index) = self.list("/services", PATIENCE).await?;
        while agents.len() < count {
            let left = until.since(self.clock.now());
            if left.is_zero() {
                bail!("{} of {count} agents have registered within {limit:?}", agents.len());
            }
            let path = format!("/services?wait={}ms&index={index}", left.as_millis());
            (agents, index) = self.list(&path, left + PATIENCE).await?;
        }
        Ok(())
    }

    async fn list(&self, path: &str, timeout: Duration) -> anyhow::Result<(Vec<ListedAgent>, u64)> {
        let registry = &self.registry;
        let answer = self.client.request(registry, Method::GET, path, Bytes::new(), timeout).await;
        let answer =
            answer.with_context(|| format!("the registry at {registry} failed to answer"))?;
        if answer.status != StatusCode::OK {
            bail!("the registry at {registry} answers with HTTP status {}", answer.status);
        }
        let services = read_services(&answer.body)
            .with_context(|| format!("the registry at {registry} answers with something else"))?;
        let index = answer.header(INDEX_HEADER).and_then(|index| index.parse().ok());
        let leases = listing(0, services).leases;
        let agent =
            |(name, url): (&str, &str)| ListedAgent { name: name.to_owned(), url: url.to_owned() };
        let agents = leases.iter().map(|lease| agent((&lease.name, &lease.url))).collect();
        Ok((agents, index.unwrap_or_default()))
    }

    /// One of these agents that answers: leases outlive the agents that are killed.
    pub(crate) async fn any_live(
        &self,
        mut agents: Vec<ListedAgent>,
    ) -> anyhow::Result<ListedAgent> {
        let mut rng = super::identity::seed().child("entry").rng();
        let count = agents.len();
        while !agents.is_empty() {
            let agent = agents.swap_remove(rng.index(agents.len()));
            match self.info(&agent).await {
                Ok(_) => return Ok(agent),
                Err(error) => tracing::warn!(agent = agent.name, %error, "passed over"),
            }
        }
        Err(anyhow!("none of the {count} listed agents answers"))
    }

    /// What an agent says of itself.
    pub(crate) async fn info(&self, agent: &ListedAgent) -> Result<Value, AgentCallError> {
        self.call(agent, "info", &json!({}), PATIENCE).await
    }

    /// Calls a method of an agent.
    pub(crate) async fn call(
        &self,
        agent: &ListedAgent,
        method: &str,
        params: &Value,
        timeout: Duration,
    ) -> Result<Value, AgentCallError> {
        let id = Id::from(1);
        // An object of strings and numbers can be written.
        let body = jsonrpc::request(method, params, &id).unwrap_or_default();
        let to = ServiceAddress::agent(&agent.url);
        let timeout = timeout.saturating_add(LAST_WORD);
        let answered = exchange(&self.client, to, (&id, body), timeout, &limits::ANSWER).await?;
        let RpcAnswer { outcome, origin } = answered;
        let result = outcome.map_err(|error| AgentCallError::Answered(error, origin))?;
        Ok(serde_json::from_str(result.get()).unwrap_or_default())
    }
}
