//! The calls that an agent makes: of peers over JSON-RPC, and of registries over HTTP.

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use mesh_core::Timestamp;
use mesh_core::agent::{CallError, Fate, ObservedEnd, RegistryReply, RegistryRequest};
use mesh_core::codec::{self, limits};
use mesh_core::jsonrpc::Id;
use mesh_core::protocol::{Reply, Request};
use mesh_core::text::without_mark;
use mesh_core::trace::TraceId;
use serde::Serialize;

use super::driver::{AgentDriver, CalledRegistry};
use crate::http::{self, Answer, HttpError, Method, StatusCode};
use crate::rpc::{ExchangeError, RpcAnswer, ServiceAddress, exchange};
use crate::wire::{
    DeregisterBody, EPOCH_HEADER, RefusedBody, RegisterBody, RegisteredBody, listing, read_services,
};
use crate::{Host, Net, Observer};

impl<N: Net, H: Host, O: Observer> AgentDriver<N, H, O> {
    /// Sends a peer a probe or a job. `until` is the deadline of the call.
    pub(super) async fn call_peer(
        &self,
        (name, url): (&str, &str),
        request: &Request,
        until: Timestamp,
    ) -> Result<Reply, CallError> {
        let made = self.observer.0.made.begin(self.clock, request, until);
        let timeout = until.since(self.clock.now());
        let service = ServiceAddress::agent(url).of(name);
        let result = call_service(&self.client, service, request, timeout).await;
        made.ended(&result);
        result
    }

    /// Sends registry number `at` a request and reads its answer. Every failure is logged once and becomes
    /// [`RegistryReply::Failed`]: the state machine asks again by itself.
    pub(super) async fn call_registry(&self, at: usize, request: RegistryRequest) -> RegistryReply {
        let Some(registry) = self.registries.get(at) else { return RegistryReply::Failed };
        let reply = match request {
            RegistryRequest::Register(registration) => {
                let telemetry = self.telemetry().report(self.clock.now());
                let member = self.member();
                let body = RegisterBody { telemetry, member, ..RegisterBody::from(registration) };
                let answer = self.post(registry, "/register", &body).await;
                answer.and_then(|answer| self.registered(at, registry, &answer))
            }
            RegistryRequest::Deregister { name, incarnation } => {
                let body = DeregisterBody { name, incarnation: Some(incarnation) };
                self.post(registry, "/deregister", &body).await.map(|_| RegistryReply::Deregistered)
            }
            RegistryRequest::List => self.list(registry).await,
        };
        let Some(reply) = reply else { return RegistryReply::Failed };
        if !matches!(reply, RegistryReply::Deregistered) {
            registry.is_wrong.store(false, Ordering::Relaxed);
        }
        reply
    }

    async fn post(
        &self,
        registry: &CalledRegistry,
        path: &str,
        body: &impl Serialize,
    ) -> Option<Answer> {
        let body = serde_json::to_vec(body).ok()?;
        self.ask(registry, Method::POST, path, body.into()).await
    }

    async fn list(&self, registry: &CalledRegistry) -> Option<RegistryReply> {
        let answer = self.ask(registry, Method::GET, "/services", Bytes::new()).await?;
        if answer.status != StatusCode::OK {
            self.warn_not_a_registry(registry, answer.status, &"there is no list of services");
            return None;
        }
        let services = read_services(&answer.body)
            .inspect_err(|error| self.warn_not_a_registry(registry, answer.status, error))
            .ok()?;
        // A registry without an epoch (the Python demo's) counts as one that never restarts.
        let epoch = answer.header(EPOCH_HEADER).and_then(|value| value.parse().ok());
        Some(RegistryReply::Listed(listing(epoch.unwrap_or_default(), services)))
    }

