//! Random trouble, in search of a run that fails.
//!
//! Run number n of a seed is a pure function of the base scenario, the seed and n: one of the base's
//! policies meets random faults, latencies and load (the safety phase); after three quarters of the
//! duration everything heals, requests go on, and at the end the oracles demand that the mesh has
//! converged and that nothing is left in flight (liveness).

mod coverage;
mod draw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;

pub use self::coverage::{Coverage, Met};

use self::coverage::CoverageObserver;
use self::draw::{Drawn, draw};
use crate::engine::Run;
use crate::failure::{Failure, Judged, judge_observed};
use crate::judge::Verdict;
use crate::parallel::in_order;
use crate::scenario::{Diagnostics, Draft, EngineKind, Loaded};

/// What to explore.
#[derive(Clone, Copy, Debug)]
pub struct Exploration<'a> {
    /// Its agents, registry, policies and service times are those of every run; its faults, links
    /// and rate steps are replaced.
    pub base: &'a Loaded,
    /// The engine.
    pub engine: EngineKind,
    /// The root of all randomness.
    pub seed: u64,
    /// Whether a missed threshold of `[expect]` counts as a failure.
    pub thresholds: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Runs carried out.
    pub runs: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Requests sent.
    pub requests: u64,
    /// Events logged.
    pub events: u64,
    /// Faults drawn, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The states met.
    pub coverage: Coverage,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its number.
    pub number: usize,
    /// Its scenario, with one policy and one seed.
    pub draft: Draft,
    /// The policy's label.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// What it did wrong.
    pub failures: Vec<Failure>,
}

/// News of an exploration.
#[derive(Debug)]
pub struct News<'a> {
    /// What has come of it so far.
    pub explored: &'a Explored,
    /// The run that just ended, if it failed.
    pub found: Option<Found>,
}

/// One run's share.
struct Outcome {
    explored: Explored,
    found: Option<Found>,
}

impl Exploration<'_> {
    /// Carries out the runs 0, 1, 2 and so on while `more` says so of the next one, on so many
    /// threads; `news` comes in the order of the runs, until it breaks.
    ///
    /// # Errors
    /// If the engine can't honour what was drawn.
    pub fn execute(
        &self,
        threads: NonZero<usize>,
        more: impl Fn(usize) -> bool + Sync,
        mut news: impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<Explored, Diagnostics> {
        let mut explored = Explored::default();
        let mut refused = None;
        in_order(
            threads,
            more,
            |number| self.run(number),
            |_, outcome| match outcome {
                Ok(Outcome { explored: one, found }) => {
                    explored.merge(&one);
                    news(News { explored: &explored, found })
                }
                Err(diagnostics) => {
                    refused = Some(diagnostics);
                    ControlFlow::Break(())
                }
            },
        );
        refused.map_or(Ok(explored), Err)
    }

    fn run(&self, number: usize) -> Result<Outcome, Diagnostics> {
        let Drawn { draft, policy, seed } = draw(self.base, self.engine, self.seed, number);
        let loaded = draft.load(&format!("run {number}"))?;
        loaded.check_engine(self.engine)?;
        let scenario = &loaded.scenario;
        let run = Run { scenario, policy: &scenario.policies[0], seed, trace: false };
        let observer = CoverageObserver::new(scenario);
        let (judged, observer) = judge_observed(&run, self.engine, observer);
        let Judged { mut failures, record } = judged;
        failures.retain(|failure| self.thresholds || failure.defect.verdict() == Verdict::Violated);
        let mut explored = Explored { runs: 1, ..Explored::default() };
        for fault in &scenario.faults {
            *explored.faults.entry(fault.kind.name()).or_default() += 1;
        }
        if let Some(record) = record {
            explored.requests = record.timeline.iter().map(|second| second.due).sum();
            explored.events = record.events;
            explored.coverage = observer.finish();
        }
        explored.failed = u64::from(!failures.is_empty());
        let found =
            (!failures.is_empty()).then_some(Found { number, draft, policy, seed, failures });
        Ok(Outcome { explored, found })
    }
}

impl Explored {
    fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        self.requests += other.requests;
        self.events += other.events;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.coverage.merge(&other.coverage);
    }
}
