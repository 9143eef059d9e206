//! One connection: its caller drives it during a call, its watcher looks after it between calls.
//!
//! With a task of its own that drives it, each call would wake that task and be woken by it several
//! times over.

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

use super::events::Events;
use super::pool::{ConnectionPool, ConnectionSlot};
use super::{Answer, HttpError};
use crate::http::ClientLimits;
use crate::http::read_body::{BodyReadError, next_piece, read_whole};

/// An open connection. Dropping it closes the socket.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// hyper's side of it, which moves the bytes; `None` once it has ended.
    protocol: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    events: Arc<Events>,
    /// Wakes whoever `events` says.
    waker: Waker,
    watcher: AbortHandle,
    pub(super) slot: ConnectionSlot,
}

/// What became of a request that was handed to a connection.
pub(super) enum Sent<T> {
    Answered(T),
    NotAtAll(Box<Request<Full<Bytes>>>, hyper::Error),
}

impl Connection {
    /// A connection over `stream`, and its watcher.
    pub(super) async fn open<S>(
        stream: S,
        slot: ConnectionSlot,
        limits: &ClientLimits,
    ) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, protocol) = Builder::new()
            .max_header_size(limits.header_bytes)
            .handshake(TokioIo::new(stream))
            .await?;
        let events = Arc::new(Events::default());
        let watcher = tokio::spawn(watch(&slot, events.clone())).abort_handle();
        let (protocol, waker) = (Some(Box::pin(protocol) as _), events.clone().into());
        Ok(Self { sender, protocol, events, waker, watcher, slot })
    }

    /// Sends a request and reads the answer, whose body may have so many bytes. Unless this brings
    /// an answer, the connection is of no more use.
    pub(super) async fn exchange(
        &mut self,
        request: Box<Request<Full<Bytes>>>,
        body_limit: usize,
    ) -> Result<Sent<Answer>, HttpError> {
        let response = match self.send(request).await? {
            Sent::Answered(response) => response,
            Sent::NotAtAll(request, error) => return Ok(Sent::NotAtAll(request, error)),
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

    /// Sends a request and reads the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: Box<Request<Full<Bytes>>>,
    ) -> Result<Sent<Response<Incoming>>, HttpError> {
        // Handing it over is an event, and no concern of the watcher's.
        self.events.hold();
        let mut response = pin!(self.sender.try_send_request(*request));
        match poll_fn(|cx| self.drive(cx, response.as_mut())).await {
            Ok(response) => Ok(Sent::Answered(response)),
            Err(mut error) => match error.take_message() {
                Some(unsent) => Ok(Sent::NotAtAll(Box::new(unsent), error.into_error())),
                None => Err(HttpError::after_sending(error.into_error())),
            },
        }
    }

    /// The next piece of a body that came over this connection, of which so many bytes are allowed.
    pub(super) async fn next_piece(
        &mut self,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<Option<Bytes>, BodyReadError> {
        let mut piece = pin!(next_piece(body, limit));
        poll_fn(|cx| self.drive(cx, piece.as_mut())).await
    }

    /// Polls what waits for something to come over this connection.
    fn drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut waiting: Pin<&mut impl Future<Output = T>>,
    ) -> Poll<T> {
        self.events.hold();
        // With the waker of the connection, for either may have to be polled after the other.
        let events = self.waker.clone();
        let mut events = Context::from_waker(&events);
        if let Poll::Ready(done) = waiting.as_mut().poll(&mut events) {
            return Poll::Ready(done);
        }
        self.poll_protocol();
        let polled = waiting.poll(&mut events);
        if polled.is_pending() {
            self.events.wake_caller(cx.waker());
        }
        polled
    }

    /// Whether it can take another request, now that the answer to the last one has been read. It
    /// can't if the peer closes it, or answered before it had the whole request.
    pub(super) fn is_reusable(&mut self) -> bool {
        // Reading the body was an event. Now there is none left but those that are the watcher's.
        self.events.hold();
        self.poll_protocol();
        self.protocol.is_some() && self.sender.is_ready()
    }

    /// From now on, until the next exchange, the watcher sees to it.
    pub(super) fn leave_to_watcher(&self) {
        self.events.wake_watcher();
    }

    /// For the watcher: whether it is still open.
    pub(super) fn is_open(&mut self) -> bool {
        self.poll_protocol();
        self.protocol.is_some()
    }

    /// Moves what can be moved without waiting.
    fn poll_protocol(&mut self) {
        let Some(protocol) = &mut self.protocol else { return };
        if protocol.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            // When dropped, it gives back a request that it has not begun to send.
            self.protocol = None;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// Has the pool look at a connection when something happens to it while it is idle, and when it
/// may have been idle for too long.
fn watch(slot: &ConnectionSlot, events: Arc<Events>) -> impl Future<Output = ()> + use<> {
    let (pool, destination, id) = (slot.pool.clone(), slot.destination.clone(), slot.id);
    let look =
        move || pool.upgrade().and_then(|pool: Arc<ConnectionPool>| pool.inspect(&destination, id));
    async move {
        while let Some(patience) = look() {
            // Either way it is time to look.
            let _ = timeout(patience, events.woken()).await;
        }
    }
}
