//! Heartbeats of agents that are not there.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_core::load::LoadReport;
use mesh_node::TokioNet;
use mesh_node::http::{Client, ClientLimits, Method};
use mesh_node::wire::RegisterBody;

use crate::http_load::post;

const PATIENCE: Duration = Duration::from_secs(5);
/// Of the addresses given to agents; no one listens there, and no one asks.
const FIRST_PORT: usize = 1024;

/// Registers so many agents.
pub(super) async fn register(registry: &str, leases: usize) -> anyhow::Result<()> {
    let client = Client::new(TokioNet, ClientLimits::default());
    for number in 0..leases {
        let body = body(number, false);
        let answer =
            client.request(registry, Method::POST, "/register", body.into(), PATIENCE).await;
        let answer = answer.context("failed to register")?;
        let status = answer.status;
        ensure!(status.is_success(), "failed to register: the registry answers {status}");
    }
    Ok(())
}

/// A heartbeat of each.
pub(super) fn requests(leases: usize) -> Vec<Vec<u8>> {
    (0..leases).map(|number| post("/register", &body(number, true))).collect()
}

/// What an agent of the mesh sends.
fn body(number: usize, renew: bool) -> String {
    let span = usize::from(u16::MAX) - FIRST_PORT;
    let port = (FIRST_PORT + number % span) as u16;
    let host = Ipv4Addr::new(127, 0, 1, (number / span) as u8);
    let body = RegisterBody {
        name: format!("agent-{number}").into(),
        url: SocketAddrV4::new(host, port).to_string().into(),
        incarnation: Some(1),
        renew,
        load: Some(LoadReport { cpu_percent: 12.5, memory_percent: 50.0, in_flight: 1, queued: 0 }),
    };
    serde_json::to_string(&body).unwrap_or_default()
}
