//! The runs of one policy, added up over the seeds.

use std::collections::BTreeMap;

use super::{Causes, Entrant, MeasuredFigures, PolicyVerdict, RunFigures};
use crate::figures::Expect;
use crate::machine::ProviderCounts;
use crate::record::{
    CopyCounts, DelegationMatrix, JobCounts, LatencyHistogram, LatencyPhases, OutcomeCounts,
    RunRecord, SendCounts, SentAgainCounts, WindowCounts, add_failures,
};

/// The runs of one policy, with their counts and latencies added up over the seeds. Tables, plots
/// and the judge read it; it is made from the records of the runs when these have ended.
#[derive(Clone, Debug)]
pub struct PolicyResult<'a> {
    /// Label of the policy.
    pub policy: &'a str,
    /// Its runs, one per seed, in the order in which they were run.
    pub runs: Vec<&'a RunRecord>,
    /// The sum of [`RunRecord::requests`].
    pub requests: OutcomeCounts,
    /// The sum of [`RunRecord::latency`].
    pub latency: LatencyHistogram,
    /// The sum of [`RunRecord::failures`].
    pub failures: BTreeMap<&'static str, u64>,
    /// The sum of [`RunRecord::sent_again`].
    pub sent_again: SentAgainCounts,
    /// The sum of [`RunRecord::copies`].
    pub copies: CopyCounts,
    /// The sum of [`RunRecord::probes`]; `None` if it is not known of one of them.
    pub probes: Option<u64>,
    /// The sum of [`RunRecord::by_window`].
    pub by_window: Vec<WindowCounts>,
    /// The sum of [`RunRecord::by_job`].
    pub by_job: Vec<JobCounts>,
    /// The sum of [`RunRecord::work_per_agent`].
    pub work_per_agent: Vec<u64>,
    /// The sum of [`RunRecord::phases`].
    pub phases: LatencyPhases,
    /// The sum of [`RunRecord::delegations`].
    pub delegations: DelegationMatrix,
    /// The sum of [`RunRecord::sends`].
    pub sends: SendCounts,
    /// The sum of [`RunRecord::providers`].
    pub providers: Vec<ProviderCounts>,
}

impl<'a> PolicyResult<'a> {
    /// Adds up `runs` to one result per policy, in the order in which the policies first appear.
    pub fn merge(runs: &'a [RunRecord]) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for run in runs {
            let known = merged.iter().position(|result| result.policy == run.policy);
            let index = known.unwrap_or_else(|| {
                merged.push(Self::empty(run));
                merged.len() - 1
            });
            merged[index].add(run);
        }
        merged
    }

    /// The figures of all seeds together.
    pub fn measured(&self) -> MeasuredFigures {
        MeasuredFigures::new(&self.requests, &self.latency)
    }

    /// Judges the policy by the thresholds in `expect` and by the oracles.
    pub fn judge(&self, expect: &BTreeMap<String, Expect>) -> PolicyVerdict {
        let figures: Vec<RunFigures> = self.runs.iter().map(|run| RunFigures::of(run)).collect();
        let seeds = self.runs.iter().map(|run| run.seed);
        let runs: Vec<(u64, &RunFigures)> = seeds.zip(&figures).collect();
        PolicyVerdict::of(self.policy, expect, &self.measured(), &runs)
    }

    /// The policy as it takes part in a ranking. `is_bound` says whether it is an upper bound.
    pub fn entrant(&self, is_bound: bool) -> Entrant<'a> {
        let figures = |run: &&RunRecord| MeasuredFigures::new(&run.requests, &run.latency);
        Entrant {
            label: self.policy,
            by_seed: self.runs.iter().map(|run| (run.seed, figures(run))).collect(),
            probes: per_request(self.probes, &self.requests),
            causes: Causes { phases: self.phases.means(), sends: self.sends },
            is_bound,
        }
    }

    fn empty(run: &'a RunRecord) -> Self {
        Self {
            policy: &run.policy,
            runs: Vec::new(),
            requests: OutcomeCounts::default(),
            latency: LatencyHistogram::default(),
            failures: BTreeMap::new(),
            sent_again: SentAgainCounts::default(),
            copies: CopyCounts::default(),
            probes: Some(0),
            by_window: vec![WindowCounts::default(); run.by_window.len()],
            by_job: vec![JobCounts::default(); run.by_job.len()],
            work_per_agent: vec![0; run.work_per_agent.len()],
            phases: LatencyPhases::default(),
            delegations: DelegationMatrix::default(),
            sends: SendCounts::default(),
            providers: vec![ProviderCounts::default(); run.providers.len()],
        }
    }

    fn add(&mut self, run: &'a RunRecord) {
        self.requests.merge(&run.requests);
        self.latency.merge(&run.latency);
        add_failures(&mut self.failures, &run.failures);
        self.sent_again.merge(&run.sent_again);
        self.copies.merge(&run.copies);
        self.probes = self.probes.zip(run.probes).map(|(sum, probes)| sum + probes);
        self.phases.merge(&run.phases);
        self.delegations.merge(&run.delegations);
        self.sends.merge(&run.sends);
        for (sum, window) in self.by_window.iter_mut().zip(&run.by_window) {
            sum.merge(window);
        }
        for (sum, job) in self.by_job.iter_mut().zip(&run.by_job) {
            sum.requests.merge(&job.requests);
            sum.latency.merge(&job.latency);
            sum.as_part.merge(&job.as_part);
        }
        for (sum, jobs) in self.work_per_agent.iter_mut().zip(&run.work_per_agent) {
            *sum += jobs;
        }
        for (sum, counts) in self.providers.iter_mut().zip(&run.providers) {
            sum.merge(counts);
        }
        self.runs.push(run);
    }
}

/// How many of these calls there were per request; `None` if that is not known.
pub fn per_request(probes: Option<u64>, requests: &OutcomeCounts) -> Option<f64> {
    probes.map(|probes| probes as f64 / requests.sent.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;

    #[test]
    fn policies_keep_their_order_and_add_up_their_seeds() {
        let report = example::small();
        let merged = PolicyResult::merge(&report.runs);
        let labels: Vec<_> = merged.iter().map(|result| result.policy).collect();
        assert_eq!(labels, ["random", "power_of_two"]);
        for result in &merged {
            assert_eq!(result.runs.len(), 2);
            let sent: u64 = result.runs.iter().map(|run| run.requests.sent).sum();
            assert_eq!(result.requests.sent, sent);
            assert_eq!(result.latency.count(), sent);
            let failed: u64 = result.failures.values().sum();
            assert_eq!(result.requests.failed(), failed);
            let by_window: u64 = result.by_window.iter().map(|w| w.requests.failed()).sum();
            assert_eq!(by_window, failed);
        }
    }
}
