//! Reads results: of runs (`summary.json`, simulated or live) and of sweeps (`sweep.json`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mesh_node::files::read_text;
use serde::Deserialize;
use thiserror::Error;

use crate::figures::Latencies;
use crate::judge::MeasuredFigures;
use crate::near_paths::did_you_mean_path;
use crate::publish::output_folder::{AmbiguousResults, RUNS, results_in};
use crate::record::OutcomeCounts;
use crate::report;
use crate::report::scenario_copy::read_copy;
use crate::report::summary::{self, ClockKind, EngineName, RequestsEntry, ScenarioId};
use crate::sweep::{self, RESULTS_VERSION as SWEEP_VERSION};

/// The largest file that is read. A summary has some kilobytes per policy and seed.
const MOST_BYTES: u64 = 256 << 20;
/// The files that make results complete: of a sweep, and of runs.
const SWEEP: &str = sweep::RESULTS.last;
const SUMMARY: &str = report::RESULTS.last;
const NANOS_PER_MILLI: f64 = 1e6;

/// Whether there are results in this directory.
fn has_results(dir: &Path) -> bool {
    [SWEEP, SUMMARY].iter().any(|name| dir.join(name).exists())
}

/// Why the results in a directory can't be read.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The directory could stand for two results.
    #[error("failed to {0}")]
    Ambiguous(#[from] AmbiguousResults),
    /// There is neither a summary nor the results of a sweep, or they can't be opened.
    #[error("failed to read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// There is no such directory; the text names similar ones, if there are any.
    #[error("there are no results in {dir}{hint}")]
    Missing {
        /// The directory.
        dir: String,
        /// What may be meant instead; may be empty.
        hint: String,
    },
    /// The summary is malformed, or of another version.
    #[error("failed to read {path}")]
    Summary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: summary::SummaryError,
    },
    /// The results of a sweep are malformed, or of another version; the text says which.
    #[error("failed to read {path}: {reason}")]
    Sweep {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The results of runs or of a sweep, read from a directory.
#[derive(Debug)]
pub struct ResultDirectory {
    /// The directory's path: as it was given, or the numbered one that it stands for.
    pub dir: String,
    /// The scenario.
    pub scenario: ScenarioId,
    /// What ran it.
    pub engine: EngineName,
    /// The clock by which latencies were measured.
    pub clock: ClockKind,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The labels of the policies, in their order.
    pub policies: Vec<String>,
    /// The text of the scenario's file, if there is a copy of it beside the results.
    pub scenario_text: Option<String>,
    /// The cells of a sweep; a single one, without values, of other runs.
    pub cells: Vec<ResultCell>,
}

/// The runs of one combination of varied values.
#[derive(Debug, Default)]
pub struct ResultCell {
    /// The varied fields with their values.
    pub values: BTreeMap<String, String>,
    /// For each policy its runs by seed.
    pub runs: BTreeMap<String, BTreeMap<u64, MeasuredFigures>>,
}

impl ResultDirectory {
    /// Reads the results in a directory, or a file of results. A directory with numbered ones stands
    /// for its `latest`.
    ///
    /// # Errors
    /// If there are no results, or none that this version can read.
    pub fn read(path: &Path) -> Result<Self, ResultsError> {
        let path = &results_in(path, has_results)?;
        let dir = path.display().to_string();
        if !path.exists() {
            let hint = did_you_mean_path(path, &[Path::new(RUNS)], Path::is_dir);
            return Err(ResultsError::Missing { dir, hint });
        }
        let named = |name: &str| if path.is_file() { path.to_owned() } else { path.join(name) };
        let sweep_file = named(SWEEP);
        let is_sweep = sweep_file.file_name().is_some_and(|name| name == SWEEP);
        let path = if is_sweep && sweep_file.exists() { sweep_file } else { named(SUMMARY) };
        let text = read_text(&path, MOST_BYTES)
            .map_err(|source| ResultsError::File { path: path.clone(), source })?;
        let mut found = match path.file_name() {
            Some(name) if name == SWEEP => {
                let file = SweepFile::parse(&text);
                let path = path.clone();
                file.map_err(|reason| ResultsError::Sweep { path, reason })?.results(dir)
            }
            _ => {
                let path = path.clone();
                let summary = summary::parse(&text)
                    .map_err(|source| ResultsError::Summary { path, source })?;
                of_summary(dir, summary)
            }
        };
        found.scenario_text = read_copy(&path, &found.scenario.sha256);
        Ok(found)
    }
}

fn of_summary(dir: String, summary: summary::ExperimentSummary) -> ResultDirectory {
    let mut cell = ResultCell::default();
    let mut policies: Vec<String> = Vec::new();
    for run in summary.runs {
        if !policies.contains(&run.policy) {
            policies.push(run.policy.clone());
        }
        let measured = measured(&run.requests, run.latency_ms);
        cell.runs.entry(run.policy).or_default().insert(run.seed, measured);
    }
    ResultDirectory {
        dir,
        scenario: summary.scenario,
        engine: summary.engine,
        clock: summary.clock,
        seeds: summary.seeds,
        policies,
        scenario_text: None,
        cells: vec![cell],
    }
}

/// The figures of a run as files have them.
fn measured(requests: &RequestsEntry, latency_ms: Option<Latencies<f64>>) -> MeasuredFigures {
    let RequestsEntry { sent, answered, refused, timed_out, lost } = *requests;
    let latency_ns = |figure| {
        let ms = latency_ms.and_then(|latency| latency.get(figure)).unwrap_or_default();
        (ms * NANOS_PER_MILLI).round() as u64
    };
    MeasuredFigures {
        requests: OutcomeCounts { sent, answered, refused, timed_out, lost },
        latency_ns: Latencies::from_fn(latency_ns),
    }
}

/// What a comparison needs of `sweep.json`.
#[derive(Debug, Deserialize)]
struct SweepFile {
    scenario: ScenarioId,
    engine: EngineName,
    clock: ClockKind,
    seeds: Vec<u64>,
    policies: Vec<String>,
    cells: Vec<SweepFileCell>,
}

#[derive(Debug, Deserialize)]
struct SweepFileCell {
    values: BTreeMap<String, String>,
    policies: Vec<SweepFilePolicy>,
}

#[derive(Debug, Deserialize)]
struct SweepFilePolicy {
    policy: String,
    runs: Vec<SweepFileRun>,
}

#[derive(Debug, Deserialize)]
struct SweepFileRun {
    seed: u64,
    requests: RequestsEntry,
    latency_ms: Option<Latencies<f64>>,
}

impl SweepFile {
    fn parse(text: &str) -> Result<Self, String> {
        // The version is read first, because another version may have other fields.
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: u64,
        }
        let not_a_sweep =
            |error: serde_json::Error| format!("it is not a sweep of mesh-sim: {error}");
        let Versioned { schema_version: found } =
            serde_json::from_str(text).map_err(not_a_sweep)?;
        if found != u64::from(SWEEP_VERSION) {
            return Err(format!(
                "it has schema_version {found}, and this program reads {SWEEP_VERSION}"
            ));
        }
        serde_json::from_str(text).map_err(not_a_sweep)
    }

    fn results(self, dir: String) -> ResultDirectory {
        let runs = |policy: SweepFilePolicy| {
            let run = |run: SweepFileRun| (run.seed, measured(&run.requests, run.latency_ms));
            (policy.policy, policy.runs.into_iter().map(run).collect())
        };
        let cell = |cell: SweepFileCell| ResultCell {
            values: cell.values,
            runs: cell.policies.into_iter().map(runs).collect(),
        };
        ResultDirectory {
            dir,
            scenario: self.scenario,
            engine: self.engine,
            clock: self.clock,
            seeds: self.seeds,
            policies: self.policies,
            scenario_text: None,
            cells: self.cells.into_iter().map(cell).collect(),
        }
    }
}
