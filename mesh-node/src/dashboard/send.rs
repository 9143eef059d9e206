//! Sends a job for somebody at the page, with that caller's rights.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use mesh_core::codec::{in_millis, limits};
use mesh_core::jsonrpc::{self, Id};
use mesh_core::registry::{address, is_name};
use mesh_core::text::closest;
use mesh_core::trace::TRACEPARENT;
use serde::Deserialize;
use serde_json::json;

use super::Dashboard;
use crate::Net;
use crate::http::{Client, Request, Response, StatusCode};
use crate::rpc::{ExchangeError, RpcAnswer, ServiceAddress, exchange_with};
use crate::security::AccessDoor;
use crate::security::keys::ApiKey;

/// The longest text of a job, in bytes.
const MOST_TEXT: usize = 64 << 10;
/// How long a job may take at most.
const LONGEST: Duration = Duration::from_secs(300);
/// How long it may take if the page does not say.
const USUAL: Duration = Duration::from_secs(30);
/// How much longer than its timeout a call may take, so that the agent can say that it ran out.
const MARGIN: Duration = Duration::from_secs(1);

/// How a dashboard calls agents: a [`Client`], whatever its network.
pub trait CallAgents: Send + Sync + 'static {
    /// Sends a JSON-RPC call, with these header fields, and reads its answer.
    fn call<'a>(
        &'a self,
        to: ServiceAddress<'a>,
        headers: HeaderMap,
        call: (&'a Id, Vec<u8>),
        timeout: Duration,
    ) -> BoxFuture<'a, Result<RpcAnswer, ExchangeError>>;
}

impl<N: Net> CallAgents for Client<N> {
    fn call<'a>(
        &'a self,
        to: ServiceAddress<'a>,
        headers: HeaderMap,
        call: (&'a Id, Vec<u8>),
        timeout: Duration,
    ) -> BoxFuture<'a, Result<RpcAnswer, ExchangeError>> {
        Box::pin(exchange_with(self, to, headers, call, timeout, &limits::ANSWER))
    }
}

/// What the form of the page sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentJob {
    agent: String,
    method: JobMethod,
    text: String,
    timeout_ms: Option<u64>,
    skill: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum JobMethod {
    Work,
    Delegate,
}

impl JobMethod {
    const fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Delegate => "delegate",
        }
    }
}

impl Dashboard {
    /// Sends a job to an agent that is listed, and answers with what came back.
    pub(super) async fn send(
        &self,
        request: &Request,
        access: Option<&Arc<AccessDoor>>,
    ) -> Response {
        match self.sent(request, access).await {
            Ok(answer) => answer,
            Err((status, reason)) => Response::error(status, &reason),
        }
    }

    async fn sent(
        &self,
        request: &Request,
        access: Option<&Arc<AccessDoor>>,
    ) -> Result<Response, (StatusCode, String)> {
        let job: SentJob = serde_json::from_slice(&request.body)
            .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        let timeout = job.timeout_ms.map_or(USUAL, Duration::from_millis);
        if job.text.len() > MOST_TEXT || timeout.is_zero() || timeout > LONGEST {
            let reason = format!(
                "a text may have {MOST_TEXT} bytes, and a timeout may be 1 to {} ms",
                LONGEST.as_millis()
            );
            return Err((StatusCode::BAD_REQUEST, reason));
        }
        let headers = credentials(request, access)?;
        let Some(url) = self.board().url(&job.agent) else {
            return Err((StatusCode::NOT_FOUND, self.unlisted(&job.agent)));
        };
        let Ok(_permit) = self.jobs.try_acquire() else {
            let reason = format!("{} jobs of this page are under way already", self.limits.jobs);
            return Err((StatusCode::SERVICE_UNAVAILABLE, reason));
        };
        let mut params = json!({ "text": job.text, "timeout_ms": timeout.as_millis() as u64 });
        if let Some(skill) = job.skill.filter(|skill| !skill.is_empty()) {
            params["skill"] = skill.into();
        }
        let context = self.new_trace();
        let trace = context.trace_id().to_string();
        params["_meta"] = json!({ TRACEPARENT: context.traceparent() });
        let id = Id::from(1);
        // Params that are objects of strings and numbers can always be written.
        let body = jsonrpc::request(job.method.name(), &params, &id).unwrap_or_default();
        let to = ServiceAddress::agent(address(&url)).of(&job.agent);
        let sent = self.clock.now();
        let answered = self.agents.call(to, headers, (&id, body), timeout + MARGIN).await;
        let took_ms = in_millis(self.clock.now().since(sent));
        let answer = match answered {
            Ok(RpcAnswer { outcome: Ok(result), .. }) => {
                json!({ "took_ms": took_ms, "trace": trace, "result": &*result })
            }
            Ok(RpcAnswer { outcome: Err(error), .. }) => {
                let (code, error) = (error.code, error.message);
                json!({ "took_ms": took_ms, "trace": trace, "code": code, "error": error })
            }
            Err(error) => {
                let reason =
                    format!("{} did not answer: failed to {error} (trace {trace})", job.agent);
                return Err((StatusCode::BAD_GATEWAY, reason));
            }
        };
        Ok(Response::json(StatusCode::OK, answer.to_string()))
    }

    fn unlisted(&self, name: &str) -> String {
        if !is_name(name) {
            return "that is no name of an agent".to_owned();
        }
        let board = self.board();
        let near = closest(name, board.names());
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!("no agent {name} is listed{hint}")
    }
}

/// What is shown to the agent: the caller's own key, where keys are asked for. For a caller that has
/// signed in by its certificate nothing is added to what this process shows itself: a certificate
/// brings no key that could be passed on.
fn credentials(
    request: &Request,
    access: Option<&Arc<AccessDoor>>,
) -> Result<HeaderMap, (StatusCode, String)> {
    let mut headers = HeaderMap::new();
    let Some(access) = access.filter(|access| access.asks_keys()) else { return Ok(headers) };
    let Some(key) = access.call_key(&request.head) else {
        if access.may_call_by_certificate(&request.head) {
            return Ok(headers);
        }
        let reason = "sign in with a key that has the role `call`, too: it is the only one that \
                      is ever shown to an agent";
        return Err((StatusCode::FORBIDDEN, reason.to_owned()));
    };
    headers.insert(AUTHORIZATION, bearer(&key)?);
    Ok(headers)
}

fn bearer(key: &ApiKey) -> Result<HeaderValue, (StatusCode, String)> {
    let value = HeaderValue::try_from(format!("Bearer {}", key.reveal()));
    let mut value =
        value.map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "the key is no text".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
