//! Exploration: runs with random faults, in search of one that fails.
//!
//! Run number n of a seed is a pure function of the base scenario, the seed and n. In the first
//! three quarters of its duration one of the base's policies meets random faults, latencies and a
//! random workload (the safety phase). Then all faults with times end and requests go on; at the end
//! the oracles demand that the mesh has converged and that nothing is left in flight (the liveness
//! phase).

mod coverage;
mod draw;
mod features;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;

pub use self::coverage::{Coverage, StateCount};

use self::coverage::CoverageObserver;
use self::draw::{DrawnScenario, draw_scenario};
use self::features::features;
use crate::engine::{EngineError, Run, RunDetail};
use crate::judge::Verdict;
use crate::parallel::in_order;
use crate::run_failure::{JudgedRun, RunFailure, judge_ended};
use crate::scenario::{Diagnostics, Draft, EngineKind, ScenarioFile};

/// What to explore: a base scenario in one engine. The seed decides which random scenarios are made
/// of it.
#[derive(Clone, Copy, Debug)]
pub struct Exploration<'a> {
    /// The base scenario. Every run has its agents, registry, policies and service times; its
    /// faults, links and changes of the rate are replaced by random ones.
    pub base: &'a ScenarioFile,
    /// The engine of every run.
    pub engine: EngineKind,
    /// The root of all random streams of the exploration.
    pub seed: u64,
    /// Whether a missed threshold of `[expect]` counts as a failure.
    pub thresholds: bool,
}

/// The sums over the runs of an exploration.
#[derive(Clone, Debug, Default)]
pub struct ExplorationTotals {
    /// The number of runs that were carried out.
    pub runs: u64,
    /// The number of runs that failed.
    pub failed: u64,
    /// The number of requests that were due in all runs.
    pub requests: u64,
    /// The number of events in all event logs.
    pub events: u64,
    /// The number of faults that were drawn, by the name of their kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The number of runs whose scenario had each of the things that only some have, such as bursts
    /// or skills.
    pub features: BTreeMap<&'static str, u64>,
    /// How often each state was reached.
    pub coverage: Coverage,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct FailedRun {
    /// The number of the run in the exploration.
    pub number: usize,
    /// The scenario that was drawn, with one policy and one seed.
    pub draft: Draft,
    /// The policy's label.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// What failed in it; at least one.
    pub failures: Vec<RunFailure>,
}

/// What an exploration reports after each run.
#[derive(Debug)]
pub struct ExplorationProgress<'a> {
    /// The sums over all runs so far.
    pub totals: &'a ExplorationTotals,
    /// The run that has just ended, if it failed.
    pub failed_run: Option<FailedRun>,
}

/// What one run adds to the totals, and the run itself if it failed.
struct ExploredRun {
    totals: ExplorationTotals,
    failed_run: Option<FailedRun>,
}

impl Exploration<'_> {
    /// Carries out the runs 0, 1, 2 and so on, on `threads` threads, as long as `more` is true of
    /// the next number. After each run `progress` is called, in the order of the runs, until it
    /// breaks. Once `is_stopped` is true, no run begins, and those under way are abandoned and don't
    /// count.
    ///
    /// # Errors
    /// If the engine can't honour a scenario that was drawn.
    pub fn execute(
        &self,
        threads: NonZero<usize>,
        more: impl Fn(usize) -> bool + Sync,
        is_stopped: impl Fn() -> bool + Sync,
        mut progress: impl FnMut(ExplorationProgress<'_>) -> ControlFlow<()>,
    ) -> Result<ExplorationTotals, Diagnostics> {
        let mut totals = ExplorationTotals::default();
        let mut refused = None;
        in_order(
            threads,
            |number| !is_stopped() && more(number),
            |number| self.run(number, &is_stopped),
            |_, outcome| match outcome {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(ExploredRun { totals: one, failed_run })) => {
                    totals.merge(&one);
                    progress(ExplorationProgress { totals: &totals, failed_run })
                }
                Err(diagnostics) => {
                    refused = Some(diagnostics);
                    ControlFlow::Break(())
                }
            },
        );
        refused.map_or(Ok(totals), Err)
    }

    /// Carries out one run; `None` if it is abandoned.
    fn run(
        &self,
        number: usize,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Option<ExploredRun>, Diagnostics> {
        let DrawnScenario { draft, policy, seed } =
            draw_scenario(self.base, self.engine, self.seed, number);
        let file = draft.check(&format!("run {number}"))?;
        file.check_engine(self.engine)?;
        let scenario = &file.scenario;
        let run = Run { scenario, policy: &scenario.policies[0], seed, detail: RunDetail::Figures };
        let observer = CoverageObserver::new(scenario);
        let (ended, observer) = run.observe(self.engine, observer, &|_| match is_stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        if matches!(ended, Err(EngineError::Abandoned { .. })) {
            return Ok(None);
        }
        let JudgedRun { mut failures, record } = judge_ended(&run, ended);
        // Under random faults a missed threshold is no bug, so it counts only if it is asked for.
        failures.retain(|failure| self.thresholds || failure.defect.verdict() == Verdict::Violated);
        let mut totals = ExplorationTotals { runs: 1, ..ExplorationTotals::default() };
        for fault in &scenario.faults {
            *totals.faults.entry(fault.kind.name()).or_default() += 1;
        }
        totals.features = features(scenario).map(|feature| (feature, 1)).collect();
        // A run that broke down has no record, and its coverage is not complete.
        if let Some(record) = record {
            totals.requests = record.timeline.iter().map(|second| second.due).sum();
            totals.events = record.events;
            totals.coverage = observer.finish();
        }
        totals.failed = u64::from(!failures.is_empty());
        let failed_run =
            (!failures.is_empty()).then_some(FailedRun { number, draft, policy, seed, failures });
        Ok(Some(ExploredRun { totals, failed_run }))
    }
}

impl ExplorationTotals {
    fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.requests += other.requests;
        self.events += other.events;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (feature, count) in &other.features {
            *self.features.entry(feature).or_default() += count;
        }
        self.coverage.merge(&other.coverage);
    }
}
