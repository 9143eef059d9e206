//! Compares the simulator with queueing theory: `mesh-sim validate`.
//!
//! Every case is an ordinary scenario that is a queue with known figures. The expected figures are
//! computed from the checked scenario, with closed forms and one Markov chain that share no code
//! with the mesh.

mod bulletin_board;
mod cases;
mod closed_forms;
mod markov_chain;
mod queue_model;
mod queueing_system;
mod table;

use std::ops::ControlFlow;
use std::time::Duration;

use mesh_core::time::nanos;

use crate::engine::{EngineError, Run};
use crate::judge::Verdict;
use crate::parallel::{cores, in_order};
use crate::record::{LatencyHistogram, OutcomeCounts, RunRecord};
use crate::runner::{RunProgress, run_each};
use crate::scenario::{EngineKind, Scenario};
use crate::sweep::{Sweep, SweepError, SweepSpec, Vary};

use self::cases::{CASES, CaseSpec};
use self::queue_model::{QueueModel, TheoryFigure};
use self::queueing_system::QueueingSystem;

pub use self::table::render;

/// A quick validation simulates one part in this many of the whole one.
const QUICK: u32 = 64;
/// A figure with a relative tolerance of this much or more is not compared with theory.
const NO_TOLERANCE: f64 = 0.5;
/// How many jobs a Markov chain simulates in a whole validation.
const CHAIN_JOBS: u64 = 20_000_000;

/// All cases, checked and ready to run.
#[derive(Debug)]
pub struct Validation {
    cases: Vec<Case>,
    /// How many times as long the whole validation is.
    shortened: u32,
}

/// A case with the sweep that runs it, which has a single cell.
#[derive(Debug)]
struct Case {
    spec: &'static CaseSpec,
    sweep: Sweep,
    system: QueueingSystem,
}

/// One figure of one case: what theory says, and what was simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedFigure {
    /// The queue that it is a figure of: "M/M/1, load 0.7", say.
    pub title: String,
    /// The name of the figure: "p99", say.
    pub figure: String,
    /// The values, and what is demanded of them.
    pub check: FigureCheck,
}

/// What is demanded of a figure, and what came out. Times are in units of the mean service time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FigureCheck {
    /// The simulated number must be within a tolerance.
    Number {
        /// By theory: a time, or a share of the jobs.
        theory: f64,
        /// As simulated.
        simulated: f64,
        /// The greatest relative error that is allowed.
        tolerance: f64,
    },
    /// A limit of theory, which is shown for comparison; nothing is demanded.
    Limit {
        /// By theory, a time.
        theory: f64,
    },
    /// A number about which so short a run says too little. Nothing is demanded of it; another row
    /// checks the order of the policies.
    OrderOnly {
        /// By theory, a time.
        theory: f64,
        /// As simulated.
        simulated: f64,
    },
    /// The order of the policies, from the shortest mean response to the longest, must be this.
    Order {
        /// The order by the reference figures.
        expected: Vec<String>,
        /// The order as simulated.
        simulated: Vec<String>,
    },
}

impl FigureCheck {
    /// Demands a number within a tolerance, unless the tolerance is so wide that it means nothing.
    fn number(theory: f64, simulated: f64, tolerance: f64) -> Self {
        match tolerance < NO_TOLERANCE {
            true => Self::Number { theory, simulated, tolerance },
            false => Self::OrderOnly { theory, simulated },
        }
    }

    /// Whether anything is demanded.
    fn demands(&self) -> bool {
        !matches!(self, Self::Limit { .. } | Self::OrderOnly { .. })
    }

    /// Whether what came out is as demanded.
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

/// The results of a validation.
#[derive(Clone, Debug, Default)]
pub struct ValidationResult {
    /// Every figure, in the order of the cases.
    pub rows: Vec<CheckedFigure>,
    /// One sentence per run that violated an oracle.
    pub violated: Vec<String>,
}

impl ValidationResult {
    /// Whether all figures are as demanded.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.check.holds())
    }

    /// The verdict. The figures of theory count as thresholds.
    pub fn verdict(&self) -> Verdict {
        Verdict::new(!self.holds(), !self.violated.is_empty())
    }
}

/// What was measured of one policy in one case, over all seeds.
#[derive(Clone, Debug, Default)]
struct MeasuredResponses {
    latency: LatencyHistogram,
    requests: OutcomeCounts,
}

