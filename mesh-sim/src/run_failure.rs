//! What failed in a run, and whether two runs fail in the same way.

use std::fmt;
use std::io;
use std::path::Path;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::engine::{EngineError, Run, to_the_end};
use crate::format::shell_word;
use crate::journal::FactObserver;
use crate::judge::{MissedThreshold, PolicyResult, Verdict};
use crate::publish::write_file;
use crate::record::{RunRecord, Violation};
use crate::scenario::{Draft, EngineKind, Scenario};

/// A way in which a run can fail. Two runs fail in the same way if they have an equal defect,
/// whatever the details: so a smaller scenario can be said to fail like a larger one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Defect {
    /// The simulation broke down, for example because a simulated task panicked.
    Breakdown,
    /// The oracle of this name was violated.
    Oracle(&'static str),
    /// A threshold was missed.
    Threshold {
        /// The threshold's field in `[expect]`.
        field: &'static str,
        /// The reason for which most of the failed requests failed, if there were enough of them to
        /// miss the threshold; else `None`.
        cause: Option<&'static str>,
    },
    /// There are thresholds, but no request was measured.
    NoRequests,
}

impl Defect {
    /// The verdict on a run with this defect. A run that breaks down has shown nothing about
    /// oracles and thresholds, so it counts as a violated oracle, the worse of the two.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Breakdown | Self::Oracle(_) => Verdict::Violated,
            Self::Threshold { .. } | Self::NoRequests => Verdict::Missed,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breakdown => f.write_str("the simulation broke down"),
            Self::Oracle(name) => write!(f, "violated: {name}"),
            Self::Threshold { field, cause: None } => write!(f, "missed: {field}"),
            Self::Threshold { field, cause: Some(cause) } => {
                write!(f, "missed: {field}, mostly for {cause}")
            }
            Self::NoRequests => f.write_str("no request to hold against the thresholds"),
        }
    }
}

/// Something that failed in a run: the defect, with the details that differ from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFailure {
    /// The way in which the run failed.
    pub defect: Defect,
    /// What was observed, in a sentence.
    pub detail: String,
    /// When it happened; `None` if it concerns the run as a whole.
    pub at: Option<Timestamp>,
    /// The request that it concerns, if it concerns one.
    pub request: Option<u64>,
    /// The hosts that it concerns; may be empty.
    pub hosts: Vec<Name>,
}

impl RunFailure {
    /// A failure that concerns the run as a whole.
    fn of_run(defect: Defect, detail: String, at: Option<Timestamp>) -> Self {
        Self { defect, detail, at, request: None, hosts: Vec::new() }
    }
}

impl From<&Violation> for RunFailure {
    fn from(violation: &Violation) -> Self {
        Self {
            defect: Defect::Oracle(violation.oracle),
            detail: violation.detail.clone(),
            at: Some(Timestamp::from_nanos(violation.at_ns)),
            request: violation.request,
            hosts: violation.hosts.clone(),
        }
    }
}

impl fmt::Display for RunFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.defect)?;
        if let Some(at) = self.at {
            write!(f, " at {at}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// A run that was carried out and judged.
#[derive(Debug)]
pub struct JudgedRun {
    /// What failed: for each defect the first failure. Empty if the run passed.
    pub failures: Vec<RunFailure>,
    /// The record of the run; `None` if it broke down.
    pub record: Option<RunRecord>,
}

/// Carries a run out and judges it by the oracles and by the scenario's thresholds.
pub fn judge(run: &Run<'_>, engine: EngineKind) -> JudgedRun {
    judge_observed(run, engine, ()).0
}

/// As [`judge`], while `observer` learns of every fact of the run. Returns the observer too.
pub fn judge_observed<O: FactObserver + Send + 'static>(
    run: &Run<'_>,
    engine: EngineKind,
    observer: O,
) -> (JudgedRun, O) {
    let (ended, observer) = run.observe(engine, observer, &to_the_end);
    (judge_ended(run, ended), observer)
}

/// Judges a run that has ended or broken down.
pub(crate) fn judge_ended(run: &Run<'_>, ended: Result<RunRecord, EngineError>) -> JudgedRun {
    match ended {
        Ok(record) => {
            JudgedRun { failures: failures_of(run.scenario, &record), record: Some(record) }
        }
        Err(error) => JudgedRun { failures: vec![breakdown(&error)], record: None },
    }
}

fn breakdown(error: &EngineError) -> RunFailure {
    let at = match error {
        EngineError::Panic { at, .. } => Some(Timestamp::from(*at)),
        EngineError::Simulation { .. } | EngineError::Abandoned { .. } => None,
    };
    RunFailure::of_run(Defect::Breakdown, format!("failed to {error}"), at)
}

fn failures_of(scenario: &Scenario, record: &RunRecord) -> Vec<RunFailure> {
    let mut failures: Vec<RunFailure> = Vec::new();
    let mut add = |failure: RunFailure| {
        if failures.iter().all(|known| known.defect != failure.defect) {
            failures.push(failure);
        }
    };
    record.violations.iter().for_each(|violation| add(violation.into()));
    for result in PolicyResult::merge(std::slice::from_ref(record)) {
        for miss in result.judge(&scenario.expect).missed {
            let defect = defect_of(&miss.threshold, record);
            add(RunFailure::of_run(defect, miss.threshold.to_string(), None));
        }
    }
    failures
}

fn defect_of(threshold: &MissedThreshold, record: &RunRecord) -> Defect {
    let MissedThreshold::Figure { threshold, .. } = threshold else { return Defect::NoRequests };
    let failed = 1.0 - record.requests.success();
    let most = record.failures.iter().max_by_key(|(_, count)| **count);
    let decisive = failed >= threshold.figure.decisive_share();
    let cause = most.filter(|_| decisive).map(|(reason, _)| *reason);
    Defect::Threshold { field: threshold.field(), cause }
}

/// Writes the scenario file of one failing run. Missing directories are made. If writing fails, an
/// older file at `path` is left as it was.
///
/// # Errors
/// If the file can't be written.
pub fn write_failing(
    path: &Path,
    draft: &Draft,
    failures: &[RunFailure],
    engine: EngineKind,
) -> io::Result<()> {
    write_file(path, failing_file(draft, failures, engine, &path.display().to_string()))
}

/// The text of the scenario file of one failing run. Comments at its top say what fails and how to
/// replay it. `path` is where the file will be.
pub(crate) fn failing_file(
    draft: &Draft,
    failures: &[RunFailure],
    engine: EngineKind,
    path: &str,
) -> String {
    let mut text = String::from("# This scenario fails:\n");
    for failure in failures {
        let line: String =
            failure.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.push_str(&format!("#   {line}\n"));
    }
    let mut draft = draft.clone();
    draft.set(&["engine"], engine.name());
    text.push_str(&format!(
        "# Replay it: mesh-sim replay {}\n\n{}",
        shell_word(path),
        draft.text()
    ));
    text
}
