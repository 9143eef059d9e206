//! The simulator against queueing theory: `mesh-sim validate`.
//!
//! Every case is an ordinary scenario. What is expected of it is computed from the scenario that
//! was loaded, by closed forms and by one Markov chain that share no code with the mesh.

mod board;
mod cases;
mod chain;
mod forms;
mod model;
mod system;
mod table;

use std::time::Duration;

use mesh_core::time::nanos;

use crate::engine::{EngineError, Run};
use crate::judge::Verdict;
use crate::parallel::{cores, in_order};
use crate::record::{Counts, Latency, RunRecord};
use crate::runner::{RunProgress, run_each};
use crate::scenario::{EngineKind, Scenario};
use crate::sweep::{Spec, Sweep, SweepError, Vary};

use self::cases::{CASES, CaseSpec};
use self::model::{Model, TheoryFigure};
use self::system::System;

pub use self::table::render;

/// A quick validation simulates this part of the whole one.
const QUICK: u32 = 64;
/// A figure that may be off by this share or more is not held against theory.
const NO_TOLERANCE: f64 = 0.5;
/// Jobs of a Markov chain, when nothing is shortened.
const CHAIN_JOBS: u64 = 20_000_000;

/// All cases, ready to run.
#[derive(Debug)]
pub struct Validation {
    cases: Vec<Case>,
    /// The whole is so many times as long as this.
    shortened: u32,
}

#[derive(Debug)]
struct Case {
    spec: &'static CaseSpec,
    sweep: Sweep,
    system: System,
}

/// One figure: what theory says and what was simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedFigure {
    /// The queue that it is a figure of.
    pub title: String,
    /// Its name.
    pub figure: String,
    /// What must come out.
    pub check: Check,
}

/// A demand and what came out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Check {
    /// A number within a tolerance.
    Number {
        /// By theory; in mean service times, or a share.
        theory: f64,
        /// As simulated.
        simulated: f64,
        /// Greatest relative error.
        tolerance: f64,
    },
    /// For comparison: nothing is demanded.
    Limit {
        /// By theory, in mean service times.
        theory: f64,
    },
    /// A number that so short a run tells too little of: only the order of the policies is held,
    /// which a row of its own does.
    OrderOnly {
        /// By theory, in mean service times.
        theory: f64,
        /// As simulated.
        simulated: f64,
    },
    /// Policies from the shortest mean response to the longest.
    Order {
        /// As the reference has it.
        expected: Vec<String>,
        /// As simulated.
        simulated: Vec<String>,
    },
}

impl Check {
    /// A number within a tolerance, unless that is so wide that it would say nothing.
    fn number(theory: f64, simulated: f64, tolerance: f64) -> Self {
        match tolerance < NO_TOLERANCE {
            true => Self::Number { theory, simulated, tolerance },
            false => Self::OrderOnly { theory, simulated },
        }
    }

    /// Whether it demands anything.
    fn demands(&self) -> bool {
        !matches!(self, Self::Limit { .. } | Self::OrderOnly { .. })
    }

    /// Whether what came out is what must come out.
    pub fn holds(&self) -> bool {
        match self {
            Self::Number { theory, simulated, tolerance } => {
                (simulated / theory - 1.0).abs() <= *tolerance
            }
            Self::Limit { .. } | Self::OrderOnly { .. } => true,
            Self::Order { expected, simulated } => expected == simulated,
        }
    }
}

/// What came out of a validation.
#[derive(Clone, Debug, Default)]
pub struct ValidationResult {
    /// Every figure.
    pub rows: Vec<CheckedFigure>,
    /// A violated oracle and where, if any was.
    pub violated: Vec<String>,
}

impl ValidationResult {
    /// Whether all figures are as they must be.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.check.holds())
    }

    /// The verdict. The figures of theory take the place of thresholds.
    pub fn verdict(&self) -> Verdict {
        Verdict::new(!self.holds(), !self.violated.is_empty())
    }
}

/// What was measured of one policy in one case, over all seeds.
#[derive(Clone, Debug, Default)]
struct MeasuredResponses {
    latency: Latency,
    requests: Counts,
}

