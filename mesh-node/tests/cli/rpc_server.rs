//! A JSON-RPC server of a few lines, to be the upstream of an agent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// A server, which lives as long as the test.
#[derive(Clone)]
pub(crate) struct RpcServer {
    pub(crate) address: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    calls: AtomicUsize,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

impl RpcServer {
    /// Calls answered so far.
    pub(crate) fn calls(&self) -> usize {
        self.counts.calls.load(Ordering::SeqCst)
    }

    /// Connections opened so far, and those of them that are closed.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let get = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (get(&self.counts.opened), get(&self.counts.closed))
    }
}

/// Starts a server whose responses have the members that `answer` gives, besides `jsonrpc` and
/// `id`. The header lines of a call's request stand in its `head`.
pub(crate) fn serve(answer: impl Fn(&Value) -> Value + Copy + Send + 'static) -> RpcServer {
    serve_raw(move |call| {
        let mut response = answer(call);
        response["jsonrpc"] = "2.0".into();
        response["id"] = call["id"].clone();
        http(200, &response.to_string())
    })
}

/// Starts a server that answers a call with the bytes that `answer` gives. It closes the connection
/// if there are none, or if they say so.
pub(crate) fn serve_raw(answer: impl Fn(&Value) -> String + Copy + Send + 'static) -> RpcServer {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = RpcServer { address, counts: Arc::default() };
    let counts = server.counts.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counts.opened.fetch_add(1, Ordering::SeqCst);
            let counts = counts.clone();
            std::thread::spawn(move || {
                while exchange(&stream, answer, &counts).is_some() {}
                counts.closed.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    server
}

/// The bytes of an HTTP answer.
pub(crate) fn http(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn exchange(
    mut stream: &TcpStream,
    answer: impl Fn(&Value) -> String,
    counts: &Counts,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut head) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut call: Value = serde_json::from_slice(&body).ok()?;
    if call.is_object() {
        call["head"] = head.into();
    }
    counts.calls.fetch_add(1, Ordering::SeqCst);
    let answer = answer(&call);
    stream.write_all(answer.as_bytes()).ok()?;
    let is_last = answer.is_empty() || answer.contains("connection: close");
    (!is_last).then_some(())
}
