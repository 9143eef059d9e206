//! A client of a mesh: finds its agents and calls their methods.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::join_all;
use mesh_core::agent::Fate;
use mesh_core::codec::{self, Origin, limits};
use mesh_core::jsonrpc::{self, Id};
use mesh_core::roster::Roster;
use mesh_core::text::closest;
use mesh_core::trace::TraceContext;
use mesh_node::dashboard::BoardUpdate;
use mesh_node::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use mesh_node::http::{Bytes, Client, ClientLimits, HeaderMap, HttpError, Method, StatusCode};
use mesh_node::rpc::{RpcAnswer, ServiceAddress, exchange_with};
use mesh_node::scaling::{ScaleBody, ScaledBody};
use mesh_node::security::Credentials;
use mesh_node::wire::{DrainBody, INDEX_HEADER, RefusedBody, listing, read_services};
use mesh_node::{Clock, GuardedNet};
use serde::Serialize;
use serde_json::{Value, json};

/// How long the registry may take to answer, or an agent to answer `info`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer than its timeout a call may take. An agent whose job has run out of time needs a
/// moment to say so.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// An agent in the registry's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedAgent {
    pub(crate) name: String,
    /// The agent's address, `host:port`.
    pub(crate) url: String,
    /// Whether a registry lists it under that name; else the user has named its address.
    pub(crate) is_listed: bool,
}

/// A client of the mesh that one or several registries list. Copies share the connections.
#[derive(Clone)]
pub(crate) struct MeshClient {
    pub(crate) clock: Clock,
    /// Their addresses, `host:port`; at least one.
    registries: Vec<String>,
    client: Client<GuardedNet>,
    /// Header fields that name the trace of all its calls; none if there is none.
    trace: HeaderMap,
}

/// Why a call of an agent has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentCallError {
    /// The agent answered with this error. The origin is whose error it says that this is.
    #[error("{0}")]
    Answered(jsonrpc::Error, Option<Origin>),
    /// There is no JSON-RPC answer.
    #[error(transparent)]
    NoAnswer(#[from] mesh_node::rpc::ExchangeError),
}

/// The agents of these leases, by name.
fn agents(leases: &Roster) -> Vec<ListedAgent> {
    let agent = |(name, url): (&str, &str)| ListedAgent {
        name: name.to_owned(),
        url: url.to_owned(),
        is_listed: true,
    };
    leases.iter().map(|lease| agent((&lease.name, &lease.url))).collect()
}

/// What is wrong if the registry at this address does not answer, and what to do about it.
fn no_registry(address: &str, error: HttpError) -> anyhow::Error {
    let what = match error {
        HttpError::CertificateRequired => format!("no access to the registry at {address}"),
        _ => format!("no registry answers (to start one there: mesh registry --listen {address})"),
    };
    anyhow::Error::new(error).context(what)
}

/// What a registry says that does not do what it was asked to.
fn refused(status: StatusCode, body: &[u8]) -> anyhow::Error {
    let why = serde_json::from_slice::<RefusedBody>(body);
    let why = why.map(|refused| format!(": {}", refused.error)).unwrap_or_default();
    anyhow!("the registry answers with HTTP status {status}{why}")
}

impl AgentCallError {
    /// Whether the agent has certainly not begun what it was asked to do, because there is no
    /// JSON-RPC answer.
    pub(crate) fn was_never_begun(&self) -> bool {
        matches!(self, Self::NoAnswer(error) if error.seen().fate() == Fate::NeverBegun)
    }
}

impl MeshClient {
    /// A client of the mesh of these registries, `host:port`; at least one.
    pub(crate) fn new(clock: Clock, registries: Vec<String>, net: GuardedNet) -> Self {
        let client = Client::new(net, ClientLimits::default());
        Self { clock, registries, client, trace: HeaderMap::new() }
    }

