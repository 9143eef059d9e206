//! One JSON-RPC call over HTTP, of an agent or of any other service.

use std::time::Duration;

use mesh_core::agent::ObservedEnd;
use mesh_core::codec::Origin;
use mesh_core::duration::LONGEST;
use mesh_core::jsonrpc::{Id, Limits, Outcome, ResponseError, parse_response};

use crate::Net;
use crate::http::{Answer, Client, HeaderMap, HttpError, Method, StatusCode};
use crate::wire::ERROR_HEADER;

/// Why a call has neither a result nor an error object. The messages fit after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// There is no HTTP answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server answered with an HTTP status that is no success, and without a JSON-RPC response.
    #[error("get a JSON-RPC answer: HTTP status {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the server asks its callers to stay away.
        retry_after: Option<Duration>,
    },
    /// The body is not a JSON-RPC response to this call.
    #[error("get a JSON-RPC answer")]
    Malformed(#[from] ResponseError),
}

impl ExchangeError {
    /// How long the server asks its callers to stay away.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the caller saw of its call. From that follows whether the job may have been begun.
    pub fn seen(&self) -> ObservedEnd {
        match self {
            Self::Http(error) if error.never_sent() => ObservedEnd::NotSent,
            Self::Http(_) | Self::Malformed(_) => ObservedEnd::NoAnswer,
            Self::Status { status, .. } => ObservedEnd::Status(status.as_u16()),
        }
    }
}

/// The seconds in the header `Retry-After`. A date counts as none: it would need a clock that both
/// sides agree on, and few services send one.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// The answer to a JSON-RPC call.
#[derive(Debug)]
pub struct RpcAnswer {
    /// The result or the error object.
    pub outcome: Outcome,
    /// Whose error it is; `None` for a result, and if the server does not say, as only agents of
    /// the mesh do.
    pub origin: Option<Origin>,
}

/// Where a JSON-RPC service takes calls.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAddress<'a> {
    /// Host and port, `host:port`.
    pub address: &'a str,
    /// The path, beginning with a slash, and the query if there is one.
    pub path: &'a str,
    /// The agent that should answer there, if certificates can tell; `None` for whoever is that
    /// host.
    pub agent: Option<&'a str>,
}

impl<'a> ServiceAddress<'a> {
    /// Where the agent at `address` takes calls.
    pub const fn agent(address: &'a str) -> Self {
        Self { address, path: "/rpc", agent: None }
    }

    /// The same address, where the agent of this name should answer.
    #[must_use]
    pub const fn of(self, name: &'a str) -> Self {
        Self { agent: Some(name), ..self }
    }
}

/// Posts `body`, which is a call with the id `id`, and reads the answer as [`read_answer`] does.
///
/// # Errors
/// If no HTTP answer came, or one without a JSON-RPC response to the call.
pub async fn exchange<N: Net>(
    client: &Client<N>,
    to: ServiceAddress<'_>,
    (id, body): (&Id, Vec<u8>),
    timeout: Duration,
    limits: &Limits,
) -> Result<RpcAnswer, ExchangeError> {
    exchange_with(client, to, HeaderMap::new(), (id, body), timeout, limits).await
}

/// As [`exchange`], where the request has these header fields, too.
///
/// # Errors
/// As [`exchange`].
pub async fn exchange_with<N: Net>(
    client: &Client<N>,
    to: ServiceAddress<'_>,
    headers: HeaderMap,
    (id, body): (&Id, Vec<u8>),
    timeout: Duration,
    limits: &Limits,
) -> Result<RpcAnswer, ExchangeError> {
    let whom = (to.address, to.agent);
    let sent = client.send_with(whom, Method::POST, to.path, headers, body.into(), timeout);
    read_answer(&sent.await?, id, limits)
}

/// Reads the answer to the call with the id `id`. A JSON-RPC response to the call counts whatever
/// the HTTP status is.
///
/// # Errors
/// If there is no JSON-RPC response to the call.
pub fn read_answer(answer: &Answer, id: &Id, limits: &Limits) -> Result<RpcAnswer, ExchangeError> {
    match parse_response(&answer.body, limits, id) {
        Ok(outcome) => {
            let origin = answer.header(ERROR_HEADER).and_then(Origin::parse);
            Ok(RpcAnswer { outcome, origin })
        }
        Err(error) if answer.status.is_success() => Err(error.into()),
        Err(_) => {
            let (status, retry_after) = (answer.status, retry_after(&answer.headers));
            Err(ExchangeError::Status { status, retry_after })
        }
    }
}
