//! Keeps out what web pages make a browser send.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::header::{HOST, ORIGIN};
use hyper::{HeaderMap, Method, StatusCode, header::HeaderName};
use mesh_core::reach::{host_of, is_loopback_host};
use mesh_core::registry::is_address;

use crate::http::{Head, RequestCheck, Response};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// A door for everybody but the web pages of strangers.
///
/// Any page that somebody on this machine opens can make the browser send requests to services that
/// only this machine reaches. It can also let its own name point to this machine after it was
/// loaded ("DNS rebinding"): for the browser, the service then belongs to the page. So a request
/// must meet all of this:
///
/// | header field | what is taken | else |
/// |---|---|---|
/// | `Host`, and the host of a whole URL | a name of this service, see below | 421 |
/// | `Origin` | none, that of the same host, or one of [`BrowserDoor::allow_origin`] | 403 |
/// | `Sec-Fetch-Site` | none, `same-origin` or `none`; else only a GET that opens a page | 403 |
///
/// Names of the service are `localhost` and addresses of the loopback interface, whatever the port,
/// because ports are forwarded; and those of [`BrowserDoor::allow_host`]. A service that listens
/// beyond the loopback interface is also known by any IP address and any name without a dot:
/// nobody who is not in the same network can own those.
///
/// A request without `Host` passes, because no browser sends one. Together with the rule that
/// bodies are called JSON (see [`Route::post_json`](crate::http::Route::post_json)), and with no
/// answer that lets a browser share anything across origins, pages can neither read nor do
/// anything here.
#[derive(Clone, Debug, Default)]
pub struct BrowserDoor {
    /// In lower case.
    hosts: BTreeSet<String>,
    /// In lower case: `https://dashboard.example.com`.
    origins: BTreeSet<String>,
    is_beyond_loopback: bool,
}

/// Why a request does not get through the door.
#[derive(Debug, PartialEq, Eq)]
struct DoorRefusal(StatusCode, String);

impl BrowserDoor {
    /// A door of a service that listens on this address.
    pub fn new(listen: IpAddr) -> Self {
        Self { is_beyond_loopback: !listen.is_loopback(), ..Self::default() }
    }

    /// The same door, where the service is also known by this host. A port after it is ignored.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        self.hosts.insert(host_of(&with_port(host)).to_ascii_lowercase());
        self
    }

    /// The same door, which pages of this origin may pass too: `https://HOST` or `https://HOST:PORT`.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.insert(origin.trim_end_matches('/').to_ascii_lowercase());
        self
    }

    fn admit(&self, head: &Head) -> Result<(), DoorRefusal> {
        let host = only(&head.headers, &HOST)?;
        let target = head.uri.authority().map(|authority| authority.as_str());
        for authority in host.into_iter().chain(target) {
            if !self.is_own(authority) {
                let reason = format!(
                    "this service is not called {authority:?}; if it shall be, start it with \
                     --allow-host"
                );
                return Err(DoorRefusal(StatusCode::MISDIRECTED_REQUEST, reason));
            }
        }
        if let Some(origin) = only(&head.headers, &ORIGIN)?
            && !self.takes_origin(origin, host)
        {
            let reason = format!("pages of {origin:?} may not call this service");
            return Err(DoorRefusal(StatusCode::FORBIDDEN, reason));
        }
        match only(&head.headers, &SEC_FETCH_SITE)? {
            None | Some("same-origin" | "none") => Ok(()),
            // It has an origin that is allowed.
            Some(_) if head.headers.contains_key(ORIGIN) => Ok(()),
            Some(_) if opens_page(head) => Ok(()),
            Some(_) => {
                let reason = "pages of other sites may not call this service".to_owned();
                Err(DoorRefusal(StatusCode::FORBIDDEN, reason))
            }
        }
    }

    /// Whether `host[:port]` is a name of this service.
    fn is_own(&self, authority: &str) -> bool {
        let address = with_port(authority);
        if !is_address(&address) {
            return false;
        }
        let host = host_of(&address).to_ascii_lowercase();
        let is_of_network = || host.parse::<IpAddr>().is_ok() || !host.contains('.');
        is_loopback_host(&host)
            || self.hosts.contains(&host)
            || (self.is_beyond_loopback && is_of_network())
    }

    /// Whether pages of this origin may call the service, which they call `host`.
    fn takes_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let origin = origin.to_ascii_lowercase();
        let own = origin.split_once("://").map(|(_, authority)| authority);
        let is_same = own.is_some() && own == host.map(str::to_ascii_lowercase).as_deref();
        is_same || self.origins.contains(&origin)
    }
}

impl RequestCheck for BrowserDoor {
    fn check(&self, head: &Head) -> Result<(), Box<Response>> {
        self.admit(head).map_err(|DoorRefusal(status, reason)| {
            tracing::debug!(client = %head.client, %status, reason, "refused at the door");
            Box::new(Response::error(status, &reason))
        })
    }
}

/// Whether a browser sends the request to show its answer as a page of its own, as after a click on
/// a link. The page that has the link can't read the answer, and a GET changes nothing here.
fn opens_page(head: &Head) -> bool {
    let is = |name: &HeaderName, value: &str| {
        head.headers.get(name).is_some_and(|found| found.as_bytes() == value.as_bytes())
    };
    head.method == Method::GET && is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document")
}

