//! Which addresses an agent may register, and which its peers may call.
//!
//! Everybody in a mesh calls the addresses that agents register. So an address is a way to make the
//! machines of a mesh send requests to whom they would not: to the metadata service of a cloud, to a
//! service that only this machine reaches, or to a printer. The rules here are pure: the caller
//! resolves names, hands in what came out, and connects to nothing else.
//!
//! | an address | may be registered |
//! |---|---|
//! | unspecified, multicast, broadcast, link-local, of a metadata service, IPv4 inside of IPv6 | never |
//! | that the operator allows | yes |
//! | from which the registration came | yes |
//! | whose host is a name in the caller's certificate | yes, if it is not loopback |
//! | of the registry's machine, by a caller on that machine | yes |
//! | any other | no |
//!
//! The host may be a name; then the rule must hold for each of its addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Metadata and platform services of clouds that answer at addresses which look like any other. The
/// usual one, 169.254.169.254, is link-local.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// What is wrong with an address that nobody may call, whatever is allowed; `None` if nothing is.
pub fn forbidden(ip: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&ip) {
        return Some("an address of a cloud's metadata service");
    }
    match ip {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [0, ..] => Some("an address that names no machine"),
        [169, 254, ..] => Some("a link-local address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a broadcast or reserved address"),
        _ => None,
    }
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<&'static str> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address that names no machine"),
        [0, 0, 0, 0, 0, 0, 0, 1] => None,
        // Mapped, compatible, translated (RFC 6145), NAT64 (RFC 6052, 8215), 6to4 and Teredo: ways
        // to write an IPv4 address that the rules for IPv4 would not see.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, ..]
        | [0x2001, 0, ..]
        | [0x2002, ..] => Some("an IPv4 address inside of an IPv6 address: write it as IPv4"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        _ => None,
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address and the dot that a name may end
/// with.
pub fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.strip_suffix('.').unwrap_or(bare)
}

/// Whether a host is a name or an address of the loopback interface. Only `localhost` is taken for
/// one among the names: the others mean what somebody's name server says.
pub fn is_loopback_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Addresses that an operator allows to be registered and called: a network, or a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedUrls {
    /// The addresses whose first bits are those of this one.
    Network {
        /// Any address of the network.
        ip: IpAddr,
        /// How many bits all of its addresses share.
        bits: u8,
    },
    /// The hosts whose names are this, or end in a dot and this. In lower case.
    Domain(String),
}

impl AllowedUrls {
    fn has(&self, host: &str, ip: IpAddr) -> bool {
        match self {
            Self::Network { ip: of, bits } => has_prefix(*of, ip, *bits),
            Self::Domain(domain) => is_in_domain(host, domain),
        }
    }
}

/// Whether a host is this domain or below it.
fn is_in_domain(host: &str, domain: &str) -> bool {
    let Some(split) = host.len().checked_sub(domain.len()) else { return false };
    let Some((before, end)) = host.split_at_checked(split) else { return false };
    end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
}

/// Whether two addresses are of one kind and begin with the same bits.
fn has_prefix(network: IpAddr, ip: IpAddr, bits: u8) -> bool {
    let shared = |network: u128, ip: u128, length: u8| {
        let rest = u32::from(length.saturating_sub(bits));
        (network ^ ip).checked_shr(rest).unwrap_or(0) == 0
    };
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            shared(u128::from(network.to_bits()), u128::from(ip.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => shared(network.to_bits(), ip.to_bits(), 128),
        _ => false,
    }
}

impl FromStr for AllowedUrls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected a network, such as 10.0.0.0/8 or fd00::/8, an address, or a domain, such as \
             agents.example.com"
                .to_owned()
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| expected())?)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(address).parse::<IpAddr>() {
            let most = if ip.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(most);
            return if bits <= most { Ok(Self::Network { ip, bits }) } else { Err(expected()) };
        }
        let domain = text.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
        if bits.is_none() && crate::registry::is_address(&format!("{domain}:1")) {
            return Ok(Self::Domain(domain));
        }
        Err(expected())
    }
}

impl fmt::Display for AllowedUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { ip, bits } => write!(f, "{ip}/{bits}"),
            Self::Domain(domain) => f.write_str(domain),
        }
    }
}

/// Who registers an address.
#[derive(Clone, Copy, Debug)]
pub struct Registrant<'a> {
    /// Where the registration came from. An IPv4 address in its mapped form counts as IPv4.
    pub ip: IpAddr,
    /// The names in the caller's certificate; empty without one.
    pub names: &'a [String],
}

