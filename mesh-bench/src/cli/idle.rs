//! `mesh-bench idle`.

use serde::Serialize;

use super::args::IdleArgs;
use super::throughput::{SCHEMA_VERSION, write};
use super::{ExitReason, binary, print, until_signal};
use crate::idle::{IdleOptions, ProcessFigures, measure, render};
use crate::live::HostFacts;

/// The file that `--out` writes.
#[derive(Serialize)]
struct IdleFile<'a> {
    schema_version: u32,
    host: HostFacts,
    options: IdleOptions,
    processes: &'a [ProcessFigures],
}

pub(super) fn idle(args: &IdleArgs) -> anyhow::Result<ExitReason> {
    let options = IdleOptions {
        seconds: args.seconds,
        leases: args.leases.into(),
        heartbeat_s: args.heartbeat.as_secs_f64(),
        connections: args.connections.into(),
    };
    let mesh = binary(args.mesh.as_deref())?;
    let Some(rows) = until_signal(measure(&mesh, options))? else {
        return Ok(ExitReason::Interrupted);
    };
    if let Some(path) = &args.out {
        let (host, processes) = (HostFacts::collect(), &*rows);
        write(path, &IdleFile { schema_version: SCHEMA_VERSION, host, options, processes })?;
    }
    print(&render(&rows));
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    Ok(if failed == 0 { ExitReason::Done } else { ExitReason::Failed })
}