impl Validation {
    /// The whole validation, or a quick one: with the first seed of each scenario, and shorter, so
    /// that tolerances grow by the root of what is left out.
    ///
    /// # Errors
    /// If a shipped scenario is not what its case says.
    pub fn new(quick: bool) -> Result<Self, SweepError> {
        let shortened = if quick { QUICK } else { 1 };
        let cases =
            CASES.iter().map(|spec| Case::new(spec, shortened)).collect::<Result<_, _>>()?;
        Ok(Self { cases, shortened })
    }

    /// Every run, case by case.
    pub fn runs(&self) -> Vec<Run<'_>> {
        self.cases.iter().flat_map(|case| case.sweep.runs()).collect()
    }

    /// Carries out all runs on all cores. [`RunProgress::run`] is a number in [`Self::runs`].
    ///
    /// # Errors
    /// If a run breaks down.
    pub fn execute(
        &self,
        progress: impl FnMut(RunProgress),
    ) -> Result<ValidationResult, EngineError> {
        let groups: Vec<(usize, usize)> = self
            .cases
            .iter()
            .enumerate()
            .flat_map(|(number, case)| case.sweep.runs().into_iter().map(move |_| number))
            .scan((0, 0), |(case, first), number| {
                // Runs of a case are numbered from the first one.
                (*case, *first) = if *case == number { (number, *first + 1) } else { (number, 1) };
                Some((number, *first - 1))
            })
            .collect();
        let mut measured: Vec<Vec<MeasuredResponses>> = self
            .cases
            .iter()
            .map(|case| vec![MeasuredResponses::default(); case.sweep.policies.len()])
            .collect();
        let mut violated = Vec::new();
        run_each(&self.runs(), EngineKind::Event, cores(), progress, |run, record| {
            let (case, number) = groups[run];
            let position = self.cases[case].sweep.position(number);
            measured[case][position.policy].add(&record);
            violated.extend(complaint(self.cases[case].spec, &record));
        })?;
        violated.sort();
        Ok(ValidationResult { rows: self.rows(&measured), violated })
    }

    /// Compares what was measured, by case and policy, with theory.
    fn rows(&self, measured: &[Vec<MeasuredResponses>]) -> Vec<CheckedFigure> {
        let jobs = CHAIN_JOBS / u64::from(self.shortened);
        let mut rows = Vec::new();
        let more = |number| number < self.cases.len();
        let compare = |number: usize| {
            self.cases[number].rows(&measured[number], jobs, f64::from(self.shortened).sqrt())
        };
        in_order(cores(), more, compare, |_, found| {
            rows.extend(found);
            std::ops::ControlFlow::Continue(())
        });
        rows
    }
}

impl MeasuredResponses {
    fn add(&mut self, record: &RunRecord) {
        self.latency.merge(&record.latency);
        self.requests.merge(&record.requests);
    }

    /// A figure of all requests, or of those that were let in: then `refused_after` is the latency
    /// that every refused one counts with, which is longer than any other.
    fn figure(&self, figure: TheoryFigure, service: f64, refused_after: Option<Duration>) -> f64 {
        let in_services = |ns: f64| ns / 1e9 / service;
        let sent = self.requests.sent.max(1) as f64;
        let refused = self.requests.refused as f64;
        let all_ns = self.latency.sum_ns() as f64;
        let (kept, kept_ns) = match refused_after {
            Some(after) => (sent - refused, all_ns - refused * nanos(after) as f64),
            None => (sent, all_ns),
        };
        match figure {
            TheoryFigure::Mean => in_services(kept_ns / kept),
            TheoryFigure::Quantile(share) => {
                in_services(self.latency.quantile_ns(share * kept / sent) as f64)
            }
            TheoryFigure::Blocked => refused / sent,
        }
    }
}

