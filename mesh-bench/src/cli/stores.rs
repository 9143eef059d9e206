//! `mesh-bench stores`.

use serde::Serialize;

use super::args::StoresArgs;
use super::throughput::{SCHEMA_VERSION, write};
use super::{ExitReason, binary, print, until_signal};
use crate::live::HostFacts;
use crate::stores::{StoreFigures, StoreOptions, measure, render};

/// The file that `--out` writes.
#[derive(Serialize)]
struct StoresFile<'a> {
    schema_version: u32,
    host: HostFacts,
    options: StoreOptions,
    stores: &'a [StoreFigures],
}

pub(super) fn stores(args: &StoresArgs) -> anyhow::Result<ExitReason> {
    let options = StoreOptions {
        seconds: args.seconds,
        leases: args.leases.into(),
        connections: args.connections.into(),
    };
    let mesh = binary(args.mesh.as_deref())?;
    let Some(rows) = until_signal(measure(&mesh, options))? else {
        return Ok(ExitReason::Interrupted);
    };
    if let Some(path) = &args.out {
        let (host, stores) = (HostFacts::collect(), &*rows);
        write(path, &StoresFile { schema_version: SCHEMA_VERSION, host, options, stores })?;
    }
    print(&render(&rows, options.leases));
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    Ok(if failed == 0 { ExitReason::Done } else { ExitReason::Failed })
}
