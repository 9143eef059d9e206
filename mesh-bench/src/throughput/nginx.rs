//! nginx as a load balancer, with a directory, a port and a configuration of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;

use super::processes::free_address;
use super::secured::SecuredFolder;
use crate::live::Process;

/// The names of the program. Distributions install it in a directory that is on the `PATH` of root
/// only.
const BINARIES: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A running nginx. It ends with its workers when this is dropped.
#[derive(Debug)]
pub(super) struct Nginx {
    pub(super) process: Process,
    _dir: TempDir,
}

impl Nginx {
    /// What this machine lacks to start nginx.
    pub(super) async fn lacks() -> Option<String> {
        binary().await.is_none().then(|| "nginx".to_owned())
    }

    /// Starts an nginx that spreads requests over these servers by `least_conn`.
    pub(super) async fn start(servers: &[&str]) -> anyhow::Result<Self> {
        Self::start_with(servers, None).await
    }

    /// As [`Self::start`], with TLS if there is a folder that has the certificate "server".
    pub(super) async fn start_with(
        servers: &[&str],
        secured: Option<&SecuredFolder>,
    ) -> anyhow::Result<Self> {
        let (dir, address) = (tempfile::tempdir()?, free_address()?);
        let config = dir.path().join("nginx.conf");
        let tls = secured.map(|folder| folder.nginx_lines()).unwrap_or_default();
        fs::write(&config, configuration(dir.path(), (&address, &tls), servers))?;
        let mut command = Command::new(binary().await.unwrap_or(BINARIES[0]));
        command.arg("-p").arg(dir.path()).arg("-c").arg(&config).args(["-e", "stderr"]);
        let process = Process::start_at(command, "nginx", &address).await?;
        Ok(Self { process, _dir: dir })
    }
}

/// The first of the names under which nginx can be started.
async fn binary() -> Option<&'static str> {
    for binary in BINARIES {
        if Command::new(binary).arg("-v").output().await.is_ok_and(|output| output.status.success())
        {
            return Some(binary);
        }
    }
    None
}

/// A configuration that makes nginx as fast as possible: a worker per core, kept-alive connections
/// on both sides, and no log. `tls` is what stands behind the address, and in lines after it.
fn configuration(dir: &Path, (address, tls): (&str, &(&str, String)), servers: &[&str]) -> String {
    let (flag, lines) = tls;
    let dir = dir.display();
    let mut paths = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        // Writing to a String can't fail.
        let _ = writeln!(paths, "  {kind}_temp_path {dir}/{kind};");
    }
    let servers: String = servers.iter().map(|server| format!("    server {server};\n")).collect();
    format!(
        "daemon off;
pid {dir}/nginx.pid;
worker_processes auto;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{paths}  keepalive_requests 1000000000;
  upstream servers {{
    least_conn;
{servers}    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {address}{flag};
{lines}    location / {{
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}