/// Why an address may not be registered or called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// Nobody may call it.
    #[error("{ip} is {what}, which nobody may call")]
    Forbidden {
        /// The address.
        ip: IpAddr,
        /// What it is.
        what: &'static str,
    },
    /// It is not the registrant's.
    #[error(
        "{ip} is not where this registration came from, which is {from}: register that address, or \
         start the registry with --allow-urls {ip}"
    )]
    Foreign {
        /// The address.
        ip: IpAddr,
        /// Where the registration came from.
        from: IpAddr,
    },
    /// It is of the loopback interface, which is another one on each machine.
    #[error("{ip} is a loopback address, which means another machine to everybody else")]
    Loopback {
        /// The address.
        ip: IpAddr,
    },
    /// The host has no address.
    #[error("the name {0} has no address")]
    Unknown(String),
}

/// Checks an address that an agent registers.
///
/// `host` is its host, and `ips` all addresses of that host, as they were resolved just now.
/// `is_own` says whether an address is one of the registry's own machine.
///
/// # Errors
/// If one of the addresses may not be registered by this caller, or if there is none.
pub fn may_register(
    host: &str,
    ips: &[IpAddr],
    registrant: Registrant<'_>,
    allowed: &[AllowedUrls],
    is_own: impl Fn(IpAddr) -> bool,
) -> Result<(), ReachError> {
    let from = registrant.ip.to_canonical();
    let is_named = registrant.names.iter().any(|name| name.eq_ignore_ascii_case(host));
    let check = |ip: IpAddr| {
        if let Some(what) = forbidden(ip) {
            return Err(ReachError::Forbidden { ip, what });
        }
        if ip == from || allowed.iter().any(|allowed| allowed.has(host, ip)) {
            return Ok(());
        }
        // A machine has many addresses, and a caller from this one could listen on any of them.
        if from.is_loopback() && (ip.is_loopback() || is_own(ip)) {
            return Ok(());
        }
        if ip.is_loopback() {
            return Err(ReachError::Loopback { ip });
        }
        if is_named { Ok(()) } else { Err(ReachError::Foreign { ip, from }) }
    };
    match ips {
        [] => Err(ReachError::Unknown(host.to_owned())),
        _ => ips.iter().try_for_each(|ip| check(*ip)),
    }
}

