//! The agent's own calls: to peers and to the registry.

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use mesh_core::Timestamp;
use mesh_core::agent::{CallError, Fate, RegistryReply, RegistryRequest, Seen};
use mesh_core::codec::{self, limits};
use mesh_core::jsonrpc::Id;
use mesh_core::protocol::{Reply, Request};
use mesh_core::text::without_mark;
use serde::Serialize;

use super::driver::AgentDriver;
use crate::http::{self, Answer, Method, StatusCode};
use crate::rpc::{ExchangeError, RpcAnswer, ServiceAddress, exchange};
use crate::wire::{
    DeregisterBody, EPOCH_HEADER, RefusedBody, RegisterBody, RegisteredBody, listing, read_services,
};
use crate::{Host, Net, Observer};

impl<N: Net, H: Host, O: Observer> AgentDriver<N, H, O> {
    /// Calls a method of a peer.
    pub(super) async fn call_peer(
        &self,
        url: &str,
        request: &Request,
        until: Timestamp,
    ) -> Result<Reply, CallError> {
        let timeout = until.since(self.clock.now());
        call(&self.client, url, request, timeout).await
    }

    /// Asks the registry.
    pub(super) async fn call_registry(&self, request: RegistryRequest) -> RegistryReply {
        let reply = match request {
            RegistryRequest::Register(registration) => {
                let body = RegisterBody::from(registration);
                let answer = self.post("/register", &body).await;
                answer.and_then(|answer| self.registered(&answer))
            }
            RegistryRequest::Deregister { name, incarnation } => {
                let body = DeregisterBody { name, incarnation: Some(incarnation) };
                self.post("/deregister", &body).await.map(|_| RegistryReply::Deregistered)
            }
            RegistryRequest::List => self.list().await,
        };
        let Some(reply) = reply else { return RegistryReply::Failed };
        if !matches!(reply, RegistryReply::Deregistered) {
            self.registry_is_strange.store(false, Ordering::Relaxed);
        }
        reply
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Option<Answer> {
        let body = serde_json::to_vec(body).ok()?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn list(&self) -> Option<RegistryReply> {
        let answer = self.ask(Method::GET, "/services", Bytes::new()).await?;
        if answer.status != StatusCode::OK {
            self.warn_of_stranger(answer.status, &"it has no list of services");
            return None;
        }
        let services = read_services(&answer.body)
            .inspect_err(|error| self.warn_of_stranger(answer.status, error))
            .ok()?;
        // A registry that names no epoch (the demo's) is taken to live for ever.
        let epoch = answer.header(EPOCH_HEADER).and_then(|value| value.parse().ok());
        Some(RegistryReply::Listed(listing(epoch.unwrap_or_default(), services)))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Option<Answer> {
        let answer = self.client.request(&self.registry, method, path, body, self.patience).await;
        let was_silent = self.registry_is_silent.swap(answer.is_err(), Ordering::Relaxed);
        let (agent, registry) = (&self.name, &self.registry);
        match &answer {
            Ok(_) if was_silent => tracing::info!(%agent, %registry, "the registry answers again"),
            // Once is enough: it is asked again and again.
            Err(error) if !was_silent => {
                let cause = error.source().map(tracing::field::display);
                tracing::warn!(%agent, %registry, %error, cause, "the registry does not answer");
            }
            _ => {}
        }
        answer.ok()
    }

    fn registered(&self, answer: &Answer) -> Option<RegistryReply> {
        if answer.status.is_success() {
            // A registry that names no TTL (the demo's) has granted a lease all the same.
            let body: RegisteredBody =
                serde_json::from_slice(without_mark(&answer.body)).unwrap_or_default();
            let ttl = body.ttl_ms.map_or(self.usual_ttl, Duration::from_millis);
            return Some(RegistryReply::Registered { ttl, rival: body.rival });
        }
        let body: RefusedBody = serde_json::from_slice(without_mark(&answer.body))
            .inspect_err(|error| self.warn_of_stranger(answer.status, error))
            .ok()?;
        // A name that no registry takes will never heal: somebody must be told.
        let (status, error) = (answer.status, &body.error);
        tracing::warn!(agent = %self.name, %status, %error, "registration refused");
        match (&*body.reason, body.current) {
            ("unknown_lease", _) => Some(RegistryReply::UnknownLease),
            ("stale_incarnation", Some(current)) => {
                Some(RegistryReply::StaleIncarnation { current, holder: body.holder })
            }
            _ => None,
        }
    }

    /// Something else listens where the registry should be, or before it: it will never list us.
    fn warn_of_stranger(&self, status: StatusCode, error: &dyn fmt::Display) {
        let (agent, registry) = (&self.name, &self.registry);
        // Once is enough, as with a silent one.
        if !self.registry_is_strange.swap(true, Ordering::Relaxed) {
            tracing::warn!(%agent, %registry, %status, %error, "it does not answer as a registry");
        }
    }
}

/// Calls a method of the agent at `url` and reads its answer.
///
/// # Errors
/// [`CallError::NotSent`] if the agent can't have seen the call, [`CallError::NoAnswer`] if it may
/// have and no answer that can be read came back, [`CallError::Answered`] if it answered with an
/// error, be it in HTTP or in JSON-RPC.
pub async fn call<N: Net>(
    client: &http::Client<N>,
    url: &str,
    request: &Request,
    timeout: Duration,
) -> Result<Reply, CallError> {
    // One call per exchange: the connection tells the answers apart.
    let id = Id::from(1);
    let Ok(body) = codec::encode_request(request, &id) else { return Err(CallError::NotSent) };
    let endpoint = ServiceAddress::agent(url);
    let answered = exchange(client, endpoint, (&id, body), timeout, &limits::ANSWER).await;
    let RpcAnswer { outcome, origin } = answered.map_err(|error| unanswered(url, &error))?;
    let result = outcome.map_err(|error| codec::from_error(&error, origin))?;
    codec::decode_reply(request, &result).map_err(|error| {
        tracing::warn!(peer = url, %error, "its answer can't be read");
        CallError::NoAnswer
    })
}

fn unanswered(url: &str, error: &ExchangeError) -> CallError {
    match (error, error.seen()) {
        (_, Seen::NotSent) => CallError::NotSent,
        (ExchangeError::Http(_), _) => CallError::NoAnswer,
        // Somebody is there, but no agent in good order: that needs looking after.
        (_, seen) => {
            let cause = error.source().map(tracing::field::display);
            tracing::warn!(peer = url, %error, cause, "it does not answer as an agent");
            match seen.fate() {
                Fate::Unknown => CallError::NoAnswer,
                fate => fate.failure(url, format!("failed to {error}")).into(),
            }
        }
    }
}
