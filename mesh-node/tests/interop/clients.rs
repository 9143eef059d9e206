//! JSON-RPC clients that know nothing of the mesh. Each makes calls of `info`, `work` and
//! `delegate`, a batch, a notification, and a call that fails.

use std::process::Command;

use jsonrpsee_core::ClientError;
use jsonrpsee_core::client::ClientT as _;
use jsonrpsee_core::params::{ArrayParams, BatchRequestBuilder, ObjectParams};
use jsonrpsee_http_client::HttpClient;
use serde_json::{Value, json};

use crate::process::Service;
use crate::runtimes::{node, python, source};

/// Two agents that know each other.
struct TwoAgents {
    registry: Service,
    entry: Service,
    peer: Service,
}

fn two_agents() -> TwoAgents {
    let registry = Service::registry(&[]);
    let args = ["--demand", "1ms", "--refresh", "200ms"];
    let agent = |name| Service::agent(name, &registry.address, &args);
    let (entry, peer) = (agent("entry"), agent("peer"));
    entry.await_peers(1);
    TwoAgents { registry, entry, peer }
}

/// Checks that a client script runs to its end.
fn succeeds(mut command: Command) {
    let output = command.output().expect("a command");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert_eq!(stdout, "ok\n", "it got to its end");
}

#[test]
fn jsonrpcclient_with_httpx() {
    let Some(mut command) = python() else { return };
    let agents = two_agents();
    command.arg(source("client.py")).arg(&agents.entry.address);
    succeeds(command);
}

/// Prometheus' own Python client reads the pages of metrics.
#[test]
fn prometheus_client() {
    let Some(mut command) = python() else { return };
    let TwoAgents { registry, entry, peer } = two_agents();
    entry.call("delegate", json!({ "text": "x" })).expect("a result");
    entry.call("no_such", json!({})).expect_err("no method");
    let addresses = [&registry, &entry, &peer].map(|service| &service.address);
    command.arg(source("metrics.py")).args(addresses);
    succeeds(command);
}

#[test]
fn jayson() {
    let Some(mut command) = node() else { return };
    let agents = two_agents();
    let (host, port) = agents.entry.address.split_once(':').expect("host and port");
    command.args([&source("client.js"), host, port]);
    succeeds(command);
}

fn text(text: &str) -> ObjectParams {
    let mut params = ObjectParams::new();
    params.insert("text", text).expect("JSON");
    params
}

#[tokio::test]
async fn jsonrpsee() {
    let agents = two_agents();
    let url = format!("http://{}/rpc", agents.entry.address);
    let client = HttpClient::builder().build(url).expect("a client");
    let info: Value = client.request("info", ArrayParams::new()).await.expect("info");
    assert!(info["cpu"].is_number() && info["mem"].is_number(), "{info}");
    let work: Value = client.request("work", text("from Rust")).await.expect("work");
    assert_eq!(work["result"], "Processed: from Rust");
    let delegate: Value = client.request("delegate", text("passed on")).await.expect("delegate");
    assert_eq!(delegate["peer_result"]["result"], "Processed: passed on");
    assert_eq!(delegate["delegated_to"]["agent"], "peer");

    let mut batch = BatchRequestBuilder::new();
    batch.insert("info", ArrayParams::new()).expect("JSON");
    batch.insert("work", text("b")).expect("JSON");
    batch.insert("no", ArrayParams::new()).expect("JSON");
    let answers = client.batch_request::<Value>(batch).await.expect("answers");
    assert_eq!((answers.num_successful_calls(), answers.num_failed_calls()), (2, 1));
    let answers: Vec<_> = answers.into_iter().collect();
    assert_eq!(answers[1].as_ref().expect("a result")["result"], "Processed: b");
    assert_eq!(answers[2].as_ref().expect_err("unknown").code(), -32601);

    client.notification("work", text("unheard")).await.expect("it is taken");

    let mut params = ObjectParams::new();
    params.insert("text", 7).expect("JSON");
    let error = client.request::<Value, _>("work", params).await.expect_err("no text");
    assert!(matches!(&error, ClientError::Call(object) if object.code() == -32602), "{error}");
}