impl Case {
    fn new(spec: &'static CaseSpec, shortened: u32) -> Result<Self, SweepError> {
        let vary = |(path, value): &(&str, &str)| Vary {
            path: (*path).to_owned(),
            values: vec![(*value).to_owned()],
        };
        let sweep = Spec {
            scenario: spec.text.to_owned(),
            engine: None,
            seeds: Vec::new(),
            policies: spec.policies.iter().map(|label| (*label).to_owned()).collect(),
            vary: spec.settings.iter().map(vary).collect(),
            baseline: None,
        };
        let mut sweep = Sweep::new(sweep, spec.file)?;
        if shortened > 1 {
            let kept = f64::from(shortened) / sweep.seeds.len() as f64;
            let scenario = &mut sweep.cells[0].scenario;
            scenario.warm_up = scenario.warm_up.div_f64(kept);
            scenario.duration = scenario.duration.div_f64(kept);
            sweep.seeds.truncate(1);
        }
        let scenario = &sweep.cells[0].scenario;
        let refused = |reason| SweepError::Vary(format!("{}: {reason}", spec.file));
        let system = System::of(scenario).map_err(refused)?;
        for policy in &scenario.policies {
            // Whether there is a theory; the figures are asked for when all is measured.
            spec.model.expected(&system, scenario, policy, 1).map_err(refused)?;
        }
        Ok(Self { spec, sweep, system })
    }

    fn scenario(&self) -> &Scenario {
        &self.sweep.cells[0].scenario
    }

    fn rows(
        &self,
        measured: &[MeasuredResponses],
        chain_jobs: u64,
        wider: f64,
    ) -> Vec<CheckedFigure> {
        let (model, system, scenario) = (self.spec.model, &self.system, self.scenario());
        let (mean, quantile) = self.spec.tolerance;
        let refused_after = (model == Model::Mm1k).then_some(scenario.workload.deadline);
        let mut rows = Vec::new();
        let mut ranking = Vec::new();
        for (policy, measured) in scenario.policies.iter().zip(measured) {
            let title = model.title(system, scenario, policy);
            let expected = model.expected(system, scenario, policy, chain_jobs);
            for (figure, theory) in expected.unwrap_or_default() {
                let simulated = measured.figure(figure, system.service, refused_after);
                let percent =
                    if matches!(figure, TheoryFigure::Quantile(_)) { quantile } else { mean };
                let tolerance = wider * percent / 100.0;
                let check = Check::number(theory, simulated, tolerance);
                rows.push(CheckedFigure { title: title.clone(), figure: figure.name(), check });
                ranking.push((policy.label.clone(), theory, simulated));
            }
            if let Some(theory) = model.limit(system, policy) {
                let check = Check::Limit { theory };
                rows.push(CheckedFigure { title, figure: "n -> oo".to_owned(), check });
            }
        }
        if model == Model::Board {
            // A random choice doesn't look at the board: each server is M/M/1.
            let random = 1.0 / (1.0 - system.load);
            ranking.push(("random".to_owned(), random, random));
            rows.push(order(ranking));
        }
        rows
    }
}

/// The policies from best to worst, as the reference has it and as simulated.
fn order(mut figures: Vec<(String, f64, f64)>) -> CheckedFigure {
    let labels = |figures: &[(String, f64, f64)]| {
        figures.iter().map(|(label, ..)| label.clone()).collect::<Vec<_>>()
    };
    figures.sort_by(|a, b| a.1.total_cmp(&b.1));
    let expected = labels(&figures);
    figures.sort_by(|a, b| a.2.total_cmp(&b.2));
    let check = Check::Order { expected, simulated: labels(&figures) };
    CheckedFigure { title: "from best to worst".to_owned(), figure: "order".to_owned(), check }
}

/// What a run did that must never happen, and how to see it again.
fn complaint(spec: &CaseSpec, record: &RunRecord) -> Option<String> {
    let first = record.violations.first()?;
    let RunRecord { policy, seed, .. } = record;
    let settings: Vec<String> =
        spec.settings.iter().map(|(path, value)| format!("{path}={value}")).collect();
    let with =
        if settings.is_empty() { String::new() } else { format!(" with {}", settings.join(", ")) };
    Some(format!(
        "{}: {}: {}, policy {policy}, seed {seed}{with}",
        first.oracle, first.detail, spec.file
    ))
}

#[cfg(test)]
mod tests;
