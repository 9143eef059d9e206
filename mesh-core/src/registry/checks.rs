//! What names and urls look like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lease::RegisterError;

/// Greatest length of an agent's name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Greatest length of an agent's url, in bytes.
pub const MAX_URL_BYTES: usize = 255;

/// Greatest length of a label of a host name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

pub(super) fn name(name: &str) -> Result<(), RegisterError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(is_plain) { Ok(()) } else { Err(RegisterError::Name) }
}

pub(super) fn url(url: &str) -> Result<(), RegisterError> {
    if url.len() <= MAX_URL_BYTES && is_address(address(url)) {
        return Ok(());
    }
    Err(RegisterError::Url)
}

/// The `host:port` of an agent's url, which may bear the scheme `http://` and end in a slash.
pub fn address(url: &str) -> &str {
    match url.strip_prefix("http://") {
        Some(rest) => rest.strip_suffix('/').unwrap_or(rest),
        None => url,
    }
}

/// Whether this is `host:port`, the host being a name, an IPv4 address or an IPv6 address in
/// brackets, and the port not 0.
pub fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port))
}

/// Whether an agent may bear this name.
pub fn is_name(text: &str) -> bool {
    name(text).is_ok()
}

fn is_port(port: &str) -> bool {
    let has_only_digits = port.bytes().all(|byte| byte.is_ascii_digit());
    has_only_digits && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Whether an address is of no machine in particular (`0.0.0.0`, `[::]`): something to listen on, and
/// nothing to connect to from another machine.
pub fn is_unspecified(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// A name for DNS or a hosts file, an IPv4 address, or an IPv6 address in brackets. A name may end
/// in a dot, which says that it is a whole one.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    // As in the URL standard: what ends in a number is an IPv4 address or nothing.
    let name = host.strip_suffix('.').unwrap_or(host);
    let ends_in_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_number { host.parse::<Ipv4Addr>().is_ok() } else { name.split('.').all(is_label) }
}

/// RFC 1123, section 2.1, and the underscore that container networks use.
fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(is_plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
