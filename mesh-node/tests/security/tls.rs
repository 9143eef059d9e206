//! TLS: who gets in with which certificate, and what the others are told.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::{Process, Service, mesh, output, raw, until};

/// A folder with an authority.
pub(crate) struct CertFolder(tempfile::TempDir);

impl CertFolder {
    pub(crate) fn new(names: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a directory"));
        folder.certs(&[&["new"], names].concat());
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    pub(crate) fn certs(&self, args: &[&str]) {
        let folder = self.0.path().to_str().expect("text");
        let args = [&["certs", args[0], "--dir", folder], &args[1..]].concat();
        let (status, _, stderr) = output(&args);
        assert!(status.success(), "{args:?}: {stderr}");
    }

    /// The options of a process with this certificate.
    pub(crate) fn options(&self, name: &str) -> Vec<String> {
        let file = |end: &str| self.text(&format!("{name}.{end}"));
        let ca = self.text("ca.pem");
        ["--tls-cert", &file("pem"), "--tls-key", &file("key"), "--tls-ca", &ca]
            .map(str::to_owned)
            .into()
    }

    pub(crate) fn registry(&self, more: &[&str]) -> Service {
        let options = self.options("registry");
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Service::registry(&[&options, more].concat())
    }

    pub(crate) fn agent(&self, name: &str, cert: &str, registry: &str, more: &[&str]) -> Service {
        let options = self.options(cert);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let usual = ["--refresh", "200ms", "--demand", "1ms"];
        Service::unregistered(name, registry, &[&options[..], &usual, more].concat())
    }
}

/// Runs curl with the authority of the folder: its exit code, the status, and all that it says.
fn curl(folder: &CertFolder, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "-w", "\n%{http_code}", "--cacert"]);
    let output = command.arg(folder.text("ca.pem")).args(args).output().expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    (output.status.code().unwrap_or(-1), status.to_owned(), format!("{body}{error}"))
}

/// The options with which curl shows a certificate.
fn shows(folder: &CertFolder, name: &str) -> [String; 4] {
    let file = |end: &str| folder.text(&format!("{name}.{end}"));
    ["--cert".to_owned(), file("pem"), "--key".to_owned(), file("key")]
}

#[test]
fn a_mesh_with_certificates_works_and_nobody_else_gets_in() {
    let folder = CertFolder::new(&["registry", "ann", "bob", "me"]);
    let registry = folder.registry(&[]);
    let first = folder.agent("ann", "ann", &registry.address, &[]);
    let second = folder.agent("bob", "bob", &registry.address, &[]);
    first.process.line("registered");
    second.process.line("registered");
    let me = folder.options("me");
    let me: Vec<&str> = me.iter().map(String::as_str).collect();
    let orchestrate = ["orchestrate", "--registry", &registry.address, "--json"];
    until("both work", || output(&[&orchestrate[..], &me].concat()).0.success());
    let (status, stdout, stderr) =
        output(&[&["call", "ann", "info", "--registry", &registry.address][..], &me].concat());
    assert!(status.success() && stdout.contains("ann"), "{stderr}");
    let (status, stdout, stderr) = output(&[&["call", &*first.address, "info"][..], &me].concat());
    assert!(status.success() && stdout.contains("ann"), "{stderr}");

    // Without a certificate, and without TLS.
    let url = format!("https://{}/services", registry.address);
    let (code, status, said) = curl(&folder, &[&url]);
    assert!(code != 0 && status == "000" && !said.contains("\"ann\""), "{code} {status} {said}");
    let (code, status, said) = curl(
        &folder,
        &shows(&folder, "me").iter().map(|it| &**it).chain([&*url]).collect::<Vec<_>>(),
    );
    assert!(code == 0 && status == "200" && said.contains("\"ann\""), "{code} {status} {said}");
    let plain = raw(&registry.address, b"GET /services HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(
        plain.starts_with("HTTP/1.1 400 ") && plain.contains("this port speaks TLS"),
        "{plain}"
    );
    let (status, _, stderr) = output(&orchestrate);
    assert!(!status.success() && stderr.contains("TLS"), "{stderr}");
    // With TLS, but without a certificate.
    let ca = folder.text("ca.pem");
    let (status, _, stderr) = output(&[&orchestrate[..], &["--tls-ca", &ca]].concat());
    assert!(!status.success() && stderr.contains("asks for a certificate"), "{stderr}");
}

#[test]
fn agents_register_under_the_names_of_their_certificates() {
    let folder = CertFolder::new(&["registry", "ann", "bob"]);
    let registry = folder.registry(&[]);
    let impostor = folder.agent("bob", "ann", &registry.address, &[]);
    impostor.process.line("is not for that name");
    let bob = folder.agent("bob", "bob", &registry.address, &[]);
    bob.process.line("registered");
}

