//! Who gets through the doors of services that ask for no keys: everybody on this machine, but no
//! web page, and no address that an agent has not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::process::{Service, http, json_at, output, raw, until};

/// The status of a request with these header fields beside `host`.
fn status(address: &str, method: &str, path: &str, fields: &str) -> u16 {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"info","params":{}}"#;
    let length = if method == "POST" { body.len() } else { 0 };
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{fields}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let answer = raw(address, format!("{head}{}", &body[..length]).as_bytes());
    let headers = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    assert!(!headers.contains("access-control-"), "nothing is shared across origins: {answer}");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn pages_of_strangers_are_kept_out_of_every_endpoint() {
    let registry = Service::registry(&["--allow-host", "mesh.example.com"]);
    let agent = Service::agent("a", &registry.address, &[]);
    for (address, method, path) in [
        (&registry.address, "GET", "/services"),
        (&registry.address, "GET", "/services?wait=9s&index=1"),
        (&registry.address, "GET", "/healthz"),
        (&registry.address, "GET", "/metrics"),
        (&registry.address, "POST", "/register"),
        (&registry.address, "POST", "/deregister"),
        (&registry.address, "OPTIONS", "/register"),
        (&registry.address, "GET", "/no/such/path"),
        (&agent.address, "POST", "/rpc"),
        (&agent.address, "OPTIONS", "/rpc"),
        (&agent.address, "GET", "/healthz"),
        (&agent.address, "GET", "/metrics"),
    ] {
        let ours = format!("host: {address}\r\n");
        let json = "content-type: application/json\r\n";
        for (fields, expected) in [
            ("host: rebound.example\r\n".to_owned(), 421),
            (format!("{ours}{json}origin: http://rebound.example\r\n"), 403),
            (format!("{ours}{json}sec-fetch-site: cross-site\r\n"), 403),
            (format!("{ours}host: {address}\r\n"), 400),
        ] {
            assert_eq!(status(address, method, path, &fields), expected, "{path} {fields}");
        }
    }
    let ours = format!("host: {}\r\n", agent.address);
    for (kind, expected) in [
        ("application/json", 200),
        ("application/json-rpc", 200),
        ("application/jsonrequest", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 415),
        ("application/vnd.api+json", 415),
    ] {
        let fields = format!("{ours}content-type: {kind}\r\n");
        assert_eq!(status(&agent.address, "POST", "/rpc", &fields), expected, "{kind}");
    }
    assert_eq!(status(&agent.address, "POST", "/rpc", &ours), 415, "no type at all");
    let named = "host: mesh.example.com\r\n";
    assert_eq!(status(&registry.address, "GET", "/services", named), 200, "--allow-host");
}

#[test]
fn agents_register_their_own_addresses_only() {
    let registry = Service::registry(&["--allow-urls", "192.0.2.0/24,agents.example"]);
    let register = |url: &str| {
        let body = json!({ "name": "a", "url": url }).to_string();
        http(&registry.address, "POST", "/register", &body)
    };
    for (url, part) in [
        ("169.254.169.254:80", "link-local"),
        ("http://169.254.169.254/", "the url must be"),
        ("0.0.0.0:8600", "names no machine"),
        ("224.0.0.1:8600", "multicast"),
        ("[::ffff:127.0.0.1]:8600", "write it as IPv4"),
        ("[fe80::1]:8600", "link-local"),
        ("198.51.100.7:8600", "--allow-urls 198.51.100.7"),
        ("user@127.0.0.1:8600", "the url must be"),
        ("127.0.0.1:8600/rpc", "the url must be"),
        ("https://127.0.0.1:8600", "the url must be"),
        ("file:///etc/passwd", "the url must be"),
        ("no-such-host.invalid:8600", "no-such-host.invalid"),
    ] {
        let (status, answer) = register(url);
        assert!(matches!(status, 400 | 403) && answer.contains(part), "{url}: {status} {answer}");
    }
    assert_eq!(json_at(&registry.address, "/services"), json!({}), "none of them is listed");
    for url in ["127.0.0.1:8600", "localhost:8600", "[::1]:8600", "192.0.2.9:8600"] {
        let (status, answer) = register(url);
        assert_eq!(status, 200, "{url}: {answer}");
    }
    registry.process.line("169.254.169.254 is a link-local address, which nobody may call");
}

#[test]
fn what_everybody_could_use_does_not_start_unless_told() {
    for args in [
        &["registry", "--listen", "0.0.0.0:0"][..],
        &["agent", "--listen", "0.0.0.0:0", "--advertise", "127.0.0.1"],
        &["up", "--listen", "0.0.0.0:0"],
    ] {
        let (status, _, stderr) = output(args);
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("--insecure"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "one sentence: {stderr}");
    }
    let registry = Service::start(&["registry", "--listen", "0.0.0.0:0", "--insecure"]);
    let port = registry.address.rsplit(':').next().expect("a port");
    let address = format!("127.0.0.1:{port}");
    // The names of machines and containers in the same network, but of nobody else.
    for (host, expected) in [("registry:8500", 200), ("10.9.8.7:8500", 200), ("evil.example", 421)]
    {
        let fields = format!("host: {host}\r\n");
        assert_eq!(status(&address, "GET", "/services", &fields), expected, "{host}");
    }
}

/// A server that sends everybody elsewhere, and counts its requests.
fn redirector(to: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (to, count) = (to.to_owned(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1 << 12];
            let _ = stream.read(&mut request);
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{to}/rpc\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, count)
}

#[test]
fn nobody_follows_a_redirect() {
    let (target, reached) = redirector("127.0.0.1:1");
    let (bait, asked) = redirector(&target);
    let registry = Service::registry(&[]);
    let entry = Service::agent("entry", &registry.address, &["--refresh", "200ms"]);
    let body = json!({ "name": "bait", "url": bait }).to_string();
    assert_eq!(http(&registry.address, "POST", "/register", &body).0, 200);
    entry.await_peers(1);
    entry.call("delegate", json!({ "text": "x", "timeout_ms": 2000 })).expect_err("no peer works");
    let behind =
        Service::unregistered("b", "127.0.0.1:1", &["--upstream", &format!("http://{bait}")]);
    behind.call("work", json!({ "text": "x" })).expect_err("the upstream does not work");
    until("the bait is asked twice", || asked.load(Ordering::SeqCst) >= 2);
    assert_eq!(reached.load(Ordering::SeqCst), 0, "the redirect was followed");
}