    /// The same client, whose calls of agents belong to this trace. The trace stands in the header,
    /// because params may be an array, or name a trace of their own.
    pub(crate) fn in_trace(self, trace: Option<TraceContext>) -> Self {
        let field = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
        };
        let trace = trace.iter().flat_map(codec::trace_fields).filter_map(field).collect();
        Self { trace, ..self }
    }

    /// The agents that any of the registries lists, by name.
    ///
    /// # Errors
    /// If no registry answers as one.
    pub(crate) async fn discover(&self) -> anyhow::Result<Vec<ListedAgent>> {
        let lists =
            self.registries.iter().map(|registry| self.list(registry, "/services", ANSWER_TIMEOUT));
        let (mut answered, mut first_error) = (Vec::new(), None);
        for list in join_all(lists).await {
            match list {
                Ok((leases, _)) => answered.push(leases),
                Err(error) => {
                    tracing::info!("{error:#}");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        if let Some(error) = first_error.filter(|_| answered.is_empty()) {
            return Err(error);
        }
        Ok(agents(&Roster::union(&answered)))
    }

    /// What the board of the first registry says that has one and shows it: to see it, one needs a key
    /// with the role `observe`, where keys are asked for.
    pub(crate) async fn board(&self, credentials: &Credentials) -> Option<BoardUpdate> {
        for registry in &self.registries {
            let key = credentials.to_observe();
            let headers: HeaderMap = key.map(|key| (AUTHORIZATION, key)).into_iter().collect();
            let (to, path, nothing) = ((&**registry, None), "/dashboard/state", Bytes::new());
            let answer =
                self.client.send_with(to, Method::GET, path, headers, nothing, ANSWER_TIMEOUT);
            let answer = answer.await.ok().filter(|answer| answer.status == StatusCode::OK);
            let board = answer.and_then(|answer| serde_json::from_slice(&answer.body).ok());
            if board.is_some() {
                return board;
            }
        }
        None
    }

    /// Has the registries mark an agent as draining, or take the mark away.
    ///
    /// # Errors
    /// If none of them does.
    pub(crate) async fn drain(
        &self,
        name: &str,
        draining: bool,
        credentials: &Credentials,
    ) -> anyhow::Result<()> {
        let body = DrainBody { name: name.into(), draining };
        let marks =
            self.registries.iter().map(|to| self.administer(to, "/drain", &body, credentials));
        let (mut first_error, mut is_listed) = (None, false);
        for mark in join_all(marks).await {
            match mark {
                Ok((StatusCode::OK, _)) => return Ok(()),
                Ok((StatusCode::NOT_FOUND, _)) => {}
                Ok((status, body)) => {
                    is_listed = true;
                    first_error = first_error.or(Some(refused(status, &body)));
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if !is_listed && let Ok(agents) = self.discover().await {
            self.find(&agents, name)?;
        }
        Err(first_error.unwrap_or_else(|| anyhow!("{} no agent {name}", self.registries_list())))
    }

    /// Asks all registries for a set of agents.
    pub(crate) async fn scale(
        &self,
        body: &ScaleBody,
        credentials: &Credentials,
    ) -> Vec<anyhow::Result<ScaledBody>> {
        let ask = async |registry: &String| {
            let (status, answer) = self.administer(registry, "/scale", body, credentials).await?;
            if status != StatusCode::OK {
                return Err(refused(status, &answer));
            }
            Ok(serde_json::from_slice(&answer)?)
        };
        join_all(self.registries.iter().map(ask)).await
    }

    /// Sends a registry a request that only `admin` may make: the status and the body of its answer.
    async fn administer(
        &self,
        registry: &str,
        path: &str,
        body: &impl Serialize,
        credentials: &Credentials,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let key = credentials.to_administer();
        let headers: HeaderMap = key.map(|key| (AUTHORIZATION, key)).into_iter().collect();
        let body = serde_json::to_vec(body)?.into();
        let to = (registry, None);
        let answer = self.client.send_with(to, Method::POST, path, headers, body, ANSWER_TIMEOUT);
        let answer = answer.await.map_err(|error| no_registry(registry, error))?;
        Ok((answer.status, answer.body))
    }

    /// Where the registries are, as the beginning of a sentence about what they list.
    pub(crate) fn registries_list(&self) -> String {
        match &self.registries[..] {
            [registry] => format!("the registry at {registry} lists"),
            registries => format!("the registries at {} list", registries.join(" and ")),
        }
    }

    /// The listed agent of this name.
    ///
    /// # Errors
    /// If there is none: says so, with a similar name if there is one.
    pub(crate) fn find<'a>(
        &self,
        agents: &'a [ListedAgent],
        name: &str,
    ) -> anyhow::Result<&'a ListedAgent> {
        agents.iter().find(|agent| agent.name == name).with_context(|| {
            let near = closest(name, agents.iter().map(|agent| &*agent.name));
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            format!("{} no agent {name}{hint}", self.registries_list())
        })
    }

    /// Waits until the first registry lists `count` agents.
    pub(crate) async fn await_agents(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        let until = self.clock.now() + limit;
        let registry = &self.registries[0];
        let (mut agents, mut index) = self.list(registry, "/services", ANSWER_TIMEOUT).await?;
        while agents.len() < count {
            let left = until.since(self.clock.now());
            if left.is_zero() {
                bail!("{} of {count} agents have registered within {limit:?}", agents.len());
            }
            let path = format!("/services?wait={}ms&index={index}", left.as_millis());
            (agents, index) = self.list(registry, &path, left + ANSWER_TIMEOUT).await?;
        }
        Ok(())
    }

    /// The leases that a registry lists, and the index of the list.
    async fn list(
        &self,
        registry: &str,
        path: &str,
        timeout: Duration,
    ) -> anyhow::Result<(Roster, u64)> {
        let answer = self.client.request(registry, Method::GET, path, Bytes::new(), timeout).await;
        let answer = answer.map_err(|error| no_registry(registry, error))?;
        if answer.status != StatusCode::OK {
            let why = serde_json::from_slice::<RefusedBody>(&answer.body);
            let why = why.map(|refused| format!(": {}", refused.error)).unwrap_or_default();
            bail!("the registry at {registry} answers with HTTP status {}{why}", answer.status);
        }
        let services = read_services(&answer.body).with_context(|| {
            format!("the answer of the registry at {registry} is no list of agents")
        })?;
        let index = answer.header(INDEX_HEADER).and_then(|index| index.parse().ok());
        Ok((listing(0, services).leases, index.unwrap_or_default()))
    }

    /// Takes a random one of these agents that answers, and drops those that don't. The registry
    /// also lists agents that were killed, until their leases end.
    pub(crate) async fn any_live(
        &self,
        agents: &mut Vec<ListedAgent>,
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

    /// An agent's answer to `info`.
    pub(crate) async fn info(&self, agent: &ListedAgent) -> Result<Value, AgentCallError> {
        self.call(agent, "info", &json!({}), ANSWER_TIMEOUT).await
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
        // Params that are objects of strings and numbers can always be written.
        let body = jsonrpc::request(method, params, &id).unwrap_or_default();
        let to = ServiceAddress::agent(&agent.url);
        let to = if agent.is_listed { to.of(&agent.name) } else { to };
        let timeout = timeout.saturating_add(TIMEOUT_MARGIN);
        let (headers, limits) = (self.trace.clone(), &limits::ANSWER);
        let answered =
            exchange_with(&self.client, to, headers, (&id, body), timeout, limits).await?;
        let RpcAnswer { outcome, origin } = answered;
        let result = outcome.map_err(|error| AgentCallError::Answered(error, origin))?;
        Ok(serde_json::from_str(result.get()).unwrap_or_default())
    }
}