/// A client that lists an agent at the address of another one: what happens if a registry is wrong,
/// or somebody takes over a port.
#[test]
fn a_delegator_trusts_the_agent_and_not_the_host() {
    let folder = CertFolder::new(&["registry", "ann", "bob", "eve"]);
    let registry = folder.registry(&[]);
    let ann = folder.agent("ann", "ann", &registry.address, &[]);
    ann.process.line("registered");
    // Eve has a good certificate of the mesh, and serves where bob is listed.
    let bob = folder.agent("bob", "bob", &registry.address, &[]);
    bob.process.line("registered");
    let shown = shows(&folder, "ann");
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let page = format!("https://{}/metrics", ann.address);
    until("ann knows bob", || {
        curl(&folder, &[&shown[..], &[&page]].concat()).2.contains("mesh_peers 1\n")
    });
    let mut bob = bob;
    let address = bob.address.clone();
    bob.process.signal("KILL");
    bob.process.end();
    let options = folder.options("eve");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let args = ["agent", "--name", "eve", "--registry", "127.0.0.1:1", "--listen", &address];
    let _eve = Service::from(Process::start(mesh(&[&args[..], &options].concat())));
    let job = json!({ "jsonrpc": "2.0", "id": 1, "method": "delegate", "params": { "text": "x", "timeout_ms": 3000 } });
    let url = format!("https://{}/rpc", ann.address);
    let mut args = shown;
    let (job, json_type) = (job.to_string(), "content-type: application/json");
    args.extend(["-H", json_type, "-d", &job, &url]);
    let (_, _, said) = curl(&folder, &args);
    assert!(said.contains("error") && !said.contains("Processed"), "{said}");
    ann.process.line("its certificate is not one of the agent bob");
}

