//! What a store can do without a registry: writes of a record that are on the disk.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mesh_node::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::started::StartedStore;
use super::{StoreOptions, send};
use crate::request_generator::post;

/// As large as a record of a lease.
const RECORD: &str = "{\"format\":1,\"name\":\"agent-1234\",\"url\":\"127.0.1.1:1234\",\"incarnation\":1,\"greatest\":1,\
     \"skills\":[],\"weight\":1.0,\"site\":null,\"draining\":false,\"ended\":false,\"version\":1}";

/// Writes per second, over as many connections as the registry gets; `None` for memory.
pub(super) async fn bare_rate(
    store: &StartedStore,
    options: StoreOptions,
) -> anyhow::Result<Option<f64>> {
    match (store.kind(), store.server()) {
        ("file", _) => {
            let path = store.directory.path().join("bare");
            Ok(Some(tokio::task::spawn_blocking(move || synced_writes(&path, options)).await??))
        }
        ("redis", Some(server)) => Ok(Some(redis_writes(&server.address, options).await?)),
        ("etcd", Some(server)) => {
            let put = |number: usize| {
                // Any key will do, as long as it is base64.
                let body =
                    format!("{{\"key\":\"{number:08}\",\"value\":\"{}\"}}", "Zm9v".repeat(64));
                post("/v3/kv/put", &body)
            };
            let puts = (0..10_000).map(put).collect();
            let tally = send(&server.address, puts, None, options).await?;
            Ok(Some(tally.answered as f64 / options.seconds))
        }
        _ => Ok(None),
    }
}

/// Writes to a file, each of which waits for the disk.
fn synced_writes(path: &std::path::Path, options: StoreOptions) -> anyhow::Result<f64> {
    let (mut file, clock) = (File::create(path)?, Clock::start());
    let until = clock.now() + Duration::from_secs_f64(options.seconds);
    let mut writes = 0_u32;
    while clock.now() < until {
        file.write_all(RECORD.as_bytes())?;
        file.sync_data()?;
        writes += 1;
    }
    Ok(f64::from(writes) / options.seconds)
}

async fn redis_writes(address: &str, options: StoreOptions) -> anyhow::Result<f64> {
    let clock = Clock::start();
    let until = clock.now() + Duration::from_secs_f64(options.seconds);
    let mut connections = JoinSet::new();
    for number in 0..options.connections {
        let mut stream = TcpStream::connect(address).await?;
        connections.spawn(async move {
            let mut writes = 0_u32;
            while clock.now() < until {
                let key = format!("bare:{number}:{}", writes % 1_000);
                let (key_length, length) = (key.len(), RECORD.len());
                let set = format!(
                    "*3\r\n$3\r\nSET\r\n${key_length}\r\n{key}\r\n${length}\r\n{RECORD}\r\n"
                );
                stream.write_all(set.as_bytes()).await?;
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).await?;
                ensure!(&answer == b"+OK\r\n", "Redis refuses to write");
                writes += 1;
            }
            anyhow::Ok(writes)
        });
    }
    let mut writes = 0;
    while let Some(ended) = connections.join_next().await {
        writes += ended.context("a connection has died")??;
    }
    Ok(f64::from(writes) / options.seconds)
}
