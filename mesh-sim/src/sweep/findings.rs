//! What a sweep shows: the figures and the verdict of each policy in each cell, and how the
//! policies compare.

use std::collections::BTreeMap;

use super::compare::{BaselineComparison, compare};
use super::{Sweep, SweepCell, SweepTally};
use crate::judge::{MeasuredFigures, PolicyVerdict, RunFigures, Verdict};
use crate::record::{LatencyHistogram, OutcomeCounts};

/// Everything that a whole sweep shows. It is computed once, after the last run; the table in the
/// terminal, the CSV files and `sweep.json` are different views of it.
#[derive(Clone, Debug)]
pub struct SweepFindings<'a> {
    pub(super) sweep: &'a Sweep,
    /// One per cell, in the order of the cells.
    pub(super) cells: Vec<CellFindings<'a>>,
}

/// What one cell of a sweep shows.
#[derive(Clone, Debug)]
pub(super) struct CellFindings<'a> {
    pub(super) cell: &'a SweepCell,
    /// One per policy, in the order of [`Sweep::policies`].
    pub(super) policies: Vec<PolicyFindings<'a>>,
    /// Every policy but the baseline, by every figure that policies are compared by; empty if there
    /// were no requests.
    pub(super) comparisons: Vec<BaselineComparison>,
}

/// What one policy did in one cell.
#[derive(Clone, Debug)]
pub(super) struct PolicyFindings<'a> {
    pub(super) runs: PolicyRuns<'a>,
    /// The figures of all seeds together.
    pub(super) measured: MeasuredFigures,
    pub(super) verdict: PolicyVerdict,
}

/// The runs of one policy in one cell, added up.
#[derive(Clone, Debug)]
pub(super) struct PolicyRuns<'a> {
    /// Label of the policy.
    pub(super) label: &'a str,
    /// Each with its seed, in ascending order.
    pub(super) by_seed: Vec<(u64, &'a RunFigures)>,
    pub(super) requests: OutcomeCounts,
    /// Requests that were not answered, by reason.
    pub(super) failures: BTreeMap<&'a str, u64>,
    pub(super) latency: &'a LatencyHistogram,
}

impl<'a> SweepFindings<'a> {
    /// Judges and compares all that `tally` holds of a sweep.
    pub fn of(sweep: &'a Sweep, tally: &'a SweepTally) -> Self {
        let cells = sweep.cells.iter().enumerate();
        let cells = cells.map(|(index, cell)| CellFindings::of(sweep, tally, index, cell));
        Self { sweep, cells: cells.collect() }
    }

    /// The verdict on all policies in all cells.
    pub fn verdict(&self) -> Verdict {
        let policies = self.cells.iter().flat_map(|cell| &cell.policies);
        Verdict::worst(policies.map(|policy| policy.verdict.verdict()))
    }
}

impl<'a> CellFindings<'a> {
    fn of(sweep: &'a Sweep, tally: &'a SweepTally, index: usize, cell: &'a SweepCell) -> Self {
        let all = (0..sweep.policies.len()).map(|policy| tally.runs_of(sweep, index, policy));
        let all: Vec<PolicyRuns<'a>> = all.collect();
        let comparisons = compare(&all, sweep.baseline);
        let policies = all.into_iter().map(|runs| PolicyFindings::of(runs, cell)).collect();
        Self { cell, policies, comparisons }
    }
}

impl<'a> PolicyFindings<'a> {
    fn of(runs: PolicyRuns<'a>, cell: &SweepCell) -> Self {
        let measured = MeasuredFigures::new(&runs.requests, runs.latency);
        let expect = &cell.scenario.expect;
        let verdict = PolicyVerdict::of(runs.label, expect, &measured, &runs.by_seed);
        Self { runs, measured, verdict }
    }
}
