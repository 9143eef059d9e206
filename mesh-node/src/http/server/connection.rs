//! One connection of the server: hyper drives it, a watchdog times each of its phases.

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

use super::client_presence::FirstBytes;
use super::sent_body::SentBody;
use super::watched_stream::{Phase, PhaseTracker, WatchedStream};
use crate::http::limits::FREE_HEADER_COUNT;
use crate::http::read_body::{BodyReadError, read_whole};
use crate::http::{Handler, Head, Request, Response, ResponseBody, ServerLimits};
use crate::net::StreamPeer;

/// Serves one connection to its end.
pub(super) async fn serve<S, H>(
    stream: S,
    (client, peer): (SocketAddr, StreamPeer),
    handler: H,
    limits: Arc<ServerLimits>,
    stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let progress = PhaseTracker::default();
    let io = TokioIo::new(WatchedStream::new(stream, progress.clone(), limits.half_closed));
    let (handler, limits, watched, shown) = (&handler, &*limits, &progress, &peer);
    let service = service_fn(move |request| {
        watched.enter(Phase::ReadingBody);
        async move {
            Ok::<_, Infallible>(respond(handler, request, (client, shown), limits, watched).await)
        }
    });
    let mut connection = protocol(limits).serve_connection(io, service);
    let end = drive(&mut connection, &progress, limits, stopping, peer.clone()).await;
    tracing::trace!(%client, ?end, "connection ended");
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let first_bytes = stream.first_bytes();
    log_other_protocol(first_bytes, client);
    // hyper has read the beginning of another request, together with the one before it. The stream
    // did not see those bytes pass, so the phase is still `Idle`.
    let has_unread = !parts.read_buf.is_empty();
    match end {
        End::Refused if first_bytes == FirstBytes::Http2 => {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            let answer = Response::error(status, "this server speaks HTTP/1.1, not HTTP/2");
            write_last_answer(&mut stream, answer.to_last_bytes(), limits).await;
        }
        End::Refused => linger(&mut stream, limits.linger).await,
        End::Expired(phase) if phase == Phase::Head || (phase == Phase::Idle && has_unread) => {
            let answer = Response::error(
                StatusCode::REQUEST_TIMEOUT,
                &format!("headers took longer than {:?}", limits.header_read),
            );
            write_last_answer(&mut stream, answer.to_last_bytes(), limits).await;
        }
        End::Expired(_) | End::Closed => {}
    }
}

/// Handles one request: reads it, has it answered, and tells the connection's phases.
async fn respond<H: Handler>(
    handler: &H,
    request: hyper::Request<Incoming>,
    from: (SocketAddr, &StreamPeer),
    limits: &ServerLimits,
    progress: &PhaseTracker,
) -> hyper::Response<SentBody> {
    let is_http_1_0 = request.version() < Version::HTTP_11;
    let is_head = request.method() == Method::HEAD;
    let answer = match read_request(handler, request, from, limits).await {
        Ok(request) => {
            progress.enter(if is_http_1_0 { Phase::HandlingHttp10 } else { Phase::Handling });
            if !limits.half_closed {
                // Yields once, so that the connection looks at its stream before the handler
                // begins: no request is begun whose client left right after sending it.
                yield_once().await;
            }
            handler.handle(request).await
        }
        Err(RefusedRequest { answer, body_is_unread: false }) => *answer,
        Err(RefusedRequest { answer, body_is_unread: true }) => {
            return to_hyper(*answer, Phase::Refusing, progress);
        }
    };
    let is_stream = matches!(answer.body, ResponseBody::Stream(_)) && !is_head;
    to_hyper(answer, if is_stream { Phase::Streaming } else { Phase::Writing }, progress)
}

/// Turns an answer into hyper's response, which the connection writes in `phase`.
fn to_hyper(answer: Response, phase: Phase, progress: &PhaseTracker) -> hyper::Response<SentBody> {
    progress.enter(phase);
    let (head, body) = answer.into_parts(phase == Phase::Refusing);
    head.map(|()| SentBody::new(body, progress))
}

