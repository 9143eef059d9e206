//! Upstreams with TLS: which one gets jobs.

use serde_json::json;

use crate::process::{Service, output};
use crate::tls::CertFolder;

/// Nobody listens there; these agents need no peers.
const NOWHERE: &str = "127.0.0.1:1";

/// An agent before an upstream.
fn front(url: &str, more: &[&str]) -> Service {
    Service::unregistered("front", NOWHERE, &[&["--upstream", url], more].concat())
}

/// What the agent says of a job.
fn work(agent: &Service) -> Result<String, String> {
    let answer = agent.call("work", json!({ "text": "hello" }));
    answer.map(|it| it.to_string()).map_err(|it| it["message"].as_str().unwrap_or("").to_owned())
}

#[test]
fn an_upstream_with_tls_gets_jobs_if_its_certificate_is_right() {
    let folder = CertFolder::new(&["model", "front"]);
    // Any service that speaks JSON-RPC over TLS will do. This one asks for no certificate.
    let open = folder.agent("model", "model", NOWHERE, &["--tls-no-client-certs"]);
    let url = format!("https://{}/rpc", open.address);
    let ca = folder.text("ca.pem");
    let done = work(&front(&url, &["--upstream-ca", &ca])).expect("a result");
    assert!(done.contains("hello"), "{done}");

    let others = CertFolder::new(&["model"]);
    let other_ca = others.text("ca.pem");
    let error = work(&front(&url, &["--upstream-ca", &other_ca])).expect_err("a stranger");
    assert!(error.contains("the upstream of front: failed to connect"), "{error}");
    assert!(error.contains("invalid peer certificate"), "{error}");

    // A certificate of the same authority, and of another host.
    folder.certs(&["new", "elsewhere", "--host", "elsewhere.example.com"]);
    let other = folder.agent("model", "elsewhere", NOWHERE, &["--tls-no-client-certs"]);
    let other_url = format!("https://{}/rpc", other.address);
    let error = work(&front(&other_url, &["--upstream-ca", &ca])).expect_err("another host");
    assert!(error.contains("its certificate is not one of that host"), "{error}");

    let plain = Service::unregistered("plain", NOWHERE, &[]);
    let plain_url = format!("https://{}/rpc", plain.address);
    let error = work(&front(&plain_url, &["--upstream-ca", &ca])).expect_err("no TLS");
    assert!(error.contains("failed to connect"), "{error}");
}

#[test]
fn an_agent_shows_its_own_certificate_to_its_upstream() {
    let folder = CertFolder::new(&["model", "front"]);
    let model = folder.agent("model", "model", NOWHERE, &[]);
    let url = format!("https://{}/rpc", model.address);
    let ca = folder.text("ca.pem");
    let error = work(&front(&url, &["--upstream-ca", &ca])).expect_err("it shows nothing");
    assert!(error.contains("the upstream of front"), "{error}");

    // The authority of the mesh vouches for the upstream, too, unless another one is named.
    let options = folder.options("front");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let certified = front(&url, &options);
    let args = [&["call", &*certified.address, "work", "hello"][..], &options].concat();
    let (status, stdout, stderr) = output(&args);
    assert!(status.success() && stdout.contains("hello"), "{stdout}{stderr}");
}

#[test]
fn an_authority_that_can_not_be_read_ends_the_agent() {
    let args = ["agent", "--listen", "127.0.0.1:0", "--registry", NOWHERE, "--name", "a"];
    let upstream = ["--upstream", "https://localhost:1", "--upstream-ca", "/nowhere/ca.pem"];
    let (status, _, stderr) = output(&[&args[..], &upstream].concat());
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: /nowhere/ca.pem: "), "{stderr}");
}
