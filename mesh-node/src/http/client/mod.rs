//! The client: one call, one answer, one timeout, over connections that are kept open.

mod error;
mod pool;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

pub use self::error::CallError;
use self::pool::{Connection, Place, Pool};
use super::ClientLimits;
use crate::Net;

/// How many connections a client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
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
    pool: Arc<Pool>,
}

impl<N: Net> Client<N> {
    /// A client without connections. Create it within the runtime whose clock it shall obey.
    pub fn new(net: N, limits: ClientLimits) -> Self {
        Self { net, pool: Arc::new(Pool::new(limits)) }
    }

    /// How many connections it has now.
    pub fn connections(&self) -> Connections {
        self.pool.count()
    }

    /// Sends one request to `destination` (`host:port`) and reads the whole answer. A body that is
    /// not empty is sent as `application/json`.
    ///
    /// If a kept-alive connection turns out to be closed before the request was sent over it, the
    /// call goes on with a new one, once. Nothing else is retried. A call that fails late or times
    /// out also closes the destination's idle connections that have not been used since it began.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Timeout`] after `timeout`, which covers everything. A status
    /// such as 404 or 503 is an answer, not an error.
    pub async fn call(
        &self,
        destination: &str,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let request = request(destination, method, path, body)?;
        let began = self.pool.now();
        let sent = AtomicBool::new(false);
        let exchange = self.exchange(destination, request, &sent);
        let result = match tokio::time::timeout(timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout { sent: sent.load(Ordering::Relaxed) }),
        };
        if matches!(result, Err(CallError::Timeout { .. } | CallError::Broken(_))) {
            self.pool.distrust(destination, began);
        }
        result
    }

    async fn exchange(
        &self,
        destination: &str,
        mut request: Request<Full<Bytes>>,
        sent: &AtomicBool,
    ) -> Result<Answer, CallError> {
        if let Some(connection) = self.pool.take(destination) {
            match self.send(connection, request, sent).await? {
                Sent::Answered(answer) => return Ok(answer),
                Sent::NotAtAll(unsent, _) => request = *unsent,
            }
        }
        // Boxed, for it is large and seldom needed, and every call would have to carry it.
        Box::pin(self.exchange_anew(destination, request, sent)).await
    }

    /// The exchange over a connection of its own.
    async fn exchange_anew(
        &self,
        destination: &str,
        request: Request<Full<Bytes>>,
        sent: &AtomicBool,
    ) -> Result<Answer, CallError> {
        let connection = self.open(destination).await?;
        match self.send(connection, request, sent).await? {
            Sent::Answered(answer) => Ok(answer),
            Sent::NotAtAll(_, error) => {
                Err(CallError::connect(destination, io::Error::other(error)))
            }
        }
    }

    async fn open(&self, destination: &str) -> Result<Connection, CallError> {
        let Some(place) = self.pool.reserve(destination) else {
            let limit = self.pool.limits.open_per_destination.unwrap_or_default();
            return Err(CallError::TooManyOpen { destination: destination.into(), limit });
        };
        let failed = |error| CallError::connect(destination, error);
        let limit = self.pool.limits.connect;
        let stream = timeout(limit, self.net.connect(destination))
            .await
            .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        let (sender, connection) = http1::Builder::new()
            .max_header_size(self.pool.limits.header_bytes)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(io::Error::other(error)))?;
        let driver = tokio::spawn(drive(connection, Arc::downgrade(&self.pool), &place));
        Ok(Connection::new(sender, driver.abort_handle(), place))
    }

    async fn send(
        &self,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
        sent: &AtomicBool,
    ) -> Result<Sent, CallError> {
        sent.store(true, Ordering::Relaxed);
        match connection.sender.try_send_request(request).await {
            Ok(response) => {
                let answer = read(response, self.pool.limits.body_bytes).await?;
                if is_reusable(&mut connection.sender).await {
                    self.pool.put(connection);
                }
                Ok(Sent::Answered(answer))
            }
            Err(mut error) => match error.take_message() {
                Some(request) => {
                    sent.store(false, Ordering::Relaxed);
                    Ok(Sent::NotAtAll(Box::new(request), error.into_error()))
                }
                None => Err(CallError::after_sending(error.into_error())),
            },
        }
    }
}

/// What became of a request that was handed to a connection.
enum Sent {
    Answered(Answer),
    NotAtAll(Box<Request<Full<Bytes>>>, hyper::Error),
}

fn request(
    destination: &str,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, CallError> {
    let invalid =
        |reason| CallError::Invalid { destination: destination.into(), path: path.into(), reason };
    if !path.starts_with('/') {
        return Err(invalid("a path begins with a slash".into()));
    }
    let mut request = Request::builder().method(method).uri(path).header(HOST, destination);
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request.body(Full::new(body)).map_err(|error| invalid(error.to_string()))
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<Answer, CallError> {
    let (head, body) = response.into_parts();
    if body.size_hint().lower() > limit as u64 {
        return Err(CallError::TooLarge { limit });
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => {
            let (status, headers, body) = (head.status, head.headers, whole.to_bytes());
            Ok(Answer { status, headers, body })
        }
        Err(error) if error.is::<LengthLimitError>() => Err(CallError::TooLarge { limit }),
        Err(error) => Err(CallError::Broken(error)),
    }
}

/// Whether a connection can take another request. On several threads its driver may need a moment
/// to see the end of an answer that the caller has already read; a connection that is busy for
/// longer is still sending a request that was answered early, and not worth keeping.
async fn is_reusable(sender: &mut SendRequest<Full<Bytes>>) -> bool {
    const MOMENT: Duration = Duration::from_millis(1);
    if sender.is_ready() || sender.is_closed() {
        return sender.is_ready();
    }
    matches!(timeout(MOMENT, sender.ready()).await, Ok(Ok(())))
}

/// Moves the bytes of one connection until it closes or has been idle for too long.
fn drive<S>(
    connection: http1::Connection<TokioIo<S>, Full<Bytes>>,
    pool: Weak<Pool>,
    place: &Place,
) -> impl Future<Output = ()> + Send + use<S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (destination, id) = (place.destination.clone(), place.id);
    async move {
        let mut connection = pin!(connection);
        let mut patience = match pool.upgrade() {
            Some(pool) => pool.limits.idle,
            None => return,
        };
        loop {
            tokio::select! {
                biased;
                _ = &mut connection => break,
                () = sleep(patience) => {
                    match pool.upgrade().and_then(|pool| pool.expire(&destination, id)) {
                        Some(left) => patience = left,
                        None => return,
                    }
                }
            }
        }
        if let Some(pool) = pool.upgrade() {
            pool.forget(&destination, id);
        }
    }
}
