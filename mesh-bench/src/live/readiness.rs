//! Waits until agents are ready, by asking them over HTTP.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_node::http::{Bytes, Client, Method};
use mesh_node::{Clock, TokioNet};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often an agent is asked whether it knows all others.
const POLL: Duration = Duration::from_millis(50);

/// Waits until the agent of this name and address knows `peers` peers.
pub(crate) async fn await_peers(
    client: &Client<TokioNet>,
    (name, address): (&str, &str),
    peers: usize,
    patience: Duration,
) -> anyhow::Result<()> {
    let line = format!("mesh_peers {peers}\n");
    let clock = Clock::start();
    let end = clock.now() + patience;
    loop {
        let page = get(client, address, "/metrics").await;
        let page = page.with_context(|| format!("{name} does not get ready"))?;
        if String::from_utf8_lossy(&page).contains(&line) {
            return Ok(());
        }
        ensure!(clock.now() < end, "{name} does not get to know all others");
        clock.sleep_until(clock.now() + POLL).await;
    }
}

/// The body of the answer to a GET.
pub(crate) async fn get(
    client: &Client<TokioNet>,
    address: &str,
    path: &str,
) -> anyhow::Result<Bytes> {
    let answer = client.request(address, Method::GET, path, Bytes::new(), PATIENCE).await;
    let answer = answer.with_context(|| format!("failed to ask http://{address}{path}"))?;
    let status = answer.status;
    ensure!(status.is_success(), "http://{address}{path} answers {status}");
    Ok(answer.body)
}