#[test]
fn certificates_that_cant_be_used_are_named_at_the_start() {
    let folder = CertFolder::new(&["registry", "other"]);
    folder.certs(&["new", "brief", "--expires", "1s"]);
    let (cert, key, ca) =
        (folder.text("registry.pem"), folder.text("registry.key"), folder.text("ca.pem"));
    let (brief, brief_key) = (folder.text("brief.pem"), folder.text("brief.key"));
    let (other, missing) = (folder.text("other.key"), folder.text("missing"));
    fs::write(folder.path("junk"), "junk").expect("written");
    let junk = folder.text("junk");
    let registry =
        |args: &[&str]| output(&[&["registry", "--listen", "127.0.0.1:0"], args].concat());
    let expired = ["--tls-cert", &brief, "--tls-key", &brief_key, "--tls-ca", &ca];
    let good = ["call", "127.0.0.1:1", "info"];
    until("the brief one expires", || {
        output(&[&good[..], &expired].concat()).2.contains("has expired")
    });
    for (args, code, part) in [
        (&expired[..], 1, "the certificate has expired"),
        (&["--tls-cert", &cert, "--tls-key", &other], 1, "is not that of the certificate"),
        (&["--tls-cert", &missing, "--tls-key", &key], 1, "missing: No such file"),
        (&["--tls-cert", &cert, "--tls-key", &missing], 1, "missing: No such file"),
        (&["--tls-cert", &junk, "--tls-key", &key], 1, "no certificate in PEM"),
        (&["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &junk], 1, "no certificate in PEM"),
        (
            &["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &ca, "--tls-crl", &junk],
            1,
            "revoked",
        ),
        (&["--tls-cert", &cert], 2, "--tls-key"),
        (&["--tls-ca", &ca], 2, "--tls-cert and --tls-key"),
    ] {
        let (status, _, stderr) = registry(args);
        assert_eq!(status.code(), Some(code), "{args:?}: {stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains(part), "{args:?}: {stderr}");
    }
    let (status, _, stderr) = registry(&["--tls-cert", &cert, "--tls-key", &cert]);
    assert!(!status.success() && stderr.contains("chmod 600"), "a key for all: {stderr}");
}

#[test]
fn wrong_certificates_are_refused_each_in_its_way() {
    let folder = CertFolder::new(&["registry", "me", "gone"]);
    folder.certs(&["new", "brief", "--expires", "1s"]);
    let foreign = CertFolder::new(&["me"]);
    folder.certs(&["revoke", "gone"]);
    let crl = folder.text("crl.pem");
    let registry = folder.registry(&["--tls-crl", &crl]);
    let url = format!("https://{}/services", registry.address);
    let with = |folder_of: &CertFolder, name: &str| {
        let shown = shows(folder_of, name);
        let args: Vec<&str> = shown.iter().map(String::as_str).chain([&*url]).collect();
        curl(&folder, &args)
    };
    assert_eq!(with(&folder, "me").1, "200");
    until("the brief one expires", || with(&folder, "brief").1 != "200");
    for (of, name, log) in [
        (&folder, "gone", "Revoked"),
        (&folder, "brief", "Expired"),
        (&foreign, "me", "UnknownIssuer"),
    ] {
        let (code, status, said) = with(of, name);
        assert!(code != 0 && status == "000", "{name}: {code} {status} {said}");
        let line = registry.process.line("failed at the TLS handshake");
        assert!(line.contains(log) || line.contains("certificate"), "{name}: {line}");
    }
    // openssl, which shows what it is told.
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &registry.address, "-CAfile", &folder.text("ca.pem")]);
    openssl.args(["-verify_return_error", "-tls1_3"]).stdin(Stdio::null());
    let said = openssl.output().expect("openssl runs");
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let mut old = Command::new("openssl");
    old.args(["s_client", "-connect", &registry.address, "-tls1_1"]).stdin(Stdio::null());
    assert!(!old.output().expect("openssl runs").status.success(), "TLS 1.1 is not spoken");
}

#[test]
fn changed_certificates_are_taken_without_a_restart() {
    let folder = CertFolder::new(&["registry", "me"]);
    folder.certs(&["revoke", "registry"]);
    let crl = folder.text("crl.pem");
    folder.certs(&["new", "registry"]);
    let registry = folder.registry(&["--tls-crl", &crl]);
    let url = format!("https://{}/services", registry.address);
    let shown = shows(&folder, "me");
    let args: Vec<&str> = shown.iter().map(String::as_str).chain([&*url]).collect();
    let status = || curl(&folder, &args).1;
    assert_eq!(status(), "200");
    // A connection that is kept open ends with the certificates that it was opened with.
    let mut kept = Command::new("openssl");
    kept.args(["s_client", "-quiet", "-connect", &registry.address]);
    kept.args(["-cert", &folder.text("me.pem"), "-key", &folder.text("me.key")]);
    let kept = kept.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut kept = kept.spawn().expect("openssl runs");
    fs::write(folder.path("registry.pem"), "half a certif").expect("written");
    registry.process.line("the certificates stay as they were");
    assert_eq!(status(), "200");
    folder.certs(&["new", "registry"]);
    registry.process.line("certificates read again");
    assert_eq!(status(), "200");
    until("the kept connection ends", || kept.try_wait().expect("a state").is_some());
    folder.certs(&["revoke", "me"]);
    registry.process.line("certificates read again");
    until("it is revoked", || status() == "000");
}

#[test]
fn keys_and_certificates_together_are_both_needed() {
    let folder = CertFolder::new(&["registry", "ann", "me"]);
    let keys = crate::keys::KeyFolder::new();
    let file = keys.agent("ann");
    let observe = keys.key(&["--role", "observe"]);
    let ring = keys.text("keys.toml");
    let registry = folder.registry(&["--keys", &ring]);
    let agent =
        folder.agent("ann", "ann", &registry.address, &["--keys", &ring, "--key-file", &file]);
    agent.process.line("registered");
    let shown = shows(&folder, "me");
    let url = format!("https://{}/metrics", registry.address);
    let mut args: Vec<&str> = shown.iter().map(String::as_str).chain([&*url]).collect();
    let (_, status, said) = curl(&folder, &args);
    assert_eq!(status, "401", "{said}");
    let header = format!("authorization: Bearer {observe}");
    args.extend(["-H", &header]);
    let (_, status, page) = curl(&folder, &args);
    assert_eq!(status, "200", "{page}");
    for name in
        ["identity_cert_expiration_timestamp_seconds ", "mesh_tls_handshakes_total{result=\"ok\"}"]
    {
        assert!(page.contains(name), "{page}");
    }
    // A server with keys and TLS, and clients without certificates.
    let open = folder.registry(&["--keys", &ring, "--tls-no-client-certs"]);
    let url = format!("https://{}/metrics", open.address);
    assert_eq!(curl(&folder, &["-H", &header, &url]).1, "200");
    assert_eq!(curl(&folder, &[&url]).1, "401");
}

#[test]
fn one_command_starts_a_whole_mesh_that_lets_nobody_else_in() {
    let mut up = Process::start(mesh(&[
        "up",
        "--secure",
        "--agents",
        "2",
        "--listen",
        "127.0.0.1:0",
        "--demand",
        "1ms",
    ]));
    let line = up.line("registry");
    let url = line.split_whitespace().nth(1).expect("a url").to_owned();
    assert!(url.starts_with("https://"), "{line}");
    up.line("result        \"Processed: parallel workload\"");
    let exports = up.line("export ");
    let curl_line = up.line("curl -s https://");
    let address = url.trim_start_matches("https://").trim_end_matches("/services").to_owned();
    let mut command = mesh(&["orchestrate", "--registry", &address, "--json"]);
    for (name, value) in exports.split_whitespace().filter_map(|word| word.split_once('=')) {
        command.env(name, value);
    }
    let output = command.output().expect("it runs");
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(answer["result"]["peer_result"]["result"], "Processed: parallel workload");
    let shell = Command::new("sh").args(["-c", curl_line.trim()]).output().expect("a shell");
    let said = String::from_utf8_lossy(&shell.stdout).into_owned();
    assert!(said.contains("Processed: hello"), "{said}");
    let (status, _, _) = crate::process::output(&["orchestrate", "--registry", &address]);
    assert!(!status.success());
    let folder = exports.split("MESH_TLS_CA=").nth(1).and_then(|rest| rest.split("/ca.pem").next());
    let folder = PathBuf::from(folder.expect("a folder"));
    assert!(folder.exists());
    up.signal("TERM");
    assert!(up.end().success());
    assert!(!folder.exists(), "nothing is left");
}

#[test]
fn a_known_certificate_signs_in_on_the_dashboard() {
    let folder = CertFolder::new(&["registry", "ann", "me", "other"]);
    let (file, agent_key) = (folder.text("keys.toml"), folder.text("ann.keys"));
    let key = |args: &[&str]| {
        let (status, stdout, stderr) =
            output(&[&["keys", args[0], "--keys", &file], &args[1..]].concat());
        assert!(status.success(), "{args:?}: {stderr}");
        stdout.trim().to_owned()
    };
    key(&["new", "--role", "register", "--names", "ann", "--to", &agent_key]);
    let observe = key(&["new", "--role", "observe", "--owner", "me"]);
    key(&["new", "--role", "call", "--owner", "me"]);
    let registry = folder.registry(&["--keys", &file]);
    let more = ["--key-file", &*agent_key];
    let agent = folder.agent("ann", "ann", &registry.address, &more);
    agent.process.line("registered");
    let ask = |cert: &str, path: &str, more: &[&str]| {
        let url = format!("https://{}/dashboard/{path}", registry.address);
        let shown = shows(&folder, cert);
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let json = ["-H", "content-type: application/json"];
        let (_, status, said) = curl(&folder, &[&shown[..], &json, more, &[&url]].concat());
        (status, said)
    };
    let sign_in = ["-i", "-d", r#"{"certificate": true}"#];
    let (status, said) = ask("other", "sign-in", &sign_in);
    assert!(status == "403" && !said.contains("mesh_pass"), "{said}");
    assert!(ask("me", "rights", &[]).1.contains(r#""by_certificate":true"#));
    assert!(ask("other", "rights", &[]).1.contains(r#""by_certificate":false"#));
    assert_eq!(ask("me", "state", &[]).0, "401", "a certificate alone is no pass");
    let (status, said) = ask("me", "sign-in", &sign_in);
    assert_eq!(status, "204", "{said}");
    let cookie = said.lines().find_map(|line| line.split_once("ookie: ")).expect("a cookie").1;
    for part in ["; HttpOnly", "; SameSite=Strict", "; Secure", "; Path=/dashboard"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pass = ["-H", &format!("cookie: {}", cookie.split(';').next().expect("a pair"))];
    until("the agent is on the board", || {
        let (status, said) = ask("me", "state", &pass);
        assert_eq!(status, "200", "{said}");
        said.contains("\"ann\"")
    });
    assert_eq!(
        ask("other", "state", &pass).0,
        "401",
        "the pass is good with its certificate alone"
    );
    let job = r#"{"agent": "ann", "method": "work", "text": "hello"}"#;
    let send = [&pass[..], &["-d", job]].concat();
    let (status, said) = ask("me", "send", &send);
    assert!(status == "200" && said.contains("Processed: hello"), "{status} {said}");
    assert_eq!(ask("me", "send", &["-d", job]).0, "401");
    // What the keys of its owner may not do any more, the pass may not.
    key(&["revoke", observe.split('_').nth(2).expect("an id")]);
    until("it sees nothing any more", || ask("me", "state", &pass).0 == "401");
    assert!(ask("me", "rights", &pass).1.contains(r#""call":true"#));
}
