//! Any bytes as keys, as files of keys, as header fields that the doors look at, and as
//! registrations.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_core::Timestamp;
use mesh_core::reach::{AllowedUrls, Registrant, host_of, may_call, may_register};
use mesh_core::registry::{Registry, RegistryConfig, address, is_address};
use mesh_core::telemetry::{MAX_BYTES, Telemetry};
use mesh_node::http::header::{HeaderName, HeaderValue};
use mesh_node::http::{Head, HeaderMap, Method, RequestCheck, Uri};
use mesh_node::security::keys::{ApiKey, ClientKeys, KeyRecord, KeyRing, KeySet};
use mesh_node::security::{AccessDoor, BrowserDoor, PeerCertificate, UtcTime};
use mesh_node::wire::RegisterBody;

/// The only key that is taken.
const KEY: &str = "mesh_call_a1_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// The answers of the doors.
const STATUSES: [u16; 6] = [400, 401, 403, 421, 429, 200];

/// Checks these bytes in all their meanings. Gives back the statuses of the doors.
pub(crate) fn check(input: &[u8]) -> [u16; 2] {
    if let Ok(text) = std::str::from_utf8(input) {
        check_text(text);
    }
    check_registration(input);
    let statuses = doors(input);
    assert!(statuses.iter().all(|status| STATUSES.contains(status)), "{statuses:?}");
    statuses
}

fn check_text(text: &str) {
    if let Ok(key) = text.parse::<ApiKey>() {
        assert_eq!(key.reveal(), text);
        let secret = text.rsplit('_').next().unwrap_or_default();
        assert!(!format!("{key:?}").contains(secret), "a key shows its secret");
    }
    if let Ok(keys) = KeySet::parse(text) {
        assert!(keys.iter().all(|key| keys.get(&key.id) == Some(key)));
    }
    let _ = ClientKeys::parse(text);
    if let Ok(time) = text.parse::<UtcTime>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    if let Ok(allowed) = text.parse::<AllowedUrls>() {
        assert_eq!(allowed.to_string().parse(), Ok(allowed), "what is shown is what is meant");
    }
    let names: Vec<&str> = text.lines().collect();
    if let Ok(certificate) = PeerCertificate::new(names.iter().copied(), names.last().copied()) {
        assert!(!certificate.owner().is_empty() && !certificate.has_name(""));
    }
}

/// A registration from anywhere: the rules decide, and what is listed is an address.
fn check_registration(input: &[u8]) {
    let Ok(body) = serde_json::from_slice::<RegisterBody>(input) else { return };
    let url = body.url.clone();
    let host = host_of(address(&url));
    let ip = host.parse::<IpAddr>().ok();
    if is_address(address(&url))
        && let Some(ip) = ip
    {
        let from = IpAddr::from([203, 0, 113, 7]);
        let registrant = Registrant { ip: from, names: &[] };
        let may = may_register(host, &[ip], registrant, &[], |_| true).is_ok();
        assert_eq!(may, ip == from, "{url}");
        assert!(may_call(host, ip, false, &[]).is_err() || !ip.is_loopback(), "{url}");
    }
    let telemetry = body.telemetry.as_deref().map(|telemetry| Telemetry::read(telemetry.get()));
    if let Some(Ok(telemetry)) = telemetry {
        let json = telemetry.to_json();
        assert!(json.len() <= MAX_BYTES && Telemetry::read(&json).is_ok(), "{json}");
    }
    let mut registry = Registry::new(RegistryConfig::default());
    if registry.handle_register(Timestamp::ZERO, body.into()).is_ok() {
        assert!(is_address(address(&url)), "{url}");
    }
}

/// The answers of the doors to a request with these header fields, one a line; 200 if it passes.
fn doors(input: &[u8]) -> [u16; 2] {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(100) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let (method, uri) = (Method::POST, Uri::from_static("/rpc"));
    let client = SocketAddr::from(([203, 0, 113, 7], 1));
    let head = Head { method, uri, headers, client, certificate: None };
    let status = |refusal: Result<(), Box<mesh_node::http::Response>>| {
        refusal.err().map_or(200, |refusal| refusal.status.as_u16())
    };
    let browser = status(BrowserDoor::new([127, 0, 0, 1].into()).check(&head));
    let access = status(Arc::new(AccessDoor::new(Some(Arc::new(ring())))).check(&head));
    let has_key = head
        .headers
        .values()
        .any(|value| value.as_bytes().windows(KEY.len()).any(|window| window == KEY.as_bytes()));
    assert!(access != 200 || has_key, "nobody gets in without the key");
    [browser, access]
}

fn ring() -> KeyRing {
    let mut keys = KeySet::default();
    if let Ok(key) = KEY.parse::<ApiKey>() {
        keys.insert(KeyRecord::new(&key, UtcTime::from_unix(0)));
    }
    KeyRing::of(keys)
}
