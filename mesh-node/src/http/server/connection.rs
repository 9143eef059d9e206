//! One connection: hyper drives it, a watchdog times it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Method, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::presence::FirstBytes;
use super::sent_body::SentBody;
use super::watched::{Phase, PhaseTracker, WatchedStream};
use crate::http::limits::FREE_HEADER_COUNT;
use crate::http::read_body::{BodyReadError, read_whole};
use crate::http::{Handler, Head, Request, Response, ResponseBody, ServerLimits};

/// Serves one connection to its end.
pub(super) async fn serve<S, H>(
    stream: S,
    peer: SocketAddr,
    handler: H,
    limits: Arc<ServerLimits>,
    stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let progress = PhaseTracker::default();
    let io = TokioIo::new(WatchedStream::new(stream, progress.clone(), limits.half_closed));
    let (handler, limits, watched) = (&handler, &*limits, &progress);
    let service = service_fn(move |request| {
        watched.enter(Phase::Receiving);
        async move { Ok::<_, Infallible>(respond(handler, request, peer, limits, watched).await) }
    });
    let mut connection = protocol(limits).serve_connection(io, service);
    let end = drive(&mut connection, &progress, limits, stopping).await;
    tracing::trace!(%peer, ?end, "connection ended");
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let opening = stream.opening();
    note(opening, peer);
    // The beginning of a request that came along with the one before: nobody has seen it pass.
    let has_begun = !parts.read_buf.is_empty();
    match end {
        End::Refused if opening == FirstBytes::Http2 => {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            let answer = Response::error(status, "HTTP/1.1 is spoken here, not HTTP/2");
            say_last(&mut stream, answer.to_last_bytes(), limits).await;
        }
        End::Refused => linger(&mut stream, limits.linger).await,
        End::Expired(phase) if phase == Phase::Head || (phase == Phase::Idle && has_begun) => {
            let answer = Response::error(
                StatusCode::REQUEST_TIMEOUT,
                &format!("headers took longer than {:?}", limits.header_read),
            );
            say_last(&mut stream, answer.to_last_bytes(), limits).await;
        }
        End::Expired(_) | End::Closed => {}
    }
}

/// One request from its head to its answer.
async fn respond<H: Handler>(
    handler: &H,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    limits: &ServerLimits,
    progress: &PhaseTracker,
) -> hyper::Response<SentBody> {
    let is_old = request.version() < Version::HTTP_11;
    let is_head = request.method() == Method::HEAD;
    let answer = match receive(handler, request, peer, limits).await {
        Ok(request) => {
            progress.enter(if is_old { Phase::HandlingOld } else { Phase::Handling });
            if !limits.half_closed {
                // The stream is looked at before the handler begins: nothing is begun for a client
                // whose goodbye came along with its request.
                pass().await;
            }
            handler.handle(request).await
        }
        Err(RefusedRequest { answer, body_is_unread: false }) => *answer,
        Err(RefusedRequest { answer, body_is_unread: true }) => {
            return sent(*answer, Phase::Refusing, progress);
        }
    };
    let is_stream = matches!(answer.body, ResponseBody::Stream(_)) && !is_head;
    sent(answer, if is_stream { Phase::Streaming } else { Phase::Writing }, progress)
}

/// An answer on its way, which the connection writes in this phase.
fn sent(answer: Response, phase: Phase, progress: &PhaseTracker) -> hyper::Response<SentBody> {
    progress.enter(phase);
    let (head, body) = answer.into_parts(phase == Phase::Refusing);
    head.map(|()| SentBody::new(body, progress))
}

/// Lets the connection see to its stream, and goes on at once.
async fn pass() {
    let mut passed = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tells of a client that takes this for another kind of server. At first aloud: after that it is
/// no news, and a scanner shall not fill the log.
fn note(opening: FirstBytes, peer: SocketAddr) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let what = match opening {
        FirstBytes::Usual => return,
        FirstBytes::Tls => "a client speaks TLS to this port, which is plain HTTP: use http://",
        FirstBytes::Http2 => "a client speaks HTTP/2 to this port, which is HTTP/1.1",
    };
    if SAID.swap(true, Ordering::Relaxed) {
        tracing::debug!(%peer, "{what}");
    } else {
        tracing::warn!(%peer, "{what}");
    }
}

/// Answers a connection that is one too many. The answer waits for a first byte, because a client
/// that is answered before it has asked sees a broken connection, not an answer.
pub(super) async fn refuse<S>(mut stream: S, limits: Arc<ServerLimits>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut first = [0; 1];
    if matches!(timeout(limits.linger, stream.read(&mut first)).await, Ok(Ok(1))) {
        let answer =
            Response::error(StatusCode::SERVICE_UNAVAILABLE, "too many connections are open");
        say_last(&mut stream, answer.to_last_bytes(), &limits).await;
    }
}

