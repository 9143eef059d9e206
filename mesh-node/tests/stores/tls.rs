//! Stores with TLS: who is believed, and what is said of the others.

use crate::authority::{StoreAuthority, mesh};
use crate::servers::{self, Program, Server};
use crate::service::RunningRegistry;
use crate::subject::LONG;

#[test]
fn a_registry_and_redis_know_each_other_by_certificates() {
    knows(Program::Redis);
}

#[test]
fn a_registry_and_etcd_know_each_other_by_certificates() {
    knows(Program::Etcd);
}

fn knows(program: Program) {
    if !servers::is_there(program) {
        return;
    }
    let authority = StoreAuthority::new("127.0.0.1");
    let server = Server::start_with_tls(program, &authority);
    let (place, files) = (server.place("certified"), authority.files("registry"));
    crate::run(async {
        let open = async || place.open_with(LONG, &files).await.expect("a store");
        let registry = RunningRegistry::over(open().await, LONG).await;
        let other = RunningRegistry::over(open().await, LONG).await;
        assert_eq!(registry.register("a", 7, false).await.status, 200);
        // The news come over TLS, too.
        other.until_listed(&["a"]).await;
        registry.kill().await;
        let registry = RunningRegistry::over(open().await, LONG).await;
        let list = registry.list().await;
        assert_eq!(list["a"]["state"], "recovering", "{list}");
    });
    strangers(&server, &authority);
}

/// Every wrong combination ends the registry with one sentence.
fn strangers(server: &Server, authority: &StoreAuthority) {
    let others = StoreAuthority::new("127.0.0.1");
    let [cert, key, ca] = authority.paths("registry");
    let [other_cert, other_key, other_ca] = others.paths("registry");
    let place = |host: &str| {
        let (scheme, address) = (server.scheme(), server.address());
        format!("{scheme}me:s3cret@{}?mesh=x", address.replace("127.0.0.1", host))
    };
    let (right, other_host) = (place("127.0.0.1"), place("localhost"));
    let plain = right.replace("s://", "://");
    let own: &[&str] = &["--store-cert", &cert, "--store-key", &key];
    let foreign: &[&str] = &["--store-cert", &other_cert, "--store-key", &other_key];
    for (case, store, ca, own) in [
        ("another authority", &right, Some(&other_ca), own),
        ("another host", &other_host, Some(&ca), own),
        ("a foreign certificate", &right, Some(&ca), foreign),
        ("no certificate", &right, Some(&ca), &[]),
        ("no TLS", &plain, None, &[]),
    ] {
        let ca: Vec<&str> = ca.map(|ca| ["--store-ca", ca]).into_iter().flatten().collect();
        let usual = ["registry", "--listen", "127.0.0.1:0", "--store", store];
        ends_with_a_sentence(case, &[&usual[..], &ca, own].concat());
    }
    // A store without TLS is not taken for one with it.
    let plain = Server::start(server.program());
    let store = format!("{}{}", server.scheme(), plain.address());
    let args = ["registry", "--listen", "127.0.0.1:0", "--store", &store, "--store-ca", &ca];
    ends_with_a_sentence("a store without TLS", &args);
}

fn ends_with_a_sentence(case: &str, args: &[&str]) {
    let ended = mesh(args);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{case}: {said}");
    let error = said.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: the store ") && error.contains("can't be used"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{case}: {said}");
    assert!(!said.contains("s3cret"), "{case}: {said}");
}

#[test]
fn options_of_tls_that_do_not_fit_are_refused_before_anything_is_called() {
    for (args, code, expected) in [
        (&["--store", "rediss://127.0.0.1:1"][..], 2, "needs --store-ca FILE"),
        (&["--store", "etcds://127.0.0.1:1"], 2, "needs --store-ca FILE"),
        (&["--store", "redis://127.0.0.1:1", "--store-ca", "ca.pem"], 2, "have no effect"),
        (&["--store-ca", "ca.pem"], 2, "have no effect"),
        (&["--store", "etcds://127.0.0.1:1", "--store-cert", "a.pem"], 2, "--store-key"),
        (
            &["--store", "rediss://127.0.0.1:1", "--store-ca", "/nowhere/ca.pem"],
            1,
            "the store rediss://127.0.0.1:1 can't be used: /nowhere/ca.pem: ",
        ),
    ] {
        let ended = mesh(&[&["registry", "--listen", "127.0.0.1:0"], args].concat());
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}
