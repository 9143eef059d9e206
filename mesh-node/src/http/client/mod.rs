//! The HTTP client: one request, one answer and one timeout, over connections that are kept open.

mod connection;
mod error;
mod pool;
mod streamed_answer;
#[cfg(test)]
mod tests;
mod waker;

use std::fmt::Display;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use self::connection::{Connection, Sent};
pub use self::error::HttpError;
use self::pool::ConnectionPool;
pub use self::streamed_answer::StreamedAnswer;
use super::ClientLimits;
use crate::Net;

/// How many connections a client has at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// All connections, including those that are being opened.
    pub open: usize,
    /// Connections that wait for a request.
    pub idle: usize,
}

/// The whole answer to an HTTP request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header field; `None` if it is missing or not plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Sends HTTP requests to any number of destinations, and keeps their connections open for the next
/// requests. Clones share the connections.
///
/// A request never waits for another one to give up its connection: it takes an idle one or opens
/// its own. A connection whose request failed, timed out or was dropped is closed and never used
/// again.
#[derive(Clone)]
pub struct Client<N> {
    net: N,
    pool: Arc<ConnectionPool>,
}

impl<N: Net> Client<N> {
    /// A client without connections. Create it inside the runtime whose clock it shall follow.
    pub fn new(net: N, limits: ClientLimits) -> Self {
        Self { net, pool: Arc::new(ConnectionPool::new(limits)) }
    }

    /// How many connections the client has now.
    pub fn connections(&self) -> ConnectionCounts {
        self.pool.count()
    }

    /// Sends a request to `destination` (`host:port`) and reads the whole answer. A body that is
    /// not empty is sent as `application/json`.
    ///
    /// If a kept-alive connection turns out to be closed before the request was sent over it, the
    /// request goes out again over a new one, once. Nothing else is repeated, not even a request
    /// that went out over a connection which the server was just closing: nobody can tell whether
    /// that was read, and only the caller knows whether sending it twice does harm.
    ///
    /// A request that is cut off or times out also closes the idle connections to its destination
    /// that have not been used since it began: what broke its connection may have broken theirs.
    ///
    /// # Errors
    /// See [`HttpError`]. [`HttpError::Timeout`] comes after `timeout`, which covers
    /// everything from connecting to the last byte of the answer. A status such as 404 or 503 is an
    /// answer, not an error.
    pub async fn request(
        &self,
        destination: &str,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        let request = build_request(destination, method, path, body)?;
        self.send_within((destination, None), request, timeout).await
    }

    /// As [`Self::request`], for a `POST` of JSON to the agent of this name. Where there are
    /// certificates, the request is sent only if the other end shows one of that agent; without a
    /// name, one of that host, as with all other requests.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn post_to(
        &self,
        (destination, agent): (&str, Option<&str>),
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        let request = build_request(destination, Method::POST, path, body)?;
        self.send_within((destination, agent), request, timeout).await
    }

    /// As [`Self::request`], for a `POST` of JSON that has these header fields, too.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn post_with(
        &self,
        destination: &str,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        let whom = (destination, None);
        self.send_with(whom, Method::POST, path, headers, body, timeout).await
    }

    /// As [`Self::request`] and [`Self::post_to`], with these header fields, too. A key among them
    /// is shown in place of the network's own.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn send_with(
        &self,
        (destination, agent): (&str, Option<&str>),
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        let mut request = build_request(destination, method, path, body)?;
        request.headers_mut().extend(headers);
        self.send_within((destination, agent), request, timeout).await
    }

    /// Adds what this process shows at `destination`, if it has something to show there and the
    /// request has nothing of its own.
    fn show_key(&self, destination: &str, request: &mut Request<Full<Bytes>>) {
        if request.headers().contains_key(AUTHORIZATION) {
            return;
        }
        if let Some(value) = self.net.authorization(destination) {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
    }

    /// Sends a request and reads the whole answer before `timeout` is over.
    async fn send_within(
        &self,
        (destination, agent): (&str, Option<&str>),
        mut request: Box<Request<Full<Bytes>>>,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        self.show_key(destination, &mut request);
        let began = self.pool.now();
        let sent = AtomicBool::new(false);
        // Pinned here, because it is large and the timeout around it would make another copy.
        let exchange = pin!(self.exchange((destination, agent), request, &sent));
        let result = match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout { sent: sent.load(Ordering::Relaxed) }),
        };
        if matches!(result, Err(HttpError::Timeout { .. } | HttpError::Broken(_))) {
            self.pool.drop_older(destination, began);
        }
        result
    }

    /// The exchange over an idle connection, or over a new one if there is none or it was closed.
    /// Sets `sent` as soon as the request may have reached the server.
    async fn exchange(
        &self,
        (destination, agent): (&str, Option<&str>),
        mut request: Box<Request<Full<Bytes>>>,
        sent: &AtomicBool,
    ) -> Result<Answer, HttpError> {
        if let Some(connection) = self.pool.take(destination) {
            connection.check_peer(agent)?;
            match self.send(connection, request, sent).await? {
                Sent::Answered(answer) => return Ok(answer),
                Sent::NotSent(unsent, _) => request = unsent,
            }
        }
        // Boxed, because it is large and seldom needed, and every request would have to make room
        // for it.
        Box::pin(self.exchange_over_new((destination, agent), request, sent)).await
    }

    /// The exchange over a new connection.
    async fn exchange_over_new(
        &self,
        (destination, agent): (&str, Option<&str>),
        request: Box<Request<Full<Bytes>>>,
        sent: &AtomicBool,
    ) -> Result<Answer, HttpError> {
        let connection = self.open(destination).await?;
        connection.check_peer(agent)?;
        match self.send(connection, request, sent).await? {
            Sent::Answered(answer) => Ok(answer),
            Sent::NotSent(_, error) => {
                Err(HttpError::connect(destination, io::Error::other(error)))
            }
        }
    }

    /// Opens a connection, unless the destination has as many as it may have.
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
        let peer = N::peer(&stream);
        Connection::open(stream, peer, slot, &self.pool.limits)
            .await
            .map_err(|error| failed(io::Error::other(error)))
    }

    /// Sends the request over this connection, which goes back to the pool if it can take another
    /// one.
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
            Sent::NotSent(..) => sent.store(false, Ordering::Relaxed),
        }
        Ok(result)
    }
}

/// Makes a request. It is boxed, because it is large and passes through several futures, each of
/// which would have to make room for it.
fn build_request(
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
    // Filled in place: a builder would move the request once more with each field.
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