impl Validation {
    /// The whole validation, or a quick one. A quick one runs only the first seed of each scenario,
    /// for a shorter time. Tolerances then grow by the square root of the factor.
    ///
    /// # Errors
    /// If a shipped scenario is not the queue that its case says.
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
        mut progress: impl FnMut(RunProgress),
    ) -> Result<ValidationResult, EngineError> {
        let groups: Vec<(usize, usize)> = self
            .cases
            .iter()
            .enumerate()
            .flat_map(|(number, case)| case.sweep.runs().into_iter().map(move |_| number))
            .scan((0, 0), |(case, first), number| {
                // The number of a run in its own case: it begins with 0 again in the next case.
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
        let report = |news| {
            progress(news);
            ControlFlow::Continue(())
        };
        run_each(&self.runs(), EngineKind::Event, cores(), report, |run, record| {
            let (case, number) = groups[run];
            let position = self.cases[case].sweep.position(number);
            measured[case][position.policy].add(&record);
            violated.extend(complaint(self.cases[case].spec, &record));
        })?;
        violated.sort();
        Ok(ValidationResult { rows: self.rows(&measured), violated })
    }

    /// Compares what was measured (by case and policy) with theory.
    fn rows(&self, measured: &[Vec<MeasuredResponses>]) -> Vec<CheckedFigure> {
        let jobs = CHAIN_JOBS / u64::from(self.shortened);
        let mut rows = Vec::new();
        let more = |number| number < self.cases.len();
        let compare = |number: usize| {
            self.cases[number].rows(&measured[number], jobs, f64::from(self.shortened).sqrt())
        };
        in_order(cores(), more, compare, |_, found| {
            rows.extend(found);
            ControlFlow::Continue(())
        });
        rows
    }
}

impl MeasuredResponses {
    fn add(&mut self, record: &RunRecord) {
        self.latency.merge(&record.latency);
        self.requests.merge(&record.requests);
    }

    /// A figure of all requests, with latencies in units of the mean service time (`service`, in
    /// seconds). With `refused_after` it is a figure of the requests that were not refused: this is
    /// the latency with which every refused request counts, and no other is as long.
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
        let sweep = SweepSpec {
            scenario: spec.text.to_owned(),
            engine: None,
            seeds: Vec::new(),
            policies: spec.policies.iter().map(|label| (*label).to_owned()).collect(),
            vary: spec.settings.iter().map(|(field, value)| Vary::fixed(field, value)).collect(),
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
        let system = QueueingSystem::of(scenario).map_err(refused)?;
        for policy in &scenario.policies {
            // Only checks that theory has figures for this policy. They are computed after the
            // runs.
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
        let refused_after = model.turns_away().then_some(scenario.workload.longest_deadline());
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
                let check = FigureCheck::number(theory, simulated, tolerance);
                rows.push(CheckedFigure { title: title.clone(), figure: figure.name(), check });
                ranking.push((policy.label.clone(), theory, simulated));
            }
            if let Some(theory) = model.limit(system, policy) {
                let check = FigureCheck::Limit { theory };
                rows.push(CheckedFigure { title, figure: "n -> oo".to_owned(), check });
            }
        }
        if model == QueueModel::Board {
            // A random choice doesn't look at the board, so each server is M/M/1 and needs no run.
            let random = 1.0 / (1.0 - system.load);
            ranking.push(("random".to_owned(), random, random));
            rows.push(order(ranking));
        }
        rows
    }
}

/// Checks the order of the policies from best to worst. `figures` has a label, the reference figure
/// and the simulated one for each.
fn order(mut figures: Vec<(String, f64, f64)>) -> CheckedFigure {
    let labels = |figures: &[(String, f64, f64)]| {
        figures.iter().map(|(label, ..)| label.clone()).collect::<Vec<_>>()
    };
    figures.sort_by(|a, b| a.1.total_cmp(&b.1));
    let expected = labels(&figures);
    figures.sort_by(|a, b| a.2.total_cmp(&b.2));
    let check = FigureCheck::Order { expected, simulated: labels(&figures) };
    CheckedFigure { title: "from best to worst".to_owned(), figure: "order".to_owned(), check }
}

/// The first violation of a run, and how to repeat the run; `None` if there is no violation.
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
