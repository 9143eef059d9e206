//! Registrations and heartbeats of agents that do not exist.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_core::load::LoadReport;
use mesh_core::profile::Weight;
use mesh_core::skills::Skills;
use mesh_node::TokioNet;
use mesh_node::http::{Client, ClientLimits, Method};
use mesh_node::wire::RegisterBody;

use crate::request_generator::post;

/// How long a registration may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first port of the addresses that the agents are given. Nobody listens there, and nobody
/// connects.
const FIRST_PORT: usize = 1024;

/// Registers this many agents, one after the other.
pub(crate) async fn register(registry: &str, leases: usize) -> anyhow::Result<()> {
    let client = Client::new(TokioNet, ClientLimits::default());
    for number in 0..leases {
        let body = body(number, 1, false);
        let answer =
            client.request(registry, Method::POST, "/register", body.into(), PATIENCE).await;
        let answer = answer.context("failed to register")?;
        let status = answer.status;
        ensure!(status.is_success(), "failed to register: the registry answers {status}");
    }
    Ok(())
}

/// The HTTP request of one heartbeat for each lease.
pub(crate) fn requests(leases: usize) -> Vec<Vec<u8>> {
    (0..leases).map(|number| post("/register", &body(number, 1, true))).collect()
}

/// The HTTP request of a registration with this incarnation.
pub(crate) fn registration(number: usize, incarnation: u64) -> Vec<u8> {
    post("/register", &body(number, incarnation, false))
}

/// The body that a real agent would send.
fn body(number: usize, incarnation: u64, renew: bool) -> String {
    let span = usize::from(u16::MAX) - FIRST_PORT;
    let port = (FIRST_PORT + number % span) as u16;
    let host = Ipv4Addr::new(127, 0, 1, (number / span) as u8);
    let body = RegisterBody {
        name: format!("agent-{number}").into(),
        url: SocketAddrV4::new(host, port).to_string().into(),
        incarnation: Some(incarnation),
        renew,
        skills: Skills::default(),
        weight: Weight::ONE,
        site: None,
        draining: false,
        member: None,
        telemetry: None,
        load: Some(LoadReport { cpu_percent: 12.5, memory_percent: 50.0, in_flight: 1, queued: 0 }),
    };
    serde_json::to_string(&body).unwrap_or_default()
}