    /// Sends a registry one HTTP request. Logs when it stops answering and when it answers again.
    async fn ask(
        &self,
        registry: &CalledRegistry,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Option<Answer> {
        let answer =
            self.client.request(&registry.address, method, path, body, self.registry_timeout).await;
        let was_silent = registry.is_silent.swap(answer.is_err(), Ordering::Relaxed);
        let (agent, registry) = (&self.name, &registry.address);
        match &answer {
            Ok(_) if was_silent => tracing::info!(%agent, %registry, "the registry answers again"),
            // Logged once: the agent goes on asking with every heartbeat.
            Err(error) if !was_silent => {
                let cause = error.source().map(tracing::field::display);
                tracing::warn!(
                    %agent, %registry, %error, cause,
                    "the registry does not answer (to start one there: \
                     mesh registry --listen {registry})"
                );
            }
            _ => {}
        }
        answer.ok()
    }

    /// Reads the answer to a registration or a heartbeat.
    fn registered(
        &self,
        at: usize,
        registry: &CalledRegistry,
        answer: &Answer,
    ) -> Option<RegistryReply> {
        if answer.status.is_success() {
            // A registry without a TTL (the Python demo's) has granted a lease all the same.
            let body: RegisteredBody =
                serde_json::from_slice(without_mark(&answer.body)).unwrap_or_default();
            self.telemetry().note_watched(self.clock.now(), at, body.watched);
            let ttl = body.ttl_ms.map_or(self.assumed_ttl, Duration::from_millis);
            let RegisteredBody { rival, drain, .. } = body;
            return Some(RegistryReply::Registered { ttl, rival, drain });
        }
        let body: RefusedBody = serde_json::from_slice(without_mark(&answer.body))
            .inspect_err(|error| self.warn_not_a_registry(registry, answer.status, error))
            .ok()?;
        // Some refusals never heal by themselves, an invalid name for one, so somebody must be
        // told.
        let (status, error) = (answer.status, &body.error);
        let (agent, registry) = (&self.name, &registry.address);
        tracing::warn!(%agent, %registry, %status, %error, "registration refused");
        match (&*body.reason, body.current) {
            ("unknown_lease", _) => Some(RegistryReply::UnknownLease),
            ("stale_incarnation", Some(current)) => {
                Some(RegistryReply::StaleIncarnation { current, holder: body.holder })
            }
            ("held", _) => body.holder.map(|holder| RegistryReply::Held { holder }),
            _ => None,
        }
    }

    /// Warns that something answers at the registry's address which is no registry, or that a proxy
    /// before it answers in its place. Such a server never lists this agent.
    fn warn_not_a_registry(
        &self,
        registry: &CalledRegistry,
        status: StatusCode,
        error: &dyn fmt::Display,
    ) {
        let (agent, address) = (&self.name, &registry.address);
        // Logged once, as for a registry that is silent.
        if !registry.is_wrong.swap(true, Ordering::Relaxed) {
            tracing::warn!(%agent, registry = %address, %status, %error, "the answer is not that of a registry");
        }
    }
}

/// Calls a method of the agent at `url` (`host:port`) and reads its answer.
///
/// # Errors
/// [`CallError::NotSent`] if the agent certainly has not seen the call; [`CallError::NoAnswer`] if
/// it may have, and no readable answer came back; [`CallError::Answered`] if it answered with an
/// error, by JSON-RPC or by HTTP status.
pub async fn call<N: Net>(
    client: &http::Client<N>,
    url: &str,
    request: &Request,
    timeout: Duration,
) -> Result<Reply, CallError> {
    call_service(client, ServiceAddress::agent(url), request, timeout).await
}

/// As [`call`].
pub(crate) async fn call_service<N: Net>(
    client: &http::Client<N>,
    endpoint: ServiceAddress<'_>,
    request: &Request,
    timeout: Duration,
) -> Result<Reply, CallError> {
    let url = endpoint.address;
    // The id may be the same in all calls: each goes out alone over its connection.
    let id = Id::from(1);
    let Ok(body) = codec::encode_request(request, &id) else { return Err(CallError::NotSent) };
    let answered = exchange(client, endpoint, (&id, body), timeout, &limits::ANSWER).await;
    let trace = request.trace_id();
    let RpcAnswer { outcome, origin } =
        answered.map_err(|error| without_answer(url, trace, &error))?;
    let result = outcome.map_err(|error| codec::from_error(&error, origin))?;
    codec::decode_reply(request, &result).map_err(|error| {
        let trace_id = trace.map(tracing::field::display);
        tracing::warn!(peer = url, %error, trace_id, "the answer of the peer can't be read");
        CallError::NoAnswer
    })
}

/// What it means for the job that no JSON-RPC answer came back.
fn without_answer(url: &str, trace: Option<TraceId>, error: &ExchangeError) -> CallError {
    let trace_id = trace.map(tracing::field::display);
    match (error, error.seen()) {
        (ExchangeError::Http(error @ HttpError::WrongPeer { .. }), _) => {
            tracing::warn!(peer = url, %error, trace_id, "somebody else answers for the peer");
            CallError::NotSent
        }
        (_, ObservedEnd::NotSent) => CallError::NotSent,
        (ExchangeError::Http(_), _) => CallError::NoAnswer,
        // Something answered that does not behave as an agent. That does not heal by itself.
        (_, seen) => {
            let cause = error.source().map(tracing::field::display);
            tracing::warn!(peer = url, %error, cause, trace_id, "the answer is not that of an agent");
            match seen.fate() {
                Fate::Unknown => CallError::NoAnswer,
                fate => {
                    let failure = fate.failure(url, format!("failed to {error}"));
                    failure.with_retry_after(error.retry_after()).into()
                }
            }
        }
    }
}
