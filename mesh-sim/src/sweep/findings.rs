//! The findings of a sweep: the figures and the verdict of each policy in each cell, and the
//! comparisons of the policies.

use std::collections::BTreeMap;

use super::compare::{BaselineComparison, compare};
use super::{Sweep, SweepCell, SweepTally};
use crate::judge::{
    Causes, Entrant, MeasuredFigures, PolicyVerdict, Ranking, RunFigures, Verdict, is_upper_bound,
    per_request, regrets,
};
use crate::record::{LatencyHistogram, OutcomeCounts};
use crate::scenario::PolicySpec;

/// The findings of a whole sweep. They are computed once, after the last run. The table in the
/// terminal, the CSV files and `sweep.json` are different views of them.
#[derive(Clone, Debug)]
pub struct SweepFindings<'a> {
    pub(super) sweep: &'a Sweep,
    /// One per cell, in the order of [`Sweep::cells`].
    pub(super) cells: Vec<CellFindings<'a>>,
}

/// The findings of one cell of a sweep.
#[derive(Clone, Debug)]
pub(super) struct CellFindings<'a> {
    pub(super) cell: &'a SweepCell,
    /// One per policy, in the order of [`Sweep::policies`].
    pub(super) policies: Vec<PolicyFindings<'a>>,
    /// One per policy other than the baseline and per figure that policies are compared by. Empty
    /// if there were no requests.
    pub(super) comparisons: Vec<BaselineComparison>,
    /// Which policy is best here, by the scenario's objective; indices of `policies`.
    pub(super) ranking: Ranking,
}

/// The findings about one policy in one cell.
#[derive(Clone, Debug)]
pub(super) struct PolicyFindings<'a> {
    pub(super) runs: PolicyRuns<'a>,
    /// The figures of all seeds together.
    pub(super) measured: MeasuredFigures,
    pub(super) verdict: PolicyVerdict,
    /// Against the best upper bound of the cell, if there is one.
    pub(super) regret: Option<f64>,
}

/// The runs of one policy in one cell, and what these add up to.
#[derive(Clone, Debug)]
pub(super) struct PolicyRuns<'a> {
    /// The label of the policy.
    pub(super) label: &'a str,
    /// The figures of each run with its seed; seeds ascend.
    pub(super) by_seed: Vec<(u64, &'a RunFigures)>,
    /// The requests of all runs, by outcome.
    pub(super) requests: OutcomeCounts,
    /// The requests of all runs that were not answered with a result, by reason.
    pub(super) failures: BTreeMap<&'a str, u64>,
    /// The latencies of all runs.
    pub(super) latency: &'a LatencyHistogram,
}

impl<'a> SweepFindings<'a> {
    /// Judges and compares the policies of a sweep by the runs in `tally`.
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
        let policies = all.into_iter().map(|runs| PolicyFindings::of(runs, cell));
        let mut policies: Vec<PolicyFindings<'a>> = policies.collect();
        let figures = policies.iter().map(|policy| (policy.runs.label, &policy.measured));
        let regrets = regrets(&cell.scenario.policies, figures);
        for (policy, regret) in policies.iter_mut().zip(regrets) {
            policy.regret = regret;
        }
        let specs = &cell.scenario.policies;
        let entrants = policies.iter().map(|policy| policy.runs.entrant(specs));
        let ranking = Ranking::of(&cell.scenario.objective, &entrants.collect::<Vec<_>>());
        Self { cell, policies, comparisons, ranking }
    }
}

impl<'a> PolicyRuns<'a> {
    /// The policy as it takes part in a ranking.
    fn entrant(&self, specs: &[PolicySpec]) -> Entrant<'a> {
        Entrant {
            label: self.label,
            by_seed: self.by_seed.iter().map(|(seed, run)| (*seed, run.measured())).collect(),
            probes: self.probes(),
            causes: Causes::of_all(self.by_seed.iter().map(|(_, run)| &run.causes)),
            is_bound: is_upper_bound(specs, self.label),
        }
    }

    /// Calls of peers without a job per request; `None` if that is not known.
    pub(super) fn probes(&self) -> Option<f64> {
        let probes = self.by_seed.iter().map(|(_, run)| run.probes).sum();
        per_request(probes, &self.requests)
    }
}

impl<'a> PolicyFindings<'a> {
    fn of(runs: PolicyRuns<'a>, cell: &SweepCell) -> Self {
        let measured = MeasuredFigures::new(&runs.requests, runs.latency);
        let expect = &cell.scenario.expect;
        let verdict = PolicyVerdict::of(runs.label, expect, &measured, &runs.by_seed);
        Self { runs, measured, verdict, regret: None }
    }
}
