//! What a run did wrong, and whether another did the same.

use std::fmt;
use std::io;
use std::path::Path;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::engine::{EngineError, Run};
use crate::format::shell_word;
use crate::journal::FactObserver;
use crate::judge::{MissedThreshold, PolicyResult, Verdict};
use crate::publish::write_file;
use crate::record::{RunRecord, Violation};
use crate::scenario::{Draft, EngineKind, Scenario};

/// A way to fail. Two runs fail in the same way if theirs are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Defect {
    /// The simulation broke down: a simulated task panicked, say.
    Breakdown,
    /// An oracle of this name was violated.
    Oracle(&'static str),
    /// A threshold was missed.
    Threshold {
        /// Its field in `[expect]`.
        field: &'static str,
        /// Why most of the unanswered requests were not answered, if it is these that missed it.
        cause: Option<&'static str>,
    },
    /// There was no request to hold against the thresholds.
    NoRequests,
}

impl Defect {
    /// The verdict on a run that fails in this way. A run that breaks down has proven no oracle and
    /// no threshold, so it counts as badly as a violated oracle.
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

/// One thing that a run did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which way to fail.
    pub defect: Defect,
    /// What was seen, in a sentence.
    pub detail: String,
    /// When, for what happens at one time.
    pub at: Option<Timestamp>,
    /// The request that it is about, if it is about one.
    pub request: Option<u64>,
    /// The hosts that it is about; perhaps none.
    pub hosts: Vec<Name>,
}

impl Failure {
    /// A failure that is about the run as a whole.
    fn of_run(defect: Defect, detail: String, at: Option<Timestamp>) -> Self {
        Self { defect, detail, at, request: None, hosts: Vec::new() }
    }
}

impl From<&Violation> for Failure {
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.defect)?;
        if let Some(at) = self.at {
            write!(f, " at {at}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Judged {
    /// What it did wrong, each defect once, the first of its kind.
    pub failures: Vec<Failure>,
    /// What it left behind; `None` if it broke down.
    pub record: Option<RunRecord>,
}

/// Carries a run out and judges it.
pub fn judge(run: &Run<'_>, engine: EngineKind) -> Judged {
    judge_observed(run, engine, ()).0
}

/// The same while `observer` learns of everything that happens in the run.
pub fn judge_observed<O: FactObserver + Send + 'static>(
    run: &Run<'_>,
    engine: EngineKind,
    observer: O,
) -> (Judged, O) {
    let (ended, observer) = run.observe(engine, observer, &|_| {});
    let judged = match ended {
        Ok(record) => Judged { failures: failures_of(run.scenario, &record), record: Some(record) },
        Err(error) => Judged { failures: vec![breakdown(&error)], record: None },
    };
    (judged, observer)
}

fn breakdown(error: &EngineError) -> Failure {
    let at = match error {
        EngineError::Panic { at, .. } => Some(Timestamp::from(*at)),
        EngineError::Simulation { .. } => None,
    };
    Failure::of_run(Defect::Breakdown, format!("failed to {error}"), at)
}

fn failures_of(scenario: &Scenario, record: &RunRecord) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut add = |failure: Failure| {
        if failures.iter().all(|known| known.defect != failure.defect) {
            failures.push(failure);
        }
    };
    record.violations.iter().for_each(|violation| add(violation.into()));
    for result in PolicyResult::merge(std::slice::from_ref(record)) {
        for miss in result.judge(&scenario.expect).missed {
            let defect = defect_of(&miss.threshold, record);
            add(Failure::of_run(defect, miss.threshold.to_string(), None));
        }
    }
    failures
}

fn defect_of(threshold: &MissedThreshold, record: &RunRecord) -> Defect {
    let MissedThreshold::Figure { figure, .. } = threshold else { return Defect::NoRequests };
    let failed = 1.0 - record.requests.success();
    let most = record.failures.iter().max_by_key(|(_, count)| **count);
    let cause = most.filter(|_| failed >= figure.decisive_share()).map(|(reason, _)| *reason);
    // Only figures that have a threshold can have missed it.
    Defect::Threshold { field: figure.threshold.unwrap_or(figure.key), cause }
}

/// Writes a scenario file of one run that fails, whole or not at all; missing directories are made.
///
/// # Errors
/// If it can't be written.
pub fn write_failing(
    path: &Path,
    draft: &Draft,
    failures: &[Failure],
    engine: EngineKind,
) -> io::Result<()> {
    write_file(path, failing_file(draft, failures, engine, &path.display().to_string()))
}

/// The text of a scenario file of one run, headed by what fails in it and how to see that again.
/// `path` is where the file will be.
pub(crate) fn failing_file(
    draft: &Draft,
    failures: &[Failure],
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
