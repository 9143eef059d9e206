//! The client: one call, one answer, one timeout, over connections that are kept open.

mod connection;
mod error;
mod events;
mod pool;
mod streamed;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use self::connection::{Connection, Sent};
pub use self::error::HttpError;
use self::pool::ConnectionPool;
pub use self::streamed::StreamedAnswer;
use super::ClientLimits;
use crate::Net;

/// How many connections a client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// All of them, including those being opened.
    pub open: usize,
    /// Those that wait for a call.
    pub idle: usize,
}

/// A peer's answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header field, if it is there and plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Calls peers over kept-alive connections. Clones share the connections.
///
/// A call never waits for a connection of another call: it takes an idle one or opens its own. One
/// whose call failed, timed out or was dropped is closed, never used again.
#[derive(Clone)]
pub struct Client<N> {
    net: N,
    pool: Arc<ConnectionPool>,
}

impl<N: Net> Client<N> {
    /// A client without connections. Create it within the runtime whose clock it shall obey.
    pub fn new(net: N, limits: ClientLimits) -> Self {
        Self { net, pool: Arc::new(ConnectionPool::new(limits)) }
    }

    /// How many connections it has now.
    pub fn connections(&self) -> ConnectionCounts {
        self.pool.count()
    }

    /// Sends one request to `destination` (`host:port`) and reads the whole answer. A body that is
    /// not empty is sent as `application/json`.
    ///
    /// If a kept-alive connection turns out to be closed before the request was sent over it, the
    /// call goes on with a new one, once. Nothing else is retried, also not a request that went out
    /// over a connection which the peer was just closing: whether it was read can't be told, and only
    /// the caller knows whether sending it again does harm. A call that fails late or times
    /// out also closes the destination's idle connections that have not been used since it began.
    ///
    /// # Errors
    /// See [`HttpError`]; [`HttpError::Timeout`] after `timeout`, which covers everything. A status
    /// such as 404 or 503 is an answer, not an error.
    pub async fn request(
        &self,
        destination: &str,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        let request = request(destination, method, path, body)?;
        let began = self.pool.now();
        let sent = AtomicBool::new(false);
        // Pinned here, for it is large, and a timeout around it would be yet another copy.
        let exchange = pin!(self.exchange(destination, request, &sent));
        let result = match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout { sent: sent.load(Ordering::Relaxed) }),
        };
        if matches!(result, Err(HttpError::Timeout { .. } | HttpError::Broken(_))) {
            self.pool.distrust(destination, began);
        }
        result
    }

    async fn exchange(
        &self,
        destination: &str,
        mut request: Box<Request<Full<Bytes>>>,
        sent: &AtomicBool,
    ) -> Result<Answer, HttpError> {
        if let Some(connection) = self.pool.take(destination) {
            match self.send(connection, request, sent).await? {
                Sent::Answered(answer) => return Ok(answer),
                Sent::NotAtAll(unsent, _) => request = unsent,
            }
        }
        // Boxed, for it is large and seldom needed, and every call would have to carry it.
        Box::pin(self.exchange_anew(destination, request, sent)).await
    }

    /// The exchange over a connection of its own.
    async fn exchange_anew(
        &self,
        destination: &str,
        request: Box<Request<Full<Bytes>>>,
        sent: &AtomicBool,
    ) -> Result<Answer, HttpError> {
        let connection = self.open(destination).await?;
        match self.send(connection, request, sent).await? {
            Sent::Answered(answer) => Ok(answer),
            Sent::NotAtAll(_, error) => {
                Err(HttpError::connect(destination, io::Error::other(error)))
            }
        }
    }

    async fn open(&self, destination: &str) -> Result<Connection, HttpError> {
        let Some(slot) = self.pool.reserve(destination) else {
            let limit = self.pool.limits.open_per_destination.unwrap_or_default();
            return Err(HttpError::TooManyOpen { destination: destination.into(), limit });
        };
        let failed = |error| HttpError::connect(destination, error);
        let limit = self.pool.limits.connect;
        let stream = timeout(limit, self.net.connect(destination))
            .await
            .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        Connection::open(stream, slot, &self.pool.limits)
            .await
            .map_err(|error| failed(io::Error::other(error)))
    }

    async fn send(
        &self,
        mut connection: Connection,
        request: Box<Request<Full<Bytes>>>,
        sent: &AtomicBool,
    ) -> Result<Sent<Answer>, HttpError> {
        sent.store(true, Ordering::Relaxed);
        let result = connection.exchange(request, self.pool.limits.body_bytes).await?;
        match &result {
            Sent::Answered(_) if connection.is_reusable() => self.pool.put(connection),
            Sent::Answered(_) => {}
            Sent::NotAtAll(..) => sent.store(false, Ordering::Relaxed),
        }
        Ok(result)
    }
}

/// Boxed, for it is large and passes through several futures, which all would have room for it.
fn request(
    destination: &str,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Box<Request<Full<Bytes>>>, HttpError> {
    let invalid = |reason: &dyn Display| HttpError::Invalid {
        destination: destination.into(),
        path: path.into(),
        reason: reason.to_string(),
    };
    if !path.starts_with('/') {
        return Err(invalid(&"a path begins with a slash"));
    }
    let uri = Uri::try_from(path).map_err(|error| invalid(&error))?;
    let host = HeaderValue::from_str(destination).map_err(|error| invalid(&error))?;
    let is_empty = body.is_empty();
    // A builder would move it once more with each field.
    let mut request = Box::new(Request::new(Full::new(body)));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, host);
    if !is_empty {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
    }
    Ok(request)
}
