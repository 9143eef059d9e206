//! One JSON-RPC call over HTTP, to an agent or to any other service.

use std::time::Duration;

use mesh_core::agent::Seen;
use mesh_core::codec::Origin;
use mesh_core::jsonrpc::{Id, Limits, Outcome, ResponseError, parse_response};

use crate::Net;
use crate::http::{Client, HttpError, Method, StatusCode};
use crate::wire::ERROR_HEADER;

/// Why a call brought neither a result nor an error object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// HTTP failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server answered with an HTTP status that is no success, and with no JSON-RPC.
    #[error("get a JSON-RPC answer: HTTP status {0}")]
    Status(StatusCode),
    /// The body is not a JSON-RPC answer to this call.
    #[error("get a JSON-RPC answer")]
    Malformed(#[from] ResponseError),
}

impl ExchangeError {
    /// What the caller saw of its call: from it follows whether the job may have been begun.
    pub fn seen(&self) -> Seen {
        match self {
            Self::Http(error) if error.never_sent() => Seen::NotSent,
            Self::Http(_) | Self::Malformed(_) => Seen::NoAnswer,
            Self::Status(status) => Seen::Status(status.as_u16()),
        }
    }
}

/// A JSON-RPC answer.
#[derive(Debug)]
pub struct RpcAnswer {
    /// The result or the error.
    pub outcome: Outcome,
    /// Whose error it is, if an agent of the mesh says so.
    pub origin: Option<Origin>,
}

/// Where a JSON-RPC service is.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAddress<'a> {
    /// `host:port`.
    pub address: &'a str,
    /// Path and query, beginning with a slash.
    pub path: &'a str,
}

impl<'a> ServiceAddress<'a> {
    /// Where an agent of the mesh takes calls.
    pub const fn agent(address: &'a str) -> Self {
        Self { address, path: "/rpc" }
    }
}

/// Posts the call with the id `id` and reads its answer, which counts whatever the HTTP status.
///
/// # Errors
/// If no answer came, or one that is not JSON-RPC.
pub async fn exchange<N: Net>(
    client: &Client<N>,
    to: ServiceAddress<'_>,
    (id, body): (&Id, Vec<u8>),
    timeout: Duration,
    limits: &Limits,
) -> Result<RpcAnswer, ExchangeError> {
    let answer = client.request(to.address, Method::POST, to.path, body.into(), timeout).await?;
    match parse_response(&answer.body, limits, id) {
        Ok(outcome) => {
            let origin = answer.header(ERROR_HEADER).and_then(Origin::parse);
            Ok(RpcAnswer { outcome, origin })
        }
        Err(error) if answer.status.is_success() => Err(error.into()),
        Err(_) => Err(ExchangeError::Status(answer.status)),
    }
}
