//! What needs a network whose every byte is under the test's control.

use std::net::SocketAddr;
use std::task::Poll;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

use super::*;

/// Connects to whoever holds the receiver, in memory: bytes and closing are seen at once.
#[derive(Clone)]
struct Memory(mpsc::UnboundedSender<DuplexStream>);

impl Net for Memory {
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
        Ok(ours)
    }
}

type Accepts = mpsc::UnboundedReceiver<DuplexStream>;

async fn accept(accepts: &mut Accepts) -> DuplexStream {
    let next = timeout(Duration::from_secs(5), accepts.recv()).await;
    next.expect("a connection in time").expect("a connection")
}

/// Reads one request, says how many bytes it had, and keeps the connection open.
async fn answer(stream: &mut DuplexStream) {
    let mut request = [0; 1024];
    let bytes = stream.read(&mut request).await.expect("a request");
    let body = bytes.to_string();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("a reader");
}

async fn call(client: &Client<Memory>) -> Result<(StatusCode, Bytes), CallError> {
    let limit = Duration::from_secs(5);
    let answer = client.call("peer:1", Method::POST, "/", Bytes::from_static(b"{}"), limit).await?;
    Ok((answer.status, answer.body))
}

#[tokio::test]
async fn a_request_that_a_closed_connection_hands_back_goes_over_a_new_one() {
    let (connects, mut accepts) = mpsc::unbounded_channel();
    let client = Client::new(Memory(connects), ClientLimits::default());
    let serve_one = async {
        let mut stream = accept(&mut accepts).await;
        answer(&mut stream).await;
        stream
    };
    let (first, stream) = tokio::join!(call(&client), serve_one);
    let first = first.expect("an answer");
    assert_eq!(client.connections(), Connections { open: 1, idle: 1 });

    // No await between these two: the client picks the connection before it can see the end.
    drop(stream);
    let mut second = pin!(call(&client));
    assert!(std::future::poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending())).await);
    let serve_other = async {
        let mut stream = accept(&mut accepts).await;
        answer(&mut stream).await;
        stream
    };
    let (second, stream) = tokio::join!(second, serve_other);
    assert_eq!(second.expect("an answer"), first);
    assert_eq!(client.connections(), Connections { open: 1, idle: 1 });
    drop(stream);
}

#[tokio::test]
async fn a_new_connection_that_closes_unused_was_never_sent() {
    let (connects, mut accepts) = mpsc::unbounded_channel();
    let client = Client::new(Memory(connects), ClientLimits::default());
    let close = async { drop(accept(&mut accepts).await) };
    let (result, ()) = tokio::join!(call(&client), close);
    let error = result.expect_err("closed");
    assert!(matches!(error, CallError::Connect { .. }), "{error:?}");
    assert!(error.never_sent());
    assert_eq!(client.connections(), Connections::default());
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_to_a_request_that_is_still_being_sent_ends_the_connection() {
    let (connects, mut accepts) = mpsc::unbounded_channel();
    let client = Client::new(Memory(connects), ClientLimits::default());
    let body = Bytes::from(vec![b' '; 1 << 20]);
    let limit = Duration::from_secs(5);
    let (result, mut stream) =
        tokio::join!(client.call("peer:1", Method::POST, "/", body, limit), async {
            let mut stream = accept(&mut accepts).await;
            answer(&mut stream).await;
            stream
        });
    assert_eq!(result.expect("an answer").status, StatusCode::OK);
    assert_eq!(client.connections(), Connections::default());
    let mut rest = Vec::new();
    let end = timeout(limit, stream.read_to_end(&mut rest)).await;
    end.expect("the connection is closed").expect("and not reset");
    assert!(rest.len() < 1 << 20, "nobody sends on once the call has ended");
}
