//! The stores that are measured, with servers of their own.

use tempfile::TempDir;
use tokio::process::Command;

use crate::live::Process;
use crate::throughput::free_address;

/// The kinds of stores, the one without first.
pub(super) const KINDS: [&str; 4] = ["memory", "file", "redis", "etcd"];

/// An empty store, and its server if it has one.
pub(super) struct StartedStore {
    kind: &'static str,
    server: Option<Process>,
    pub(super) directory: TempDir,
}

impl StartedStore {
    /// `None` if its server is not installed.
    pub(super) async fn start(kind: &'static str) -> anyhow::Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let port = address.rsplit_once(':').map_or("", |(_, port)| port);
        let command = match kind {
            "redis" => {
                let mut command = Command::new("redis-server");
                command.args(["--port", port, "--bind", "127.0.0.1", "--save", ""]);
                command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
                command.arg(directory.path());
                command
            }
            "etcd" => {
                let (client, peer) =
                    (format!("http://{address}"), format!("http://{}", free_address()?));
                let mut command = Command::new("etcd");
                command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
                command.args(["--listen-peer-urls", &peer]);
                command.args(["--initial-advertise-peer-urls", &peer]);
                command.args(["--initial-cluster", &format!("default={peer}"), "--data-dir"]);
                command.arg(directory.path().join("data"));
                command
            }
            _ => return Ok(Some(Self { kind, server: None, directory })),
        };
        let program = command.as_std().get_program().to_owned();
        if Command::new(program).arg("--version").output().await.is_err() {
            return Ok(None);
        }
        let server = Process::start_at(command, kind, &address).await?;
        Ok(Some(Self { kind, server: Some(server), directory }))
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn server(&self) -> Option<&Process> {
        self.server.as_ref()
    }

    /// The options of a registry that uses it.
    pub(super) fn args(&self) -> Vec<String> {
        match (&self.server, self.kind) {
            (Some(server), kind) => {
                vec!["--store".to_owned(), format!("{kind}://{}", server.address)]
            }
            (None, "file") => vec![
                "--data-dir".to_owned(),
                self.directory.path().join("registry").display().to_string(),
            ],
            (None, _) => Vec::new(),
        }
    }
}
