//! Answers whose bodies are read piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::timeout;

use super::connection::{Connection, Sent};
use super::pool::ConnectionPool;
use super::{Client, HttpError, build_request};
use crate::Net;

/// An answer whose body is read piece by piece, as it arrives. It owns its connection: dropping it
/// before the end of the body closes the connection, reading to the end gives the connection back.
pub struct StreamedAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    body: Incoming,
    most_bytes: usize,
    /// Bytes that have been read so far.
    read: usize,
    /// The connection that the body comes over; `None` after the end or an error.
    connection: Option<Connection>,
    pool: Arc<ConnectionPool>,
}

impl<N: Net> Client<N> {
    /// Sends a request without a body to `destination` (`host:port`) over a new connection, and
    /// reads the head of the answer. The answer's body may have `most_bytes`.
    ///
    /// # Errors
    /// As [`Client::request`]. `timeout` covers everything until the head is read.
    pub async fn stream(
        &self,
        destination: &str,
        (method, path): (Method, &str),
        most_bytes: usize,
        timeout: Duration,
    ) -> Result<StreamedAnswer, HttpError> {
        let request = build_request(destination, method, path, Bytes::new())?;
        self.stream_within(destination, request, most_bytes, timeout).await
    }

    /// As [`Self::stream`], for a `POST` of JSON that has these header fields, too.
    ///
    /// # Errors
    /// As [`Client::request`].
    #[cfg(any(feature = "processes", feature = "store-etcd"))]
    pub(crate) async fn stream_post(
        &self,
        destination: &str,
        (path, headers, body): (&str, HeaderMap, Bytes),
        most_bytes: usize,
        timeout: Duration,
    ) -> Result<StreamedAnswer, HttpError> {
        let mut request = build_request(destination, Method::POST, path, body)?;
        request.headers_mut().extend(headers);
        self.stream_within(destination, request, most_bytes, timeout).await
    }

    async fn stream_within(
        &self,
        destination: &str,
        mut request: Box<Request<Full<Bytes>>>,
        most_bytes: usize,
        timeout: Duration,
    ) -> Result<StreamedAnswer, HttpError> {
        self.show_key(destination, &mut request);
        let sent = AtomicBool::new(false);
        let answer = async {
            let mut connection = self.open(destination).await?;
            connection.check_peer(None)?;
            sent.store(true, Ordering::Relaxed);
            match connection.send(request).await? {
                Sent::Answered(response) => Ok((connection, response)),
                Sent::NotSent(_, error) => {
                    Err(HttpError::connect(destination, std::io::Error::other(error)))
                }
            }
        };
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => {
                let (connection, response) = answer?;
                Ok(StreamedAnswer::new(connection, response, most_bytes, self.pool.clone()))
            }
            Err(_) => Err(HttpError::Timeout { sent: sent.load(Ordering::Relaxed) }),
        }
    }
}

impl StreamedAnswer {
    fn new(
        connection: Connection,
        response: Response<Incoming>,
        most_bytes: usize,
        pool: Arc<ConnectionPool>,
    ) -> Self {
        let (head, body) = response.into_parts();
        let (status, headers) = (head.status, head.headers);
        let connection = Some(connection);
        Self { status, headers, body, most_bytes, read: 0, connection, pool }
    }

    /// The next piece of the body; `None` at its end. Dropping this future loses no bytes.
    ///
    /// # Errors
    /// [`HttpError::Timeout`] if no piece comes within `patience`; after that the next piece may
    /// be asked for again. Every other error ends the answer: [`HttpError::TooLarge`] if the
    /// body exceeds its limit, [`HttpError::Broken`] if the server cut it off.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>, HttpError> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let limit = self.most_bytes - self.read;
        let piece = timeout(patience, connection.next_piece(&mut self.body, limit)).await;
        match piece.map_err(|_| HttpError::Timeout { sent: true })? {
            Ok(Some(piece)) => {
                self.read += piece.len();
                Ok(Some(piece))
            }
            Ok(None) => {
                let mut connection = self.connection.take();
                if let Some(connection) = connection.take_if(|connection| connection.is_reusable())
                {
                    self.pool.put(connection);
                }
                Ok(None)
            }
            Err(error) => {
                self.connection = None;
                Err(HttpError::of_body(error, self.most_bytes))
            }
        }
    }
}
