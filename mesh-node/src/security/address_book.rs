//! Vets the addresses that agents register with a registry.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::reach::{AllowedUrls, ReachError, Registrant, host_of, may_register};
use mesh_core::registry::address;
use tokio::time::timeout;

/// How long the name of an agent's host may take to resolve.
const RESOLUTION: Duration = Duration::from_secs(2);

/// How many vetted addresses are remembered. Beyond it the memory begins anew, which costs each
/// agent one more look-up.
const MOST_KNOWN: usize = 1 << 14;

/// Why an address is refused.
#[derive(Debug, thiserror::Error)]
pub enum VettingError {
    /// The rules forbid it.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The host's name could not be resolved.
    #[error("the name {host} can't be resolved: {source}")]
    Unresolved {
        /// The host.
        host: String,
        /// The resolver's reason.
        source: io::Error,
    },
}

/// Decides which addresses agents may register: see [`mesh_core::reach`].
///
/// A name is resolved when an agent registers it, and not again while the same caller renews it:
/// else a name server that is down would end every lease.
#[derive(Debug, Default)]
pub struct AddressBook {
    allowed: Vec<AllowedUrls>,
    known: Mutex<BTreeMap<Name, VettedUrl>>,
}

/// An address that was found to be fine, and who registered it.
#[derive(Debug, PartialEq, Eq)]
struct VettedUrl {
    url: String,
    from: IpAddr,
}

impl AddressBook {
    /// A book that also takes these addresses, whoever registers them.
    pub fn new(allowed: Vec<AllowedUrls>) -> Self {
        Self { allowed, known: Mutex::default() }
    }

    /// Checks the url that the agent `name` registers. `names` are those in the caller's
    /// certificate.
    ///
    /// # Errors
    /// If this caller may not register that address.
    pub async fn vet(
        &self,
        name: &Name,
        url: &str,
        client: SocketAddr,
        names: &[String],
    ) -> Result<(), VettingError> {
        let vetted = VettedUrl { url: url.to_owned(), from: client.ip() };
        if self.known().get(name) == Some(&vetted) {
            return Ok(());
        }
        let host = host_of(address(url));
        let ips = resolve(host).await?;
        let registrant = Registrant { ip: client.ip(), names };
        may_register(host, &ips, registrant, &self.allowed, is_of_this_machine)?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(name.clone(), vetted);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Name, VettedUrl>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All addresses of a host.
async fn resolve(host: &str) -> Result<Vec<IpAddr>, VettingError> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let unresolved = |source| VettingError::Unresolved { host: host.to_owned(), source };
    // The port does not matter.
    let found = timeout(RESOLUTION, tokio::net::lookup_host((host, 1)));
    let found = found.await.map_err(|_| unresolved(io::ErrorKind::TimedOut.into()))?;
    Ok(found.map_err(unresolved)?.map(|found| found.ip()).collect())
}

/// Whether an address is one of this machine: only then can a socket have it.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_resolved_before_they_are_taken() {
        let book = AddressBook::default();
        let here = SocketAddr::from(([127, 0, 0, 1], 9));
        let there = SocketAddr::from(([192, 0, 2, 7], 9));
        let name = Name::from("a");
        for (url, from, expected) in [
            ("localhost:8600", here, true),
            ("http://127.0.0.1:8600/", here, true),
            ("localhost:8600", there, false),
            ("192.0.2.7:8600", there, true),
            ("192.0.2.8:8600", there, false),
            ("192.0.2.8:8600", here, false),
            ("0.0.0.0:8600", here, false),
            ("169.254.169.254:80", here, false),
            ("no-such-host.invalid:80", here, false),
        ] {
            let vetted = book.vet(&name, url, from, &[]).await;
            assert_eq!(vetted.is_ok(), expected, "{url} from {from}: {vetted:?}");
        }
    }
}
