//! One JSON-RPC call over HTTP, whoever answers it.

use std::time::Duration;

use mesh_core::jsonrpc::{Id, Limits, Outcome, ResponseError, parse_response};

use crate::Net;
use crate::http::{CallError, Client, Method, StatusCode};

/// Why a call brought neither a result nor an error object.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// HTTP failed.
    #[error(transparent)]
    Http(#[from] CallError),
    /// The server answered, but for itself: no JSON-RPC came of it.
    #[error("get a JSON-RPC answer: HTTP status {0}")]
    Status(StatusCode),
    /// What came is no JSON-RPC answer to this call.
    #[error("get a JSON-RPC answer")]
    Malformed(#[from] ResponseError),
}

impl ExchangeError {
    /// Whether the callee certainly has not begun to do what was asked.
    pub fn never_began(&self) -> bool {
        match self {
            Self::Http(error) => error.never_sent(),
            Self::Status(status) => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::Malformed(_) => false,
        }
    }
}

/// Where a JSON-RPC service is.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// `host:port`.
    pub address: &'a str,
    /// Path and query, beginning with a slash.
    pub path: &'a str,
}

impl<'a> Endpoint<'a> {
    /// Where an agent of the mesh takes calls.
    pub const fn agent(address: &'a str) -> Self {
        Self { address, path: "/rpc" }
    }
}

/// Posts the call with the id `id` and reads its answer. An error object counts as an answer
/// whatever the HTTP status.
///
/// # Errors
/// If there is no answer, or none that JSON-RPC knows.
pub async fn exchange<N: Net>(
    client: &Client<N>,
    to: Endpoint<'_>,
    (id, body): (&Id, Vec<u8>),
    timeout: Duration,
    limits: &Limits,
) -> Result<Outcome, ExchangeError> {
    let answer = client.call(to.address, Method::POST, to.path, body.into(), timeout).await?;
    match parse_response(&answer.body, limits, id) {
        Ok(outcome) if answer.status.is_success() || outcome.is_err() => Ok(outcome),
        Err(error) if answer.status.is_success() => Err(error.into()),
        _ => Err(ExchangeError::Status(answer.status)),
    }
}
