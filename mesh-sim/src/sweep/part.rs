//! `shard-K-of-N.json`: the results of one part of a sweep; and what there is of a part that has not
//! ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{RunPosition, Shard, Sweep, SweepSpec, SweepTally};
use crate::judge::RunFigures;
use crate::publish::{OutputFile, publish};
use crate::record::LatencyHistogram;

/// The version of the format of parts, which grows by one with every change.
const SCHEMA_VERSION: u32 = 5;
/// The version of the program. Parts of different versions are not joined, because only one version
/// gives the same bytes for the same seed.
const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The content of a part's file: the sweep that it belongs to, and the results of those of its runs
/// that have ended. It has everything that a [`SweepTally`] has of these runs, without loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepPart {
    schema_version: u32,
    program_version: String,
    /// The number of the part, from 1.
    part: usize,
    /// How many parts the sweep has.
    of: usize,
    pub(super) spec: SweepSpec,
    /// The numbers of the runs that have ended, in ascending order.
    numbers: Vec<usize>,
    /// The figures of these runs, in the same order.
    runs: Vec<RunFigures>,
    /// The latencies of the runs, cell by cell and policy by policy.
    latencies: Vec<HistogramEntry>,
}

/// A [`LatencyHistogram`] in a file, without loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistogramEntry {
    /// In decimal digits, because few readers of JSON keep numbers of 128 bits.
    sum_ns: String,
    min_ns: u64,
    max_ns: u64,
    /// For each bucket that is not empty, a latency in it and the number of requests.
    buckets: Vec<(u64, u64)>,
}

/// Why a file is no part of a sweep.
#[derive(Debug, Error)]
pub(super) enum PartError {
    /// It is malformed.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// Another version of the program wrote it: this one.
    #[error("version {0} of the program wrote it, and this is version {PROGRAM_VERSION}")]
    Version(String),
    /// Its content contradicts itself; in words.
    #[error("{0}")]
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
    /// The results in `tally` as one part of a sweep.
    pub fn of(sweep: &Sweep, shard: Shard, tally: &SweepTally) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            program_version: PROGRAM_VERSION.to_owned(),
            part: shard.number(),
            of: shard.of(),
            spec: sweep.spec.clone(),
            numbers: tally.runs.keys().copied().collect(),
            runs: tally.runs.values().cloned().collect(),
            latencies: tally.latencies.iter().map(HistogramEntry::of).collect(),
        }
    }

    /// Which part it is; `None` if its numbers make no sense.
    pub(super) fn shard(&self) -> Option<Shard> {
        Shard::new(self.part, self.of)
    }

    /// Reads the text of a part's file, which this version of the program must have written.
    pub(super) fn parse(text: &str) -> Result<Self, PartError> {
        // The version is read first, because another version may have other fields.
        #[derive(Deserialize)]
        struct Versions {
            schema_version: u32,
            program_version: String,
        }
        let Versions { schema_version, program_version } = serde_json::from_str(text)?;
        if (schema_version, &*program_version) != (SCHEMA_VERSION, PROGRAM_VERSION) {
            return Err(PartError::Version(program_version));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The text of the part's file, which is one line.
    pub(super) fn render(&self) -> String {
        serde_json::to_string(self).expect("string keys and whole numbers") + "\n"
    }

    /// Checks that every run of the part has ended.
    pub(super) fn check_whole(&self, sweep: &Sweep) -> Result<(), PartError> {
        let runs = self.shard().map(|shard| shard.runs(sweep.run_count()).len());
        if runs == Some(self.numbers.len()) {
            return Ok(());
        }
        Err(PartError::Content("it does not hold the runs of its part"))
    }

    /// Adds the runs of this part to those of other parts in `tally`.
    pub(super) fn add_to(&self, sweep: &Sweep, tally: &mut SweepTally) -> Result<(), PartError> {
        let shard = self.shard().ok_or(PartError::Content("there is no such part"))?;
        let is_run = |number: &usize| *number < sweep.run_count() && shard.has(*number);
        let are_runs = self.numbers.is_sorted_by(|a, b| a < b) && self.numbers.iter().all(is_run);
        let (runs, groups) = (self.numbers.len(), tally.latencies.len());
        if !are_runs || self.runs.len() != runs || self.latencies.len() != groups {
            return Err(PartError::Content("it does not hold the runs of its part"));
        }
        let mut sent = vec![0; tally.latencies.len()];
        for (&number, figures) in self.numbers.iter().zip(&self.runs) {
            let RunPosition { cell, policy, .. } = sweep.position(number);
            sent[cell * sweep.policies.len() + policy] += figures.requests.sent;
            tally.runs.insert(number, figures.clone());
        }
        // Somebody may have changed the file: its counts and histograms must agree.
        for ((sum, part), sent) in tally.latencies.iter_mut().zip(&self.latencies).zip(sent) {
            let latency = part.latency().filter(|latency| latency.count() == sent);
            sum.merge(&latency.ok_or(PartError::Content("its latencies and counts disagree"))?);
        }
        Ok(())
    }
}

/// Writes a part's file into `dir`, and beside it the scenario of each cell in which an oracle was
/// violated, so that the violation can be replayed on the machine that ran the part. The files
/// appear whole or not at all, in place of those of an earlier run of this part. Returns the part's
/// path.
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

/// What an interrupted run of this part has left in `dir`, and the scenarios that an earlier one has
/// left and that are not among `files`.
fn stale_files(dir: &Path, shard: Shard, files: &[OutputFile]) -> io::Result<Vec<PathBuf>> {
    let mut stale = vec![dir.join(shard.unfinished_name())];
    // Without the part's file there was no earlier run, so nothing in the directory is ours.
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
