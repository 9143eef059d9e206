//! Where hosts are found: by their numbers in the fault schedule, whatever the scenario calls them.
//! Agents may have names that no address can contain.

use std::sync::Arc;

use crate::host::HostId;

const PREFIX: &str = "host-";

/// Where every host listens.
pub(super) const PORT: u16 = 1;

/// What the network calls a host.
pub(super) fn host_name(host: HostId) -> String {
    format!("{PREFIX}{host}")
}

/// The address of a host.
pub(super) fn address(host: HostId) -> Arc<str> {
    format!("{PREFIX}{host}:{PORT}").into()
}

/// The host that has this address.
pub(super) fn host_at(address: &str) -> Option<HostId> {
    let (number, _) = address.strip_prefix(PREFIX)?.split_once(':')?;
    number.parse().ok().map(HostId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_at_its_address() {
        for host in [0, 2, 10_001].map(HostId::new) {
            assert_eq!(host_at(&address(host)), Some(host));
            assert!(address(host).starts_with(&format!("{}:", host_name(host))));
            assert!(mesh_core::registry::is_address(&address(host)));
        }
        assert_eq!(host_at("agent-1:8600"), None);
    }
}
