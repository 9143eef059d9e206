//! Tests that need a network whose every byte is under their control.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

use super::*;

/// A network in memory. The holder of the receiver gets the other end of each connection, and both
/// ends see bytes and closing at once.
#[derive(Clone)]
struct MemoryNet(mpsc::UnboundedSender<DuplexStream>);

impl Net for MemoryNet {
    type Stream = DuplexStream;
    type Listener = ();

    async fn bind(&self, _: &str) -> io::Result<Self::Listener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(_: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn local_addr(_: &Self::Listener) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect(&self, _: &str) -> io::Result<Self::Stream> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.0.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        // Whoever accepts it may hang up before a byte is sent.
        tokio::task::yield_now().await;
        Ok(ours)
    }
}

type Accepts = mpsc::UnboundedReceiver<DuplexStream>;

async fn accept(accepts: &mut Accepts) -> DuplexStream {
    let next = timeout(Duration::from_secs(5), accepts.recv()).await;
    next.expect("a connection in time").expect("a connection")
}

/// Reads one request, answers how many bytes it had, and keeps the connection open.
async fn answer(stream: &mut DuplexStream) {
    let mut request = [0; 1024];
    let bytes = stream.read(&mut request).await.expect("a request");
    let body = bytes.to_string();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("a reader");
}

/// Answers the first request of the next connection.
async fn serve_one(accepts: &mut Accepts) -> DuplexStream {
    let mut stream = accept(accepts).await;
    answer(&mut stream).await;
    stream
}

fn client() -> (Client<MemoryNet>, Accepts) {
    let (connects, accepts) = mpsc::unbounded_channel();
    (Client::new(MemoryNet(connects), ClientLimits::default()), accepts)
}

/// Polls once.
async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

async fn post(client: &Client<MemoryNet>) -> Result<(StatusCode, Bytes), HttpError> {
    let limit = Duration::from_secs(5);
    let answer =
        client.request("server:1", Method::POST, "/", Bytes::from_static(b"{}"), limit).await?;
    Ok((answer.status, answer.body))
}

#[tokio::test]
async fn a_request_that_a_closed_connection_hands_back_goes_over_a_new_one() {
    let (client, mut accepts) = client();
    let (first, stream) = tokio::join!(post(&client), serve_one(&mut accepts));
    let first = first.expect("an answer");
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 1 });

    // No await between these two: the client picks the connection before it can see the end.
    drop(stream);
    let mut second = pin!(post(&client));
    assert!(is_pending(second.as_mut()).await);
    let (second, stream) = tokio::join!(second, serve_one(&mut accepts));
    assert_eq!(second.expect("an answer"), first);
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 1 });
    drop(stream);
}

#[tokio::test]
async fn a_new_connection_that_closes_unused_was_never_sent() {
    let (client, mut accepts) = client();
    let close = async { drop(accept(&mut accepts).await) };
    let (result, ()) = tokio::join!(post(&client), close);
    let error = result.expect_err("closed");
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert!(error.never_sent());
    assert_eq!(client.connections(), ConnectionCounts::default());
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_to_a_request_that_is_still_being_sent_ends_the_connection() {
    let (client, mut accepts) = client();
    let body = Bytes::from(vec![b' '; 1 << 20]);
    let limit = Duration::from_secs(5);
    let request = client.request("server:1", Method::POST, "/", body, limit);
    let (result, mut stream) = tokio::join!(request, serve_one(&mut accepts));
    assert_eq!(result.expect("an answer").status, StatusCode::OK);
    assert_eq!(client.connections(), ConnectionCounts::default());
    let mut rest = Vec::new();
    let end = timeout(limit, stream.read_to_end(&mut rest)).await;
    end.expect("the connection is closed").expect("and not reset");
    assert!(rest.len() < 1 << 20, "nobody sends on once the request has ended");
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closes_is_forgotten_without_a_request() {
    let (client, mut accepts) = client();
    let serve_two = async {
        let mut stream = serve_one(&mut accepts).await;
        answer(&mut stream).await;
    };
    let requests = async {
        post(&client).await.expect("an answer");
        post(&client).await.expect("another over the same connection");
        while client.connections() != ConnectionCounts::default() {
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(requests, serve_two) };
    timeout(Duration::from_secs(5), both).await.expect("the end is seen");
}

#[tokio::test]
async fn a_request_that_is_dropped_half_way_closes_its_connection() {
    let (client, mut accepts) = client();
    let (first, mut stream) = tokio::join!(post(&client), serve_one(&mut accepts));
    first.expect("an answer");
    let read_all = async {
        let mut request = Vec::new();
        let end = timeout(Duration::from_secs(5), stream.read_to_end(&mut request)).await;
        end.expect("the connection is closed").expect("and not reset");
        request
    };
    let half_a_request = async {
        let mut second = pin!(post(&client));
        assert!(is_pending(second.as_mut()).await);
        assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 0 });
    };
    let (request, ()) = tokio::join!(read_all, half_a_request);
    assert!(request.starts_with(b"POST / HTTP/1.1\r\n"), "it was being made");
    assert_eq!(client.connections(), ConnectionCounts::default());
}

/// Answers every request with its own body, in pieces and as chunks.
async fn echo_in_pieces(stream: DuplexStream) {
    let mut stream = tokio::io::BufStream::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.expect("a line") == 0 {
                return;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("a body");
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut pieces: Vec<Vec<u8>> = head.chunks(20).map(<[u8]>::to_vec).collect();
        for chunk in body.chunks(length.div_ceil(3)) {
            pieces.push(format!("{:x}\r\n", chunk.len()).into_bytes());
            pieces.push([chunk, b"\r\n"].concat());
        }
        pieces.push(b"0\r\n\r\n".to_vec());
        for piece in pieces {
            stream.write_all(&piece).await.expect("a reader");
            stream.flush().await.expect("a reader");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_event_is_lost_between_threads() {
    let (client, mut accepts) = client();
    let server = tokio::spawn(async move {
        while let Some(stream) = accepts.recv().await {
            tokio::spawn(echo_in_pieces(stream));
        }
    });
    let senders = (0..4_u8).map(|sender| {
        let client = client.clone();
        tokio::spawn(async move {
            let limit = Duration::from_secs(20);
            // From a few bytes to more than the stream has room for, which waits on both sides.
            for length in (0..100).map(|round| 1 + round % 10 * (1 << 14)) {
                let body = Bytes::from(vec![b'0' + sender; length]);
                let answer =
                    client.request("server:1", Method::POST, "/", body.clone(), limit).await;
                assert_eq!(answer.expect("an answer").body, body);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("all answers");
    }
    let connections = client.connections();
    assert_eq!(connections.idle, connections.open, "no request is left");
    assert!((1..=4).contains(&connections.open), "they were used again: {connections:?}");
    server.abort();
}