/// The value of a header field that may occur once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, DoorRefusal> {
    let bad = |what: &str| DoorRefusal(StatusCode::BAD_REQUEST, format!("{name} {what}"));
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(bad("occurs more than once"));
    }
    first.map(|value| value.to_str().map_err(|_| bad("is not plain text"))).transpose()
}

/// `host:port` of a host that may lack its port.
fn with_port(host: &str) -> String {
    let has_port = is_address(host);
    if has_port { host.to_owned() } else { format!("{host}:80") }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::Uri;
    use hyper::header::HeaderValue;

    use super::*;

    fn status(door: &BrowserDoor, method: Method, uri: &str, fields: &[(&str, &str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let client = SocketAddr::from(([127, 0, 0, 1], 1));
        let uri: Uri = uri.parse().expect("a target");
        let head = Head { method, uri, headers, client, certificate: None };
        door.check(&head).err().map_or(200, |refusal| refusal.status.as_u16())
    }

    fn local() -> BrowserDoor {
        BrowserDoor::new([127, 0, 0, 1].into())
            .allow_host("box.lan:8500")
            .allow_origin("https://dashboard.example.com/")
    }

    #[test]
    fn hosts_are_names_of_the_service() {
        let wide = BrowserDoor::new([0, 0, 0, 0].into()).allow_host("Mesh.example.com");
        for (host, at_loopback, beyond) in [
            ("localhost:8500", 200, 200),
            ("LOCALHOST", 200, 200),
            ("127.0.0.1:8500", 200, 200),
            ("127.8.9.1:1", 200, 200),
            ("[::1]:8500", 200, 200),
            ("[::1]", 200, 200),
            ("box.lan", 200, 421),
            ("BOX.lan.:9", 200, 421),
            ("mesh.example.com:8500", 421, 200),
            ("registry:8500", 421, 200),
            ("10.0.0.1:8500", 421, 200),
            ("[fd00::1]:8500", 421, 200),
            ("evil.example", 421, 421),
            ("evil.example:8500", 421, 421),
            ("localhost.evil.example", 421, 421),
            ("127.0.0.1.evil.example", 421, 421),
            ("xbox.lan", 421, 421),
            ("localhost:8500@evil.example", 421, 421),
            ("evil.example#localhost", 421, 421),
            ("localhost:x", 421, 421),
            ("[::1", 421, 421),
            ("2130706433", 421, 421),
            ("0x7f.1", 421, 421),
            ("", 421, 421),
        ] {
            let fields = [("host", host)];
            assert_eq!(status(&local(), Method::POST, "/rpc", &fields), at_loopback, "{host}");
            assert_eq!(status(&wide, Method::POST, "/rpc", &fields), beyond, "{host}");
        }
        assert_eq!(status(&local(), Method::GET, "/", &[]), 200, "no browser leaves it out");
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status(&local(), Method::GET, "/", &twice), 400);
        let fine = [("host", "localhost")];
        assert_eq!(status(&local(), Method::GET, "http://evil.example/rpc", &fine), 421);
        assert_eq!(status(&local(), Method::GET, "http://localhost:1/rpc", &fine), 200);
    }

    #[test]
    fn origins_and_sites_are_the_services_own() {
        const NAVIGATE: [(&str, &str); 2] =
            [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        for (method, fields, expected) in [
            (Method::POST, &[("origin", "http://localhost:8500")][..], 200),
            (Method::POST, &[("origin", "HTTPS://dashboard.EXAMPLE.com")], 200),
            (Method::POST, &[("origin", "http://dashboard.example.com")], 403),
            (Method::POST, &[("origin", "https://dashboard.example.com.evil.example")], 403),
            (Method::POST, &[("origin", "http://localhost:9000")], 403),
            (Method::POST, &[("origin", "http://evil.example")], 403),
            (Method::POST, &[("origin", "null")], 403),
            (Method::POST, &[("origin", "")], 403),
            (Method::OPTIONS, &[("origin", "http://evil.example")], 403),
            (Method::GET, &[("sec-fetch-site", "same-origin")], 200),
            (Method::GET, &[("sec-fetch-site", "none")], 200),
            (Method::GET, &[("sec-fetch-site", "cross-site")], 403),
            (Method::GET, &[("sec-fetch-site", "same-site")], 403),
            (Method::POST, &[("sec-fetch-site", "cross-site")], 403),
            (Method::GET, &[("sec-fetch-site", "cross-site"), NAVIGATE[0], NAVIGATE[1]], 200),
            (Method::POST, &[("sec-fetch-site", "cross-site"), NAVIGATE[0], NAVIGATE[1]], 403),
            (
                Method::GET,
                &[("sec-fetch-site", "cross-site"), NAVIGATE[0], ("sec-fetch-dest", "iframe")],
                403,
            ),
            (
                Method::POST,
                &[("origin", "https://dashboard.example.com"), ("sec-fetch-site", "cross-site")],
                200,
            ),
            (Method::POST, &[("user-agent", "Mozilla/5.0")], 200),
        ] {
            let fields = [&[("host", "localhost:8500")], fields].concat();
            assert_eq!(status(&local(), method, "/rpc", &fields), expected, "{fields:?}");
        }
    }
}
