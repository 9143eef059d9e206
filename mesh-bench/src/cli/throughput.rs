//! `mesh-bench throughput`.

use std::path::Path;

use anyhow::Context as _;
use mesh_sim::publish::write_file;
use serde::Serialize;

use super::args::ThroughputArgs;
use super::{ExitReason, binary, print, until_signal};
use crate::live::HostFacts;
use crate::throughput::{ContenderFigures, GROUPS, Programs, ThroughputOptions, measure, table};

/// The version of the files of this command and of `idle`. It rises whenever a field comes, goes or
/// changes its meaning.
pub(super) const SCHEMA_VERSION: u32 = 2;

/// The file that `--out` writes.
#[derive(Serialize)]
struct ThroughputFile<'a> {
    schema_version: u32,
    host: HostFacts,
    options: &'a ThroughputOptions,
    systems: &'a [ContenderFigures],
    left_out: &'a [String],
}

pub(super) fn throughput(args: &ThroughputArgs) -> anyhow::Result<ExitReason> {
    let programs = Programs { mesh: binary(args.mesh.as_deref())?, python: args.python.clone() };
    let options = ThroughputOptions {
        seconds: args.seconds,
        rounds: args.rounds.into(),
        connections: args.connections.into(),
        rate: args.rate,
        only: args.only.clone(),
    };
    let Some((rows, left_out)) = until_signal(measure(&programs, &GROUPS, &options))? else {
        return Ok(ExitReason::Interrupted);
    };
    if let Some(path) = &args.out {
        let (host, systems) = (HostFacts::collect(), &*rows);
        let (schema_version, options, left_out) = (SCHEMA_VERSION, &options, &*left_out);
        write(path, &ThroughputFile { schema_version, host, options, systems, left_out })?;
    }
    print(&table::render(&rows, &left_out));
    let failed: u64 = rows.iter().map(|row| row.median.failed).sum();
    Ok(if failed == 0 { ExitReason::Done } else { ExitReason::Failed })
}

/// Writes a file as pretty-printed JSON.
pub(super) fn write(path: &Path, file: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(file)? + "\n";
    write_file(path, text).with_context(|| format!("failed to write {}", path.display()))
}
