//! A browser: pages of other origins, and a name that points here only since a moment ago.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::process::{Service, get, json_at};

/// If this variable is set, there must be a browser.
const DEMANDED: &str = "MESH_TEST_PROGRAMS";

/// What a page tries. `AGENT` and `REGISTRY` stand for their addresses.
const PAGE: &str = r#"<!DOCTYPE html><title>elsewhere</title><pre id="said"></pre><iframe name="hole"></iframe>
<form id="form" method="post" enctype="text/plain" target="hole" action="http://AGENT/rpc">
<input name='{"jsonrpc":"2.0","id":1,"method":"work","params":{"text":"by form","x":"' value='"}}'></form>
<script>
const said = (text) => document.getElementById("said").append(text + "\n");
const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "work", params: { text: "by page" } });
const lease = JSON.stringify({ name: "evil", url: "127.0.0.1:1" });
const attempt = async (what, url, options) => {
  try {
    const answer = await fetch(url, options);
    said(`${what}: ${answer.type} ${answer.status} ${await answer.text()}`);
  } catch (error) {
    said(`${what}: blocked`);
  }
};
const json = { "content-type": "application/json" };
(async () => {
  await attempt("read", "http://REGISTRY/services");
  await attempt("call", "http://AGENT/rpc", { method: "POST", body: call });
  await attempt("call blind", "http://AGENT/rpc", { method: "POST", body: call, mode: "no-cors" });
  await attempt("call as JSON", "http://AGENT/rpc", { method: "POST", body: call, headers: json });
  await attempt("beacon", "http://REGISTRY/register", { method: "POST", body: lease, mode: "no-cors", keepalive: true });
  await attempt("register", "http://REGISTRY/register", { method: "POST", body: lease, headers: json });
  document.getElementById("form").submit();
  said("end");
})();
</script>"#;

fn has_browser() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| Path::new(&dir).join("chromium").is_file())
}

/// The page that a browser shows at this address, as HTML.
fn shown(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server"]);
    browser.arg(format!("--user-data-dir={}", profile.path().display()));
    // The name of a stranger, which leads to this machine.
    browser.arg("--host-resolver-rules=MAP *.example 127.0.0.1");
    browser.args(["--virtual-time-budget=10000", "--dump-dom", url]);
    let output = browser.output().expect("chromium runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Serves one page to everybody. Gives back its port.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 1 << 13];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
            let length = page.len();
            let _ = write!(stream, "{head}content-length: {length}\r\n\r\n{page}");
        }
    });
    port
}

#[test]
fn no_page_of_another_origin_does_anything_here() {
    if !has_browser() {
        assert!(env::var_os(DEMANDED).is_none(), "{DEMANDED} is set, but there is no chromium");
        eprintln!("skipped: there is no `chromium` on the search path");
        return;
    }
    let registry = Service::registry(&[]);
    let agent = Service::agent("a", &registry.address, &["--demand", "1ms"]);
    let page = PAGE.replace("AGENT", &agent.address).replace("REGISTRY", &registry.address);
    let port = serve(page);
    let dom = shown(&format!("http://elsewhere.example:{port}/"));
    for what in ["read", "call", "call as JSON", "register"] {
        assert!(dom.contains(&format!("{what}: blocked")), "{dom}");
    }
    // What a page may send blindly, it may not read, and here it does nothing.
    for what in ["call blind", "beacon"] {
        let is_blind =
            dom.contains(&format!("{what}: opaque 0")) || dom.contains(&format!("{what}: blocked"));
        assert!(is_blind, "{dom}");
    }
    assert!(dom.contains("end"), "{dom}");
    let (_, metrics) = get(&agent.address, "/metrics");
    assert!(!metrics.contains("mesh_jobs_total{"), "no job was done: {metrics}");
    let services = json_at(&registry.address, "/services");
    assert!(services["evil"].is_null() && services["a"].is_object(), "{services}");

    // For the browser, a rebound name is the service's own origin: only the service can refuse it.
    let (_, port) = registry.address.split_once(':').expect("a port");
    let rebound = shown(&format!("http://rebound.example:{port}/services"));
    assert!(rebound.contains("this service is not called"), "{rebound}");
    assert!(!rebound.contains("incarnation"), "{rebound}");
    let own = shown(&format!("http://localhost:{port}/services"));
    assert!(own.contains("incarnation"), "its owner may look: {own}");
}
