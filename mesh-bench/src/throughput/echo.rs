//! The baseline of `work`: a server made of hyper 1 and `serde_json` alone.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves until the process is killed, on `threads` threads; without a number on one per core.
pub(crate) fn echo(listen: SocketAddr, threads: Option<usize>) -> anyhow::Result<()> {
    let mut runtime = match threads {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = threads {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(serve(listen))
}

async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await;
    let listener = listener.with_context(|| format!("failed to listen on {listen}"))?;
    let address = listener.local_addr()?;
    // In the words of `mesh`: `Process::start_and_read_address` waits for such a line.
    let line = json!({ "message": "the echo server listens", "address": address });
    mesh_node::process::console::say(&line.to_string());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.auto_date_header(false);
            let connection = server.serve_connection(TokioIo::new(stream), service_fn(answer));
            // An error only means that the client has left.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let mut response = Response::new(Full::new(reply(&body).into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The same answer that an agent gives to `work`.
fn reply(body: &[u8]) -> Vec<u8> {
    let call: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = call["params"]["text"].as_str().unwrap_or_default();
    let result = json!({
        "agent": "agent-0",
        "result": format!("Processed: {text}"),
        "rpc_latency_ms": 0.0,
    });
    json!({ "jsonrpc": "2.0", "result": result, "id": call["id"] }).to_string().into_bytes()
}