/// Checks an address that a name of a peer was resolved to, before it is called.
///
/// The registry has checked it already, but a name may mean something else by now, and a registry of
/// another kind checks nothing. `is_local_mesh` says whether the caller's mesh lives on the loopback
/// interface.
///
/// # Errors
/// If nobody may call it, or if it is a loopback address and the mesh does not live there.
pub fn may_call(
    host: &str,
    ip: IpAddr,
    is_local_mesh: bool,
    allowed: &[AllowedUrls],
) -> Result<(), ReachError> {
    if let Some(what) = forbidden(ip) {
        return Err(ReachError::Forbidden { ip, what });
    }
    let is_fine = !ip.is_loopback()
        || (is_local_mesh && is_loopback_host(host))
        || allowed.iter().any(|allowed| allowed.has(host, ip));
    if is_fine { Ok(()) } else { Err(ReachError::Loopback { ip }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn some_addresses_are_nobodys() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(forbidden(ip(bad)).is_some(), "{bad}");
        }
        for good in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "192.168.1.1",
            "172.17.0.2",
            "100.64.0.1",
            "8.8.8.8",
            "::1",
            "fd00::1",
            "2001:db8::1",
            "2606:4700::1111",
        ] {
            assert_eq!(forbidden(ip(good)), None, "{good}");
        }
    }

    /// Who registers which addresses of which host, with what is allowed; and whether that is fine.
    #[test]
    fn an_agent_registers_what_is_its_own() {
        let own = |ip: IpAddr| ip == self::ip("10.0.0.1");
        let names = ["worker.mesh.example".to_owned()];
        for (from, host, ips, allow, expected) in [
            ("10.0.0.7", "10.0.0.7", &["10.0.0.7"][..], "", Ok(())),
            ("::ffff:10.0.0.7", "10.0.0.7", &["10.0.0.7"], "", Ok(())),
            ("10.0.0.7", "box", &["10.0.0.7"], "", Ok(())),
            ("10.0.0.7", "10.0.0.8", &["10.0.0.8"], "", Err("--allow-urls 10.0.0.8")),
            ("10.0.0.7", "box", &["10.0.0.7", "10.0.0.8"], "", Err("--allow-urls 10.0.0.8")),
            ("10.0.0.7", "10.0.0.8", &["10.0.0.8"], "10.0.0.0/24", Ok(())),
            ("10.0.0.7", "10.0.1.8", &["10.0.1.8"], "10.0.0.0/24", Err("10.0.1.8 is not where")),
            ("10.0.0.7", "a.pods", &["10.9.9.9"], "pods", Ok(())),
            ("10.0.0.7", "a.notpods", &["10.9.9.9"], "pods", Err("10.9.9.9 is not where")),
            ("10.0.0.7", "PODS", &["10.9.9.9"], "*.pods", Ok(())),
            ("10.0.0.7", "worker.mesh.example", &["10.9.9.9"], "", Ok(())),
            ("10.0.0.7", "worker.mesh.example", &["127.0.0.1"], "", Err("loopback")),
            ("10.0.0.7", "worker.mesh.example", &["169.254.169.254"], "", Err("link-local")),
            ("10.0.0.7", "127.0.0.1", &["127.0.0.1"], "", Err("loopback")),
            ("10.0.0.7", "localhost", &["127.0.0.1", "::1"], "", Err("loopback")),
            ("10.0.0.7", "evil.example", &["10.0.0.7", "127.0.0.1"], "", Err("loopback")),
            ("127.0.0.1", "127.0.0.1", &["127.0.0.1"], "", Ok(())),
            ("127.0.0.1", "localhost", &["127.0.0.1", "::1"], "", Ok(())),
            ("::1", "127.0.0.1", &["127.0.0.1"], "", Ok(())),
            ("127.0.0.1", "10.0.0.1", &["10.0.0.1"], "", Ok(())),
            ("127.0.0.1", "10.0.0.2", &["10.0.0.2"], "", Err("10.0.0.2 is not where")),
            ("10.0.0.7", "10.0.0.1", &["10.0.0.1"], "", Err("10.0.0.1 is not where")),
            ("127.0.0.1", "169.254.169.254", &["169.254.169.254"], "0.0.0.0/0", Err("link-local")),
            ("10.0.0.7", "::ffff:10.0.0.7", &["::ffff:10.0.0.7"], "::/0", Err("write it as IPv4")),
            ("127.0.0.1", "0.0.0.0", &["0.0.0.0"], "0.0.0.0/0", Err("names no machine")),
            ("fd00::7", "fd00::7", &["fd00::7"], "", Ok(())),
            ("fd00::7", "fd00::8", &["fd00::8"], "fd00::/8", Ok(())),
            ("10.0.0.7", "nowhere", &[], "", Err("the name nowhere has no address")),
        ] {
            let ips: Vec<IpAddr> = ips.iter().map(|text| ip(text)).collect();
            let allow: Vec<AllowedUrls> = allow.parse().into_iter().collect();
            let registrant = Registrant { ip: ip(from), names: &names };
            let result = may_register(host, &ips, registrant, &allow, own);
            match (result, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(part)) if error.to_string().contains(part) => {}
                (result, expected) => {
                    panic!("{host} {ips:?} from {from}: {result:?}, not {expected:?}")
                }
            }
        }
    }

    #[test]
    fn a_peer_of_another_machine_does_not_lead_to_this_one() {
        for (host, of, is_local, expected) in [
            ("10.0.0.7", "10.0.0.7", false, true),
            ("127.0.0.1", "127.0.0.1", true, true),
            ("localhost", "::1", true, true),
            ("127.0.0.1", "127.0.0.1", false, false),
            ("rebound.example", "127.0.0.1", true, false),
            ("rebound.example", "169.254.169.254", true, false),
            ("allowed.example", "127.0.0.1", false, true),
        ] {
            let allowed = [AllowedUrls::Domain("allowed.example".to_owned())];
            assert_eq!(may_call(host, ip(of), is_local, &allowed).is_ok(), expected, "{host} {of}");
        }
    }

    #[test]
    fn what_is_allowed_is_a_network_or_a_domain() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("[fd00::1]", "fd00::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("*.Example.com", "example.com"),
            (".example.com", "example.com"),
        ] {
            let parsed = text.parse::<AllowedUrls>().map(|allowed| allowed.to_string());
            assert_eq!(parsed.as_deref(), Ok(shown));
        }
        for bad in ["", "10.0.0.0/33", "fd00::/129", "10.0.0.0/x", "a b", "http://a", "a/8", "*"] {
            assert!(bad.parse::<AllowedUrls>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_stand_before_ports() {
        for (address, host) in
            [("a:1", "a"), ("[::1]:2", "::1"), ("10.0.0.1:3", "10.0.0.1"), ("a.b.:1", "a.b")]
        {
            assert_eq!(host_of(address), host);
        }
    }
}
