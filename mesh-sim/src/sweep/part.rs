//! `shard-K-of-N.json`: everything that one part of a sweep knows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RunPosition, Shard, Sweep, SweepSpec, SweepTally};
use crate::judge::RunFigures;
use crate::publish::{OutputFile, publish};
use crate::record::LatencyHistogram;

/// Version of the format of parts: one more with every change.
const SCHEMA_VERSION: u32 = 2;
/// Equal bytes are promised of one version of the program only.
const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The content of a part's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepPart {
    schema_version: u32,
    program_version: String,
    /// Which part, from 1.
    part: usize,
    /// Of how many.
    of: usize,
    pub(super) spec: SweepSpec,
    /// In the order of their numbers.
    runs: Vec<RunFigures>,
    /// Cell by cell, policy by policy.
    latencies: Vec<HistogramEntry>,
}

/// A [`LatencyHistogram`], without loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistogramEntry {
    /// Decimal digits: readers of JSON seldom keep 128 bits.
    sum_ns: String,
    min_ns: u64,
    max_ns: u64,
    /// A latency in the bucket, and the number of requests.
    buckets: Vec<(u64, u64)>,
}

/// What makes a file no part of this sweep, or no part at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartError {
    /// Written by another version: that of the program.
    Version(String),
    /// What it says does not fit together.
    Content(&'static str),
}

impl HistogramEntry {
    fn of(latency: &LatencyHistogram) -> Self {
        Self {
            sum_ns: latency.sum_ns().to_string(),
            min_ns: latency.min_ns(),
            max_ns: latency.max_ns(),
            buckets: latency.buckets().collect(),
        }
    }

    fn latency(&self) -> Option<LatencyHistogram> {
        let ends = (self.min_ns, self.max_ns);
        LatencyHistogram::from_buckets(&self.buckets, self.sum_ns.parse().ok()?, ends)
    }
}

impl SweepPart {
    /// What `tally` holds of one part.
    pub fn of(sweep: &Sweep, shard: Shard, tally: &SweepTally) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            program_version: PROGRAM_VERSION.to_owned(),
            part: shard.number(),
            of: shard.of(),
            spec: sweep.spec.clone(),
            runs: tally.runs.values().cloned().collect(),
            latencies: tally.latencies.iter().map(HistogramEntry::of).collect(),
        }
    }

    /// Which part it is; `None` if it says nonsense.
    pub(super) fn shard(&self) -> Option<Shard> {
        Shard::new(self.part, self.of)
    }

    /// Reads the text of a part's file.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// As the one line that its file holds.
    pub(super) fn render(&self) -> String {
        serde_json::to_string(self).expect("string keys and whole numbers") + "\n"
    }

    /// Whether this program wrote it.
    pub(super) fn check_version(&self) -> Result<(), PartError> {
        if self.schema_version == SCHEMA_VERSION && self.program_version == PROGRAM_VERSION {
            return Ok(());
        }
        Err(PartError::Version(self.program_version.clone()))
    }

    /// Adds its runs to those of other parts.
    pub(super) fn add_to(&self, sweep: &Sweep, tally: &mut SweepTally) -> Result<(), PartError> {
        let shard = self.shard().ok_or(PartError::Content("there is no such part"))?;
        let numbers = shard.runs(sweep.run_count());
        if numbers.len() != self.runs.len() || self.latencies.len() != tally.latencies.len() {
            return Err(PartError::Content("it does not hold the runs of its part"));
        }
        let mut sent = vec![0; tally.latencies.len()];
        for (number, figures) in numbers.zip(&self.runs) {
            let RunPosition { cell, policy, .. } = sweep.position(number);
            sent[cell * sweep.policies.len() + policy] += figures.requests.sent;
            tally.runs.insert(number, figures.clone());
        }
        for ((sum, part), sent) in tally.latencies.iter_mut().zip(&self.latencies).zip(sent) {
            let latency = part.latency().filter(|latency| latency.count() == sent);
            sum.merge(&latency.ok_or(PartError::Content("its latencies and counts disagree"))?);
        }
        Ok(())
    }
}

/// Writes one part's file into `dir`, and beside it the scenarios of those cells in which an oracle
/// was violated, so that it can be replayed where the part was run. They appear whole or not at all,
/// in place of what an earlier run of this part has left. Says where the part is.
///
/// # Errors
/// If a file can't be written.
pub fn write_part(
    dir: &Path,
    sweep: &Sweep,
    shard: Shard,
    tally: &SweepTally,
) -> io::Result<PathBuf> {
    let mut files = Vec::new();
    for (index, cell) in sweep.cells.iter().enumerate() {
        if tally.violates_oracles_in(sweep, index) {
            files.push((shard.cell_name(cell), cell.text.clone().into_bytes()));
        }
    }
    let text = SweepPart::of(sweep, shard, tally).render();
    files.push((shard.file_name(), text.into_bytes()));
    publish(dir, &files, |dir| stale_files(dir, shard, &files))?;
    Ok(dir.join(shard.file_name()))
}

/// Scenarios of cells that are beside this part in `dir` and are not among `files`.
fn stale_files(dir: &Path, shard: Shard, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    if !dir.join(shard.file_name()).exists() {
        return Ok(stale);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if shard.is_cell_name(&name) && !files.iter().any(|(new, _)| *new == name) {
            stale.push(entry.path());
        }
    }
    Ok(stale)
}
