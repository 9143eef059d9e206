//! The addresses of simulated hosts. They are made of the hosts' numbers and not of their names in
//! the scenario, because an agent may have a name that no address can contain.

use std::sync::Arc;

use crate::host::HostId;

const PREFIX: &str = "host-";

/// The port on which every host listens.
pub(super) const PORT: u16 = 1;

/// The name of a host in the simulated network.
pub(super) fn host_name(host: HostId) -> String {
    format!("{PREFIX}{host}")
}

/// The address of a host.
pub(super) fn address(host: HostId) -> Arc<str> {
    format!("{PREFIX}{host}:{PORT}").into()
}

/// The host that has this address; `None` if it is no address of a simulated host.
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
