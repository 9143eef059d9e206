//! What the HTTP client and server promise.

pub(crate) mod checks;
pub(crate) mod client;
pub(crate) mod server;
pub(crate) mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_node::Net;
use mesh_node::http::{
    Bytes, Client, ClientLimits, ConnectionCounts, Handler, HttpError, Method, Request, Response,
    Served, ServerLimits, StatusCode, serve,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
/// A timeout for what should not be waited for.
const LONG: Duration = Duration::from_secs(10);
/// A limit that a case waits for.
const SHORT: Duration = Duration::from_millis(100);
/// Long enough for a limit of [`SHORT`] to have taken effect.
const AFTER_SHORT: Duration = Duration::from_millis(400);

fn limits() -> ServerLimits {
    ServerLimits::default()
}

/// A running server and its address.
pub(crate) struct Running {
    pub(crate) address: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Served>,
}

impl Running {
    pub(crate) async fn start<N: Net>(
        net: &N,
        limits: ServerLimits,
        handler: impl Handler,
    ) -> Self {
        let listener = net.bind("127.0.0.1:0").await.expect("a free port");
        let port = N::local_addr(&listener).expect("an address").port();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve::<N, _>(listener, handler, limits, shutdown));
        Self { address: format!("127.0.0.1:{port}"), stop, task }
    }

    pub(crate) async fn stop(self) -> Served {
        self.stop.send(()).expect("a running server");
        self.task.await.expect("no panic in the server")
    }
}

/// Answers every request with the request's own body.
async fn echo(request: Request) -> Response {
    Response::json(StatusCode::OK, request.body)
}

/// Answers every request except those for `/never`.
async fn stall(request: Request) -> Response {
    if request.path() == "/never" {
        std::future::pending::<()>().await;
    }
    echo(request).await
}

/// Answers all requests once `count` of them have come.
fn rendezvous(count: usize) -> impl Handler {
    let barrier = Arc::new(Barrier::new(count));
    move |request| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            echo(request).await
        }
    }
}

/// Never answers. Counts the requests that were begun and those that were cancelled.
#[derive(Clone, Default)]
struct Cancellable {
    begun: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
}

impl Handler for Cancellable {
    async fn handle(&self, _: Request) -> Response {
        struct OnDrop(Arc<AtomicUsize>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _place = OnDrop(self.cancelled.clone());
        std::future::pending().await
    }
}

async fn until(what: &str, count: &AtomicUsize, wanted: usize) {
    for _ in 0..1000 {
        if count.load(Ordering::SeqCst) == wanted {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} stayed at {} instead of {wanted}", count.load(Ordering::SeqCst));
}

type Answered = Result<(StatusCode, Bytes), HttpError>;

async fn post<N: Net>(client: &Client<N>, address: &str, body: &'static str) -> Answered {
    let body = Bytes::from_static(body.as_bytes());
    let answer = client.request(address, Method::POST, "/", body, LONG).await?;
    Ok((answer.status, answer.body))
}

async fn post_within<N: Net>(
    client: &Client<N>,
    address: &str,
    path: &str,
    limit: Duration,
) -> Answered {
    let body = Bytes::from_static(b"{}");
    let answer = client.request(address, Method::POST, path, body, limit).await?;
    Ok((answer.status, answer.body))
}

#[track_caller]
fn assert_answered(answer: Answered, body: &str) {
    assert_eq!(answer.expect("an answer"), (StatusCode::OK, Bytes::from(body.to_owned())));
}

/// Opens a connection and sends these bytes.
pub(crate) async fn raw<N: Net>(net: &N, address: &str, bytes: impl AsRef<[u8]>) -> N::Stream {
    let mut stream = net.connect(address).await.expect("a connection");
    stream.write_all(bytes.as_ref()).await.expect("room for a request");
    stream
}

/// Everything that the server still sends until it closes the connection, for whatever reason.
pub(crate) async fn rest<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8(bytes).expect("text")
}

/// Starts a server that reads a request from each connection and answers with these bytes.
async fn raw_server<N: Net>(net: &N, answer: &'static str) -> String {
    let listener = net.bind("127.0.0.1:0").await.expect("a free port");
    let port = N::local_addr(&listener).expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = N::accept(&listener).await.expect("a connection");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("127.0.0.1:{port}")
}
