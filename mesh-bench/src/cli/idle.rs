//! `mesh-bench idle`.

use serde::Serialize;

use super::args::IdleArgs;
use super::throughput::{SCHEMA_VERSION, write};
use super::{Exit, binary, print, until_signal};
use crate::idle::{Options, Row, measure, render};
use crate::live::HostFacts;

/// What `--out` writes.
#[derive(Serialize)]
struct File<'a> {
    schema_version: u32,
    host: HostFacts,
    options: Options,
    processes: &'a [Row],
}

pub(super) fn idle(args: &IdleArgs) -> anyhow::Result<Exit> {
    let options = Options {
        seconds: args.seconds,
        leases: args.leases.into(),
        heartbeat_s: args.heartbeat.as_secs_f64(),
        connections: args.connections.into(),
    };
    let mesh = binary(args.mesh.as_deref())?;
    let Some(rows) = until_signal(measure(&mesh, options))? else { return Ok(Exit::Interrupted) };
    if let Some(path) = &args.out {
        let (host, processes) = (HostFacts::collect(), &*rows);
        write(path, &File { schema_version: SCHEMA_VERSION, host, options, processes })?;
    }
    print(&render(&rows));
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
