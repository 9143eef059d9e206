//! Certificates of an authority of the tests' own.

use std::process::{Command, Output, Stdio};

use mesh_node::registry::store::StoreCertificates;
use tempfile::TempDir;

/// The `mesh` binary, without settings from the environment of the tests.
pub(crate) fn mesh(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESH_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).output().expect("the binary")
}

/// An authority, and certificates of it for the store and for its registries.
pub(crate) struct StoreAuthority(TempDir);

impl StoreAuthority {
    /// The store has a certificate of this host alone.
    pub(crate) fn new(host: &str) -> Self {
        let authority = Self(TempDir::new().expect("a directory"));
        for args in [&["store", "--host", host][..], &["registry"]] {
            let folder = authority.0.path().to_str().expect("text");
            let made = mesh(&[&["certs", "new", "--dir", folder], args].concat());
            assert!(made.status.success(), "{made:?}");
        }
        authority
    }

    /// The files of a certificate, its key and the authority.
    pub(crate) fn paths(&self, name: &str) -> [String; 3] {
        [format!("{name}.pem"), format!("{name}.key"), "ca.pem".to_owned()]
            .map(|file| self.0.path().join(file).to_str().expect("text").to_owned())
    }

    /// What somebody with this certificate uses.
    pub(crate) fn files(&self, name: &str) -> StoreCertificates {
        let [cert, key, ca] = self.paths(name);
        StoreCertificates { ca: Some(ca.into()), own: Some((cert.into(), key.into())) }
    }
}
