//! Finds names, ports and incarnations for agents and registries that were not given any.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use mesh_core::seed::{Rng, Seed};
use mesh_node::{Net as _, TokioNet};
use tokio::net::TcpListener;

/// The ports for agents without `--listen`.
const PORTS: RangeInclusive<u16> = 8600..=8700;
/// The numbers in the names of agents without `--name`.
const NUMBERS: Range<usize> = 100..1000;
/// The numbers in the names of agents that can't see which names are taken, or find none of
/// [`NUMBERS`] free. Among forty such agents, two draw the same number once in a thousand times.
const LONG_NUMBERS: Range<usize> = 100_000..1_000_000;

/// The time since 1970 on the wall clock. It is greater at each start of an agent or a registry.
#[expect(
    clippy::disallowed_methods,
    reason = "incarnations must rise from one process to the next"
)]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The incarnation of a process that starts now, in microseconds. JavaScript's numbers can hold it.
pub(crate) fn incarnation() -> u64 {
    since_epoch().as_micros() as u64
}

/// A seed that no other process has.
pub(crate) fn seed() -> Seed {
    let now = since_epoch().as_nanos() as u64;
    Seed::root(now).child(&std::process::id().to_string())
}

/// A name `agent-NNN` that is not among those taken. The number is longer if all short ones are
/// taken, or if nobody knows which are.
pub(crate) fn name(taken: Option<&BTreeSet<String>>, rng: &mut Rng) -> String {
    let short = taken.and_then(|taken| free_name(NUMBERS, taken, rng));
    let long = |rng| free_name(LONG_NUMBERS, taken.unwrap_or(&BTreeSet::new()), rng);
    short.or_else(|| long(rng)).unwrap_or_else(|| format!("agent-{}", rng.next_u64()))
}

/// A random one of the free names with these numbers.
fn free_name(numbers: Range<usize>, taken: &BTreeSet<String>, rng: &mut Rng) -> Option<String> {
    let start = rng.index(numbers.len());
    let all = (0..numbers.len()).map(|step| numbers.start + (start + step) % numbers.len());
    all.map(|number| format!("agent-{number}")).find(|name| !taken.contains(name))
}

/// A listener on a random free port of [`PORTS`].
///
/// # Errors
/// If none of these ports is free.
pub(crate) async fn any_port(rng: &mut Rng) -> anyhow::Result<TcpListener> {
    let start = rng.index(PORTS.len());
    for step in 0..PORTS.len() {
        let port = PORTS.start() + ((start + step) % PORTS.len()) as u16;
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        match TokioNet.bind(&address.to_string()).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => {
                return Err(error).with_context(|| format!("failed to listen on {address}"));
            }
        }
    }
    anyhow::bail!(
        "no port of {} to {} is free; choose one with --listen",
        PORTS.start(),
        PORTS.end()
    )
}

/// A listener on an address that the user chose.
///
/// # Errors
/// If the address is taken or is not one of this machine.
pub(crate) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let bound = TokioNet.bind(address).await;
    bound.map_err(|error| match (error.kind(), address.rsplit_once(':')) {
        (io::ErrorKind::AddrInUse, Some((host, port))) => {
            anyhow::anyhow!("port {port} of {host} is in use")
        }
        _ => anyhow::Error::new(error).context(format!("failed to listen on {address}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_new_ones_while_there_are_any() {
        let mut rng = Seed::root(1).rng();
        let mut taken = BTreeSet::new();
        for _ in NUMBERS {
            let name = name(Some(&taken), &mut rng);
            assert_eq!(name.len(), "agent-NNN".len(), "{name}");
            assert!(taken.insert(name));
        }
        let long = name(Some(&taken), &mut rng);
        assert_eq!(long.len(), "agent-NNNNNN".len(), "{long}");
        assert_eq!(name(None, &mut rng).len(), long.len(), "and where nobody knows");
    }
}
