//! The results of those runs of a sweep that have ended.

use std::collections::BTreeMap;

use super::findings::PolicyRuns;
use super::{RunPosition, Sweep};
use crate::judge::RunFigures;
use crate::record::{LatencyHistogram, OutcomeCounts, RunRecord};

/// The results of the runs of a sweep so far: the figures of each run, and the latencies of each
/// cell and policy added up over the seeds. The order in which runs are added makes no difference.
#[derive(Clone, Debug)]
pub struct SweepTally {
    /// How many policies the sweep has.
    policies: usize,
    /// The figures of each run, by its number in the sweep.
    pub(super) runs: BTreeMap<usize, RunFigures>,
    /// The latencies, cell by cell and policy by policy.
    pub(super) latencies: Vec<LatencyHistogram>,
}

impl SweepTally {
    /// A tally without any run.
    pub fn new(sweep: &Sweep) -> Self {
        let policies = sweep.policies.len();
        let latencies = vec![LatencyHistogram::default(); sweep.cells.len() * policies];
        Self { policies, runs: BTreeMap::new(), latencies }
    }

    /// Adds the results of the run with this number.
    pub fn add(&mut self, sweep: &Sweep, number: usize, record: &RunRecord) {
        let RunPosition { cell, policy, .. } = sweep.position(number);
        self.latencies[cell * self.policies + policy].merge(&record.latency);
        self.runs.insert(number, RunFigures::of(record));
    }

    /// How many runs have ended.
    pub fn ended(&self) -> usize {
        self.runs.len()
    }

    /// Whether any run violated an oracle.
    pub fn violates_oracles(&self) -> bool {
        self.runs.values().any(|run| !run.violations.is_empty())
    }

    /// Whether any run of this cell violated an oracle.
    pub(super) fn violates_oracles_in(&self, sweep: &Sweep, cell: usize) -> bool {
        let runs = self.policies * sweep.seeds.len();
        let mut runs = self.runs.range(cell * runs..(cell + 1) * runs);
        runs.any(|(_, run)| !run.violations.is_empty())
    }

    /// The runs of one policy in one cell.
    pub(super) fn runs_of<'a>(
        &'a self,
        sweep: &'a Sweep,
        cell: usize,
        policy: usize,
    ) -> PolicyRuns<'a> {
        let index = cell * self.policies + policy;
        let first = index * sweep.seeds.len();
        let mut runs = PolicyRuns {
            label: &sweep.policies[policy],
            by_seed: Vec::new(),
            requests: OutcomeCounts::default(),
            failures: BTreeMap::new(),
            latency: &self.latencies[index],
        };
        // The runs of one policy in one cell have consecutive numbers.
        for (number, figures) in self.runs.range(first..first + sweep.seeds.len()) {
            runs.by_seed.push((sweep.seeds[sweep.position(*number).seed], figures));
            runs.requests.merge(&figures.requests);
            for (reason, count) in &figures.failures {
                *runs.failures.entry(reason).or_default() += count;
            }
        }
        runs
    }
}
