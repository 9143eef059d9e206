//! One connection of the client. During an exchange the task that sends the request drives the
//! connection; between exchanges a watcher task looks after it.
//!
//! A connection is not driven by a task of its own, as usual with hyper, because each exchange
//! would have to wake that task and be woken by it several times.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::pool::{ConnectionPool, ConnectionSlot};
use super::waker::ConnectionWaker;
use super::{Answer, HttpError};
use crate::http::ClientLimits;
use crate::http::read_body::{BodyReadError, next_piece, read_whole};
use crate::net::StreamPeer;

/// An open connection. Dropping it closes the socket and ends its watcher.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// hyper's half of the connection, which moves the bytes; `None` once it has ended.
    driver: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    events: Arc<ConnectionWaker>,
    /// The waker that the socket and hyper's channels get. It wakes whichever task `events` names.
    waker: Waker,
    /// The task of [`watch`].
    watcher: AbortHandle,
    pub(super) slot: ConnectionSlot,
    pub(super) peer: StreamPeer,
}

/// What became of a request that was handed to a connection.
pub(super) enum Sent<T> {
    /// It was sent and answered.
    Answered(T),
    /// It was not sent, because the connection was closed; here it is again, with the reason.
    NotSent(Box<Request<Full<Bytes>>>, hyper::Error),
}

impl Connection {
    /// Makes a connection of `stream`, and starts its watcher.
    pub(super) async fn open<S>(
        stream: S,
        peer: StreamPeer,
        slot: ConnectionSlot,
        limits: &ClientLimits,
    ) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = Builder::new()
            .max_header_size(limits.header_bytes)
            .handshake(TokioIo::new(stream))
            .await?;
        let events = Arc::new(ConnectionWaker::default());
        let watcher = tokio::spawn(watch(&slot, events.clone())).abort_handle();
        let (driver, waker) = (Some(Box::pin(driver) as _), events.clone().into());
        Ok(Self { sender, driver, events, waker, watcher, slot, peer })
    }

    /// Sends a request and reads the whole answer, whose body may have `body_limit` bytes. Unless
    /// this brings an answer, the connection can't be used again.
    pub(super) async fn exchange(
        &mut self,
        request: Box<Request<Full<Bytes>>>,
        body_limit: usize,
    ) -> Result<Sent<Answer>, HttpError> {
        let response = match self.send(request).await? {
            Sent::Answered(response) => response,
            Sent::NotSent(request, error) => return Ok(Sent::NotSent(request, error)),
        };
        let (head, body) = response.into_parts();
        let mut body = pin!(read_whole(body, body_limit));
        match poll_fn(|cx| self.drive(cx, body.as_mut())).await {
            Ok(body) => {
                let (status, headers) = (head.status, head.headers);
                Ok(Sent::Answered(Answer { status, headers, body }))
            }
            Err(error) => Err(HttpError::of_body(error, body_limit)),
        }
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Box<Request<Full<Bytes>>>,
    ) -> Result<Sent<Response<Incoming>>, HttpError> {
        // Handing over the request wakes the waker. That event must not wake the watcher.
        self.events.hold();
        let mut response = pin!(self.sender.try_send_request(*request));
        match poll_fn(|cx| self.drive(cx, response.as_mut())).await {
            Ok(response) => Ok(Sent::Answered(response)),
            Err(mut error) => match error.take_message() {
                Some(unsent) => Ok(Sent::NotSent(Box::new(unsent), error.into_error())),
                None => Err(HttpError::after_sending(error.into_error())),
            },
        }
    }

    /// The next piece of a body that comes over this connection; it may have `limit` bytes.
    pub(super) async fn next_piece(
        &mut self,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<Option<Bytes>, BodyReadError> {
        let mut piece = pin!(next_piece(body, limit));
        poll_fn(|cx| self.drive(cx, piece.as_mut())).await
    }

    /// Polls a future that waits for bytes of this connection, and hyper's half, which moves them.
    fn drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut waiting: Pin<&mut impl Future<Output = T>>,
    ) -> Poll<T> {
        self.events.hold();
        // Polled with the connection's own waker, because events of either future may require the
        // other one to be polled.
        let events = self.waker.clone();
        let mut events = Context::from_waker(&events);
        if let Poll::Ready(done) = waiting.as_mut().poll(&mut events) {
            return Poll::Ready(done);
        }
        self.poll_driver();
        let polled = waiting.poll(&mut events);
        if polled.is_pending() {
            self.events.wake_sender(cx.waker());
        }
        polled
    }

    /// Whether the connection can take another request, once the last answer has been read. It
    /// can't if the server closes it, or answered before it had the whole request.
    pub(super) fn is_reusable(&mut self) -> bool {
        // Events of reading the body are forgotten here. Those that come from now on are the
        // watcher's.
        self.events.hold();
        self.poll_driver();
        self.driver.is_some() && self.sender.is_ready() && !self.peer.is_over()
    }

    /// Checks that the other end is the agent of this name, or else the host that was called. Where
    /// there are no certificates, everybody is.
    pub(super) fn check_peer(&self, agent: Option<&str>) -> Result<(), HttpError> {
        let is_expected = match (self.peer.certificate(), agent) {
            (None, _) => !self.peer.is_tls(),
            (Some(certificate), Some(name)) => certificate.has_name(name),
            (Some(certificate), None) => certificate.is_of_host,
        };
        if is_expected {
            return Ok(());
        }
        let destination = self.slot.destination.to_string();
        let expected = match agent {
            Some(name) => format!("the agent {name}"),
            None => "that host".to_owned(),
        };
        Err(HttpError::WrongPeer { destination, expected })
    }

    /// Leaves the connection to its watcher until the next exchange.
    pub(super) fn leave_to_watcher(&self) {
        self.events.wake_watcher();
    }

    /// Whether an idle connection is still open. Called by the watcher.
    pub(super) fn is_open(&mut self) -> bool {
        self.poll_driver();
        self.driver.is_some()
    }

    /// Lets hyper read and write what it can without waiting.
    fn poll_driver(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        if driver.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            // Dropping hyper's half gives back a request that it has not begun to send.
            self.driver = None;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// The watcher of a connection: has the pool look at it when something happens to it while it is
/// idle, and when it may have been idle for too long.
fn watch(slot: &ConnectionSlot, events: Arc<ConnectionWaker>) -> impl Future<Output = ()> + use<> {
    let (pool, destination, id) = (slot.pool.clone(), slot.destination.clone(), slot.id);
    let look =
        move || pool.upgrade().and_then(|pool: Arc<ConnectionPool>| pool.inspect(&destination, id));
    async move {
        while let Some(patience) = look() {
            // After an event and after the time, the pool has to look.
            let _ = timeout(patience, events.woken()).await;
        }
    }
}
