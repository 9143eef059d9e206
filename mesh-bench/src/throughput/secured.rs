//! The certificates and keys of contenders with doors, made by `mesh` itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use mesh_node::net::{TlsFiles, TlsIdentity};
use tempfile::TempDir;
use tokio::process::Command;

use super::contenders::DoorKind;

/// A folder with an authority, the certificates "server" and "client", and a key for callers.
#[derive(Debug)]
pub(super) struct SecuredFolder {
    dir: TempDir,
    /// The key of callers.
    pub(super) key: String,
}

impl SecuredFolder {
    /// Makes everything.
    pub(super) async fn make(mesh: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let folder = dir.path().display().to_string();
        run(mesh, &["certs", "new", "--dir", &folder, "server", "client"]).await?;
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (keys, own) = (file("keys.toml"), file("call.key"));
        run(mesh, &["keys", "new", "--keys", &keys, "--role", "call", "--to", &own]).await?;
        let key = std::fs::read_to_string(&own).with_context(|| own.clone())?;
        Ok(Self { dir, key: key.trim().to_owned() })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The options of an agent behind a door.
    pub(super) fn options(&self, door: DoorKind) -> Vec<String> {
        let file = |name: &str| self.file(name).display().to_string();
        let tls = ["--tls-cert", &file("server.pem"), "--tls-key", &file("server.key")]
            .map(str::to_owned);
        let ca = ["--tls-ca".to_owned(), file("ca.pem")];
        match door {
            DoorKind::Keys => vec!["--keys".to_owned(), file("keys.toml")],
            DoorKind::Tls => {
                tls.into_iter().chain(ca).chain(["--tls-no-client-certs".to_owned()]).collect()
            }
            DoorKind::MutualTls => tls.into_iter().chain(ca).collect(),
        }
    }

    /// How a client calls a server with TLS.
    pub(super) fn client(&self, shows_certificate: bool) -> anyhow::Result<Arc<TlsIdentity>> {
        let own = |name: &str| shows_certificate.then(|| self.file(name));
        let files = TlsFiles {
            cert: own("client.pem"),
            key: own("client.key"),
            ca: Some(self.file("ca.pem")),
            ..TlsFiles::default()
        };
        Ok(Arc::new(TlsIdentity::load(files)?))
    }

    /// What makes an nginx speak TLS as agents do, without sessions that are resumed: a word behind
    /// its address, and lines after it.
    pub(super) fn nginx_lines(&self) -> (&'static str, String) {
        let (cert, key) = (self.file("server.pem"), self.file("server.key"));
        let (cert, key) = (cert.display(), key.display());
        let lines = format!(
            "    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;
"
        );
        (" ssl", lines)
    }
}

/// Whether a variable of this program's environment would be a setting of `mesh`.
fn is_setting(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("MESH_")
}

/// Runs `mesh` to its end.
async fn run(mesh: &Path, args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(mesh);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    let ended = command.args(args).output().await;
    let ended = ended.with_context(|| format!("failed to run {}", mesh.display()))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "`mesh {}` failed: {said}", args[0]);
    Ok(())
}
