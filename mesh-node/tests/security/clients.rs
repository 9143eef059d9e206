//! Clients in Python and Node with keys and certificates, and with wrong ones.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::keys::KeyFolder;
use crate::tls::CertFolder;

/// The program of a runtime, if it is installed.
fn runtime(program: &'static str) -> Option<&'static str> {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(program);
    }
    assert!(std::env::var_os("MESH_REQUIRE_INTEROP").is_none(), "there is no {program}");
    // Written directly, because the test harness hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED a test of clients: there is no {program}\n");
    None
}

/// What a client prints that shows this certificate and this key.
fn said(program: &str, args: &[&str], key: Option<&str>) -> String {
    let mut command = Command::new(program);
    command.args(args).env_remove("KEY");
    if let Some(key) = key {
        command.env("KEY", key);
    }
    let output = command.output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn a_client_gets_in_with_all_it_needs(program: &str, script: &str) {
    let script = format!("{}/tests/security/{script}", env!("CARGO_MANIFEST_DIR"));
    let folder = CertFolder::new(&["registry", "ann", "me", "gone"]);
    folder.certs(&["revoke", "gone"]);
    let foreign = CertFolder::new(&["me"]);
    let keys = KeyFolder::new();
    let (call, observe) = (keys.key(&["--role", "call"]), keys.key(&["--role", "observe"]));
    let revoked = keys.key(&["--role", "call"]);
    keys.keys(&["revoke", revoked.split('_').nth(2).expect("an id")]);
    let crl = folder.text("crl.pem");
    let more = ["--keys", &keys.text("keys.toml"), "--tls-crl", &crl];
    let agent = folder.agent("ann", "ann", "127.0.0.1:1", &more);
    let url = format!("https://{}/rpc", agent.address);
    let ca = folder.text("ca.pem");
    let with = |of: &CertFolder, name: &str, key: Option<&str>| {
        let (cert, own) = (of.text(&format!("{name}.pem")), of.text(&format!("{name}.key")));
        said(program, &[&script, &url, &ca, &cert, &own], key)
    };
    assert!(with(&folder, "me", Some(&call)).starts_with("200 Processed: from "));
    let wrong = format!("{}0000", &call[..call.len() - 4]);
    for (key, expected) in [
        (None, "401 Bearer realm=\"mesh\""),
        (Some(&*wrong), "401 Bearer realm=\"mesh\", error=\"invalid_token\""),
        (Some(&*revoked), "401 Bearer realm=\"mesh\", error=\"invalid_token\""),
        (Some(&*observe), "403 Bearer realm=\"mesh\", error=\"insufficient_scope\""),
    ] {
        assert_eq!(with(&folder, "me", key), expected);
    }
    for (of, name) in [(&folder, "gone"), (&foreign, "me")] {
        let said = with(of, name, Some(&call));
        assert!(said.starts_with("failed"), "{name}: {said}");
    }
    let none = said(program, &[&script, &url, &ca], Some(&call));
    assert!(none.starts_with("failed"), "without a certificate: {none}");
    // The client, too, sees whom it talks to.
    let other = said(program, &[&script, &url, &foreign.text("ca.pem")], Some(&call));
    assert!(other.starts_with("failed"), "an authority that it does not know: {other}");
}

#[test]
fn python_gets_in_with_all_it_needs() {
    if let Some(python) = runtime("python3") {
        a_client_gets_in_with_all_it_needs(python, "client.py");
    }
}

#[test]
fn node_gets_in_with_all_it_needs() {
    if let Some(node) = runtime("node") {
        a_client_gets_in_with_all_it_needs(node, "client.js");
    }
}
