//! Parses addresses as people and container files write them.

use anyhow::ensure;
use clap::Args;
use mesh_core::agent::config::MAX_REGISTRIES;
use mesh_core::registry::{is_address, is_unspecified};

/// The host of a port that stands alone.
const THIS_MACHINE: &str = "127.0.0.1";

/// The registries of one mesh.
#[derive(Debug, Args)]
pub(crate) struct RegistryAddresses {
    /// Where the registry listens; a port alone is one of this machine. May be given several times:
    /// the mesh goes on as long as one of its registries does
    #[arg(
        long = "registry",
        env = "MESH_REGISTRY",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8500",
        value_delimiter = ',',
        value_parser = host_port
    )]
    addresses: Vec<String>,
}

impl RegistryAddresses {
    /// Each address once.
    ///
    /// # Errors
    /// If there are too many.
    pub(crate) fn all(&self) -> anyhow::Result<Vec<String>> {
        registries(self.addresses.iter().cloned())
    }
}

/// Each of these addresses of registries once, in their order.
///
/// # Errors
/// If there are more than [`MAX_REGISTRIES`].
pub(crate) fn registries(
    addresses: impl IntoIterator<Item = String>,
) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for address in addresses {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    let (count, most) = (all.len(), MAX_REGISTRIES);
    ensure!(count <= most, "{count} registries are too many: name {most} of them at most");
    Ok(all)
}

/// Parses the address of a service: `HOST:PORT`, with or without `http://` before it. A port alone
/// is one of this machine.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    let address = &with_host(without_scheme(text)?);
    if is_address(address) { Ok(address.to_owned()) } else { Err(expected(address)) }
}

/// Parses an address to listen on: as [`host_port`], but port 0 is allowed and stands for any free
/// one.
pub(super) fn listen(text: &str) -> Result<String, String> {
    let address = &with_host(without_scheme(text)?);
    if let Some(port) = address.strip_prefix(':').or_else(|| address.strip_prefix("*:")) {
        return Err(format!(
            "expected HOST:PORT; all addresses of this machine are 0.0.0.0:{port}"
        ));
    }
    let is_valid = is_address(address)
        || address.strip_suffix(":0").is_some_and(|host| is_address(&format!("{host}:1")));
    if is_valid { Ok(address.to_owned()) } else { Err(expected(address)) }
}

/// Parses the address at which peers reach an agent: `HOST` or `HOST:PORT`.
pub(super) fn advertised(text: &str) -> Result<String, String> {
    let address = without_scheme(text)?;
    if is_unspecified(address) || is_unspecified(&format!("{address}:1")) {
        return Err("nobody reaches an agent there: name the host or the address by which peers \
                    know this machine"
            .to_owned());
    }
    let is_valid = is_address(address) || is_address(&format!("{address}:1"));
    if is_valid { Ok(address.to_owned()) } else { Err("expected HOST or HOST:PORT".to_owned()) }
}

/// The address with the host that a port alone lacks.
fn with_host(address: &str) -> String {
    let is_port = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { format!("{THIS_MACHINE}:{address}") } else { address.to_owned() }
}

/// The text without its scheme, which may be in upper case, and without a slash at its end.
fn without_scheme(text: &str) -> Result<&str, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if scheme.eq_ignore_ascii_case("https") {
        return Err(
            "write HOST:PORT without https://; with --tls-ca, TLS is spoken with everybody"
                .to_owned(),
        );
    }
    if text.contains('%') {
        return Err("an address with a zone means something on one machine only: use one without \
                    `%`, or a name"
            .to_owned());
    }
    let rest = if scheme.eq_ignore_ascii_case("http") { rest } else { text };
    Ok(rest.strip_suffix('/').unwrap_or(rest))
}

/// Says what was expected instead, with an example if only the port is missing.
fn expected(address: &str) -> String {
    if !address.is_empty() && is_address(&format!("{address}:1")) {
        return format!("expected HOST:PORT, such as {address}:8500");
    }
    "expected HOST:PORT".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are_written() {
        let ok = |address: &str| Ok(address.to_owned());
        for (text, expected) in [
            ("localhost:8500", "localhost:8500"),
            ("http://registry_1:8500/", "registry_1:8500"),
            ("HTTP://Registry:8500", "Registry:8500"),
            ("registry:8500/", "registry:8500"),
            ("[::1]:8500", "[::1]:8500"),
            ("registry.mesh.svc.cluster.local.:8500", "registry.mesh.svc.cluster.local.:8500"),
        ] {
            assert_eq!(host_port(text), ok(expected));
            assert_eq!(listen(text), ok(expected));
            assert_eq!(advertised(text), ok(expected));
        }
        assert_eq!(listen("0.0.0.0:0"), ok("0.0.0.0:0"));
        assert_eq!(listen("8080"), ok("127.0.0.1:8080"));
        assert_eq!(listen("0"), ok("127.0.0.1:0"));
        assert_eq!(host_port("8500"), ok("127.0.0.1:8500"));
        assert_eq!(advertised("agent_1"), ok("agent_1"));
        assert_eq!(advertised("[::1]"), ok("[::1]"));
    }

    #[test]
    fn what_is_refused_names_the_fix() {
        let refusal = |result: Result<String, String>| result.expect_err("refused");
        assert!(refusal(host_port("registry")).ends_with("such as registry:8500"));
        assert!(refusal(host_port("https://registry:8500")).contains("--tls-ca"));
        assert!(refusal(host_port("[fe80::1%eth0]:8500")).contains("zone"));
        assert!(refusal(listen(":8500")).ends_with("0.0.0.0:8500"));
        assert_eq!(refusal(listen("a b:1")), "expected HOST:PORT");
        for port in ["0", "65536", "+1"] {
            assert_eq!(refusal(host_port(port)), "expected HOST:PORT", "{port}");
        }
        for nowhere in ["0.0.0.0", "0.0.0.0:8600", "[::]", "[::]:8600"] {
            assert!(refusal(advertised(nowhere)).contains("name the host"), "{nowhere}");
        }
    }
}