/// hyper's share of the limits. Its own header timer is off: it also runs between requests, and
/// so can't tell an idle client from a slow one.
fn protocol(limits: &ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // That a client has left is seen by `WatchedStream`, which also sees when it has not.
    builder
        .half_close(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes);
    if limits.header_count != FREE_HEADER_COUNT {
        builder.max_headers(limits.header_count);
    }
    builder
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// After an answer to a request that was not read to its end.
    Refused,
    /// It stayed too long in this phase.
    Expired(Phase),
    /// Either side hung up, or the socket failed.
    Closed,
}

/// Polls the connection and, after each poll, its watchdog; passes on the call to stop.
async fn drive<I, S>(
    connection: &mut http1::Connection<I, S>,
    progress: &PhaseTracker,
    limits: &ServerLimits,
    mut stopping: watch::Receiver<bool>,
) -> End
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = SentBody, Error = Infallible>,
{
    let mut watchdog = pin!(sleep(Duration::ZERO));
    let mut stay = None;
    let mut stopped = false;
    loop {
        let end = poll_fn(|cx| {
            if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(end_of(&result, progress));
            }
            let (phase, number) = progress.get();
            let Some(limit) = phase.limit(limits) else { return Poll::Pending };
            if stay != Some(number) {
                stay = Some(number);
                watchdog.set(sleep(limit));
            }
            watchdog.as_mut().poll(cx).map(|()| End::Expired(phase))
        });
        tokio::select! {
            biased;
            end = end => return end,
            _ = stopping.wait_for(|stop| *stop), if !stopped => {
                stopped = true;
                Pin::new(&mut *connection).graceful_shutdown();
            }
        }
    }
}

fn end_of(result: &hyper::Result<()>, progress: &PhaseTracker) -> End {
    // hyper has answered what it could not parse: 400 or 431.
    let unparsed = result.as_ref().is_err_and(hyper::Error::is_parse);
    if unparsed || progress.get().0 == Phase::Refusing { End::Refused } else { End::Closed }
}

/// The answer to a request that the handler does not get.
struct RefusedRequest {
    answer: Box<Response>,
    /// Some of the request may be on its way: no other can follow it on this connection.
    body_is_unread: bool,
}

/// Reads the whole request, if the handler admits it.
async fn receive<H: Handler>(
    handler: &H,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    limits: &ServerLimits,
) -> Result<Request, RefusedRequest> {
    let (parts, body) = request.into_parts();
    let head = Head { method: parts.method, uri: parts.uri, headers: parts.headers, peer };
    let is_empty = body.is_end_stream();
    let refusal = |answer| RefusedRequest { answer, body_is_unread: !is_empty };
    let body_bytes = handler.admit(&head).map_err(refusal)?.unwrap_or(limits.body_bytes);
    let body = match is_empty {
        true => Bytes::new(),
        false => receive_body(body, body_bytes, limits).await.map_err(refusal)?,
    };
    Ok(Request { head, body })
}

async fn receive_body(
    body: Incoming,
    most_bytes: usize,
    limits: &ServerLimits,
) -> Result<Bytes, Box<Response>> {
    let (status, reason) = match timeout(limits.body_read, read_whole(body, most_bytes)).await {
        Ok(Ok(whole)) => return Ok(detached(whole)),
        Ok(Err(BodyReadError::TooLarge)) => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("body larger than {most_bytes} bytes"))
        }
        Ok(Err(BodyReadError::Broken(_))) => {
            (StatusCode::BAD_REQUEST, "body is cut off or malformed".to_owned())
        }
        Err(_) => {
            let reason = format!("body took longer than {:?}", limits.body_read);
            (StatusCode::REQUEST_TIMEOUT, reason)
        }
    };
    Err(Box::new(Response::error(status, &reason)))
}

/// A small body apart from the buffer that hyper has read it into. As long as a part of that is in
/// use, hyper allocates another, which costs more than the copy.
fn detached(body: Bytes) -> Bytes {
    const SMALL: usize = 1 << 10;
    if body.len() <= SMALL { Bytes::copy_from_slice(&body) } else { body }
}

/// Writes an answer past hyper, which is done with this connection, and closes it.
async fn say_last<S>(stream: &mut S, answer: Vec<u8>, limits: &ServerLimits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if matches!(timeout(limits.write, stream.write_all(&answer)).await, Ok(Ok(()))) {
        linger(stream, limits.linger).await;
    }
}

/// Closes the sending half and reads what still arrives, until the client closes too: see
/// [`ServerLimits::linger`]. Errors are the client's way of leaving.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, limit: Duration) {
    let _ = timeout(limit, async {
        let _ = stream.shutdown().await;
        let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
    })
    .await;
}