/// Lets the connection poll its stream once, and goes on at once.
async fn yield_once() {
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

/// Logs that a client speaks another protocol. Aloud only the first time: a port scanner must not
/// fill the log.
fn log_other_protocol(first_bytes: FirstBytes, client: SocketAddr) {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let what = match first_bytes {
        FirstBytes::Usual => return,
        FirstBytes::Tls => "a client speaks TLS to this port, which is plain HTTP: use http://",
        FirstBytes::Http2 => "a client speaks HTTP/2 to this port, which is HTTP/1.1",
    };
    if LOGGED.swap(true, Ordering::Relaxed) {
        tracing::debug!(%client, "{what}");
    } else {
        tracing::warn!(%client, "{what}");
    }
}

/// Answers 503 to a connection beyond the limit. Waits for its first byte, because a client that is
/// answered before it has sent anything sees a broken connection and not an answer.
pub(super) async fn refuse<S>(mut stream: S, limits: Arc<ServerLimits>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut first = [0; 1];
    if matches!(timeout(limits.linger, stream.read(&mut first)).await, Ok(Ok(1))) {
        let answer =
            Response::error(StatusCode::SERVICE_UNAVAILABLE, "too many connections are open");
        write_last_answer(&mut stream, answer.to_last_bytes(), &limits).await;
    }
}

/// hyper's settings. Its own timer for headers is off, because it also runs between requests and so
/// can't tell an idle client from a slow one.
fn protocol(limits: &ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // hyper would take a client that closes its sending half for gone. `WatchedStream` finds out.
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
    /// After the answer to a request that was not read to its end.
    Refused,
    /// The connection stayed in this phase for longer than it may.
    Expired(Phase),
    /// Either side hung up, or the socket failed.
    Closed,
}

/// Polls the connection and, after each poll, its watchdog. Passes the order to stop on to hyper.
async fn drive<I, S>(
    connection: &mut http1::Connection<I, S>,
    progress: &PhaseTracker,
    limits: &ServerLimits,
    mut stopping: watch::Receiver<bool>,
    peer: StreamPeer,
) -> End
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = SentBody, Error = Infallible>,
{
    let mut watchdog = pin!(sleep(Duration::ZERO));
    let mut entered = None;
    let mut stopped = false;
    let mut over = pin!(peer.over());
    loop {
        let end = poll_fn(|cx| {
            if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(end_of(&result, progress));
            }
            let (phase, number) = progress.get();
            let Some(limit) = phase.limit(limits) else { return Poll::Pending };
            if entered != Some(number) {
                entered = Some(number);
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
            // The other end must show its certificate again.
            () = &mut over, if !stopped => {
                stopped = true;
                Pin::new(&mut *connection).graceful_shutdown();
            }
        }
    }
}

/// How a connection ended that hyper is done with.
fn end_of(result: &hyper::Result<()>, progress: &PhaseTracker) -> End {
    // What hyper could not parse it has answered itself: 400 or 431.
    let unparsed = result.as_ref().is_err_and(hyper::Error::is_parse);
    if unparsed || progress.get().0 == Phase::Refusing { End::Refused } else { End::Closed }
}

/// A request that the handler does not get, with its answer.
struct RefusedRequest {
    answer: Box<Response>,
    /// Some of the body may still be on its way, so no other request can follow on this connection.
    body_is_unread: bool,
}

/// Reads the whole request, if the handler admits it.
async fn read_request<H: Handler>(
    handler: &H,
    request: hyper::Request<Incoming>,
    (client, peer): (SocketAddr, &StreamPeer),
    limits: &ServerLimits,
) -> Result<Request, RefusedRequest> {
    let (parts, body) = request.into_parts();
    let certificate = peer.certificate().cloned();
    let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
    let head = Head { method, uri, headers, client, certificate };
    let is_empty = body.is_end_stream();
    let refusal = |answer| RefusedRequest { answer, body_is_unread: !is_empty };
    let body_bytes = handler.admit(&head).map_err(refusal)?.unwrap_or(limits.body_bytes);
    let body = match is_empty {
        true => Bytes::new(),
        false => read_request_body(body, body_bytes, limits).await.map_err(refusal)?,
    };
    Ok(Request { head, body })
}

/// Reads the body, or gives the answer to a body that is too large, too slow or malformed.
async fn read_request_body(
    body: Incoming,
    most_bytes: usize,
    limits: &ServerLimits,
) -> Result<Bytes, Box<Response>> {
    let (status, reason) = match timeout(limits.body_read, read_whole(body, most_bytes)).await {
        Ok(Ok(whole)) => return Ok(copy_if_small(whole)),
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

/// Copies a small body out of the buffer that hyper has read it into. As long as a part of that
/// buffer is in use, hyper allocates another one, which costs more than the copy.
fn copy_if_small(body: Bytes) -> Bytes {
    const SMALL: usize = 1 << 10;
    if body.len() <= SMALL { Bytes::copy_from_slice(&body) } else { body }
}

/// Writes an answer directly to the stream, after hyper is done with the connection, and closes it.
async fn write_last_answer<S>(stream: &mut S, answer: Vec<u8>, limits: &ServerLimits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if matches!(timeout(limits.write, stream.write_all(&answer)).await, Ok(Ok(()))) {
        linger(stream, limits.linger).await;
    }
}

/// Closes the sending half and reads what still arrives until the client closes too: see
/// [`ServerLimits::linger`]. Errors are ignored, because they only mean that the client has left.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, limit: Duration) {
    let _ = timeout(limit, async {
        let _ = stream.shutdown().await;
        let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
    })
    .await;
}
