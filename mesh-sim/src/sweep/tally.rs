//! What a sweep has found so far.

use std::collections::BTreeMap;

use super::{Figures, Place, Sweep};
use crate::record::{Counts, Latency, RunRecord};

/// Figures of every run that is over, and the latencies of each cell and policy added up. It does
/// not depend on the order in which runs were added.
#[derive(Clone, Debug)]
pub struct Tally {
    policies: usize,
    /// By the runs' numbers.
    pub(super) runs: BTreeMap<usize, Figures>,
    /// Cell by cell, policy by policy.
    pub(super) latencies: Vec<Latency>,
}

/// One policy in one cell, over all seeds.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// With their seeds.
    pub(super) runs: Vec<(u64, &'a Figures)>,
    pub(super) requests: Counts,
    pub(super) failures: BTreeMap<&'a str, u64>,
    pub(super) latency: &'a Latency,
}

impl Tally {
    /// Without any run.
    pub fn new(sweep: &Sweep) -> Self {
        let policies = sweep.policies.len();
        let latencies = vec![Latency::default(); sweep.cells.len() * policies];
        Self { policies, runs: BTreeMap::new(), latencies }
    }

    /// Adds the run with this number.
    pub fn add(&mut self, sweep: &Sweep, number: usize, record: &RunRecord) {
        let place = sweep.place(number);
        self.latencies[place.cell * self.policies + place.policy].merge(&record.latency);
        self.runs.insert(number, Figures::of(record));
    }

    /// Whether any run violated an oracle.
    pub fn is_broken(&self) -> bool {
        self.runs.values().any(|run| !run.broken.is_empty())
    }

    /// Whether any run of this cell violated an oracle.
    pub(super) fn is_broken_in(&self, sweep: &Sweep, cell: usize) -> bool {
        (0..self.policies).any(|policy| self.group(sweep, cell, policy).is_broken())
    }

    /// One policy in one cell.
    pub(super) fn group(&self, sweep: &Sweep, cell: usize, policy: usize) -> Group<'_> {
        let index = cell * self.policies + policy;
        let first = index * sweep.seeds.len();
        let mut group = Group {
            runs: Vec::new(),
            requests: Counts::default(),
            failures: BTreeMap::new(),
            latency: &self.latencies[index],
        };
        for (number, figures) in self.runs.range(first..first + sweep.seeds.len()) {
            let Place { seed, .. } = sweep.place(*number);
            group.runs.push((sweep.seeds[seed], figures));
            group.requests.merge(&figures.requests);
            for (reason, count) in &figures.failures {
                *group.failures.entry(reason).or_default() += count;
            }
        }
        group
    }
}
