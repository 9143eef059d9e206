//! `mesh-bench security`.

use std::path::PathBuf;

use serde::Serialize;

use super::args::SecurityBenchArgs;
use super::throughput::{SCHEMA_VERSION, write};
use super::{ExitReason, binary, print, until_signal};
use crate::live::HostFacts;
use crate::security::{ConnectionFigures, ConnectionOptions, connections, render};
use crate::throughput::{
    ContenderFigures, Programs, SECURED_GROUPS, ThroughputOptions, measure, table,
};

/// The file that `--out` writes.
#[derive(Serialize)]
struct SecurityFile<'a> {
    schema_version: u32,
    host: HostFacts,
    options: &'a ThroughputOptions,
    systems: &'a [ContenderFigures],
    left_out: &'a [String],
    connection_options: ConnectionOptions,
    connections: &'a [ConnectionFigures],
}

pub(super) fn security(args: &SecurityBenchArgs) -> anyhow::Result<ExitReason> {
    // None of these systems is in Python.
    let programs = Programs { mesh: binary(args.mesh.as_deref())?, python: PathBuf::new() };
    let options = ThroughputOptions {
        seconds: args.seconds,
        rounds: args.rounds.into(),
        connections: args.connections.into(),
        rate: None,
        only: Vec::new(),
    };
    let connection_options = ConnectionOptions { seconds: args.seconds, held: args.held.into() };
    let measured = async {
        let (rows, left_out) = measure(&programs, &SECURED_GROUPS, &options).await?;
        anyhow::Ok((rows, left_out, connections(&programs, connection_options).await?))
    };
    let Some((rows, left_out, connections)) = until_signal(measured)? else {
        return Ok(ExitReason::Interrupted);
    };
    if let Some(path) = &args.out {
        let file = SecurityFile {
            schema_version: SCHEMA_VERSION,
            host: HostFacts::collect(),
            options: &options,
            systems: &rows,
            left_out: &left_out,
            connection_options,
            connections: &connections,
        };
        write(path, &file)?;
    }
    print(&table::render(&rows, &left_out));
    print(&format!("\n{}", render(&connections)));
    let failed: u64 = rows.iter().map(|row| row.median.failed).sum();
    let failed = failed + connections.iter().map(|row| row.failed).sum::<u64>();
    Ok(if failed == 0 { ExitReason::Done } else { ExitReason::Failed })
}
