//! Where hosts are found: by their numbers in the fault schedule.

use std::sync::Arc;

const PREFIX: &str = "host-";

/// The address of a host.
pub(super) fn address(host: usize) -> Arc<str> {
    format!("{PREFIX}{host}:1").into()
}

/// The host that has this address.
pub(super) fn host_at(address: &str) -> Option<usize> {
    let (number, _) = address.strip_prefix(PREFIX)?.split_once(':')?;
    number.parse().ok()
}
