//! Which names and urls the registry accepts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lease::RegisterError;
use crate::profile::Profile;

/// Greatest length of an agent's name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Greatest length of an agent's url, in bytes.
pub const MAX_URL_BYTES: usize = 255;

/// Greatest length of a label of a host name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Checks an agent's name.
pub(super) fn name(name: &str) -> Result<(), RegisterError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(is_plain) { Ok(()) } else { Err(RegisterError::Name) }
}

/// Checks an agent's url.
pub(super) fn url(url: &str) -> Result<(), RegisterError> {
    if url.len() <= MAX_URL_BYTES && is_address(address(url)) {
        return Ok(());
    }
    Err(RegisterError::Url)
}

/// Checks an agent's profile.
pub(super) fn profile(profile: &Profile) -> Result<(), RegisterError> {
    profile.mistake().map_or(Ok(()), |mistake| Err(RegisterError::Profile(mistake)))
}

/// The `host:port` of an agent's url, without the `http://` and the final slash that it may have.
pub fn address(url: &str) -> &str {
    match url.strip_prefix("http://") {
        Some(rest) => rest.strip_suffix('/').unwrap_or(rest),
        None => url,
    }
}

/// Whether a text is `host:port`. The host is a name, an IPv4 address or an IPv6 address in
/// brackets, and the port is not 0.
pub fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port))
}

/// Whether a text may be an agent's name.
pub fn is_name(text: &str) -> bool {
    name(text).is_ok()
}

fn is_port(port: &str) -> bool {
    let has_only_digits = port.bytes().all(|byte| byte.is_ascii_digit());
    has_only_digits && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Whether an address names no particular machine (`0.0.0.0`, `[::]`). A server can listen there,
/// but nobody can connect to it from another machine.
pub fn is_unspecified(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Whether a text is a host: a name for DNS or a hosts file, an IPv4 address, or an IPv6 address in
/// brackets. A name may end in a dot, which marks it as fully qualified.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    // As in the URL standard: a host whose last label is a number must be an IPv4 address.
    let name = host.strip_suffix('.').unwrap_or(host);
    let ends_in_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_number { host.parse::<Ipv4Addr>().is_ok() } else { name.split('.').all(is_label) }
}

/// Whether a text is a label of a host name: by RFC 1123, section 2.1, and with the underscore that
/// container networks use.
fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(is_plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
