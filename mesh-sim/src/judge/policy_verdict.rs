//! Which thresholds and oracles a policy kept, over all its seeds.

use std::collections::BTreeMap;
use std::fmt;

use mesh_core::time::nanos;

use super::{PolicyResult, Verdict};
use crate::format;
use crate::record::{Counts, Latency, RunRecord, Violation};
use crate::scenario::Expect;

/// How one policy did, over all its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyVerdict {
    /// Label of the policy.
    pub policy: String,
    /// Thresholds that it missed.
    pub missed: Vec<Miss>,
    /// Oracles that its runs violated.
    pub violated: Vec<Violated>,
}

/// A missed threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// Which, and by how much.
    pub threshold: Threshold,
    /// The seed whose own run is furthest from it.
    pub worst_seed: u64,
}

/// A threshold with the figure that missed it.
#[derive(Clone, Debug, PartialEq)]
pub enum Threshold {
    /// There is a threshold, but no request to hold against it.
    NoRequests,
    /// Too few requests were answered.
    MinSuccess {
        /// By outcome.
        requests: Counts,
        /// Least share to be answered, 0 to 1.
        limit: f64,
    },
    /// Too slow.
    MaxLatency {
        /// Which figure.
        figure: Statistic,
        /// What it is, in nanoseconds.
        latency_ns: u64,
        /// What it may be, in nanoseconds.
        limit_ns: u64,
    },
}

/// A figure of a latency distribution that a threshold can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P99_9,
}

impl Statistic {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P99_9 => "p99.9",
        }
    }

    /// Its value, in nanoseconds.
    pub fn of(self, latency: &Latency) -> u64 {
        match self {
            Self::Mean => latency.mean_ns(),
            Self::P50 => latency.quantile_ns(0.5),
            Self::P90 => latency.quantile_ns(0.9),
            Self::P99 => latency.quantile_ns(0.99),
            Self::P99_9 => latency.quantile_ns(0.999),
        }
    }
}

/// An oracle that one run violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violated {
    /// The run's seed.
    pub seed: u64,
    /// The first violation.
    pub first: Violation,
    /// How often in all.
    pub times: usize,
}

impl PolicyVerdict {
    /// Judges one policy. Thresholds come from its own entry in `expect` and, where that is
    /// silent, from the entry `*`.
    pub fn of(result: &PolicyResult<'_>, expect: &BTreeMap<String, Expect>) -> Self {
        let missed = Threshold::missed(result.policy, expect, &result.requests, &result.latency)
            .into_iter()
            .map(|threshold| Miss { worst_seed: worst_seed(result, &threshold), threshold })
            .collect();
        let violated = result.runs.iter().flat_map(|run| violated(run)).collect();
        Self { policy: result.policy.to_owned(), missed, violated }
    }

    /// The verdict in a word.
    pub const fn verdict(&self) -> Verdict {
        Verdict::new(!self.missed.is_empty(), !self.violated.is_empty())
    }
}

impl Threshold {
    /// Those that a policy with these figures missed.
    pub(crate) fn missed(
        policy: &str,
        expect: &BTreeMap<String, Expect>,
        requests: &Counts,
        latency: &Latency,
    ) -> Vec<Self> {
        missed(&limits(policy, expect), requests, latency)
    }

    /// How far on the wrong side a run is by this threshold's figure; only the order counts.
    pub(crate) fn badness(&self, requests: &Counts, latency: impl Fn(Statistic) -> u64) -> f64 {
        match self {
            Self::NoRequests => 0.0,
            Self::MinSuccess { .. } => 1.0 - requests.success(),
            Self::MaxLatency { figure, .. } => latency(*figure) as f64,
        }
    }

    /// The threshold alone, as in "p99 > 500 ms".
    pub fn brief(&self) -> String {
        match self {
            Self::NoRequests => "no requests".to_owned(),
            Self::MinSuccess { limit, .. } => format!("ok % < {}", format::share(*limit)),
            Self::MaxLatency { figure, limit_ns, .. } => {
                format!("{} > {}", figure.name(), format::exact_latency(*limit_ns))
            }
        }
    }
}

/// The threshold with its figure, as in "p99 is 612.4 ms, more than 500 ms".
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRequests => f.write_str("no request was due after the warm-up"),
            Self::MinSuccess { requests, limit } => {
                let figure = format::percent(requests.answered, requests.sent);
                write!(f, "ok is {figure} %, less than {} %", format::share(*limit))
            }
            Self::MaxLatency { figure, latency_ns, limit_ns } => {
                let (is, limit) =
                    (format::exact_latency(*latency_ns), format::exact_latency(*limit_ns));
                write!(f, "{} is {is}, more than {limit}", figure.name())
            }
        }
    }
}

fn limits(policy: &str, expect: &BTreeMap<String, Expect>) -> Expect {
    let every = expect.get("*").copied().unwrap_or_default();
    let own = expect.get(policy).copied().unwrap_or_default();
    Expect {
        min_success: own.min_success.or(every.min_success),
        max_mean: own.max_mean.or(every.max_mean),
        max_p50: own.max_p50.or(every.max_p50),
        max_p90: own.max_p90.or(every.max_p90),
        max_p99: own.max_p99.or(every.max_p99),
        max_p99_9: own.max_p99_9.or(every.max_p99_9),
    }
}

fn missed(limits: &Expect, requests: &Counts, latency: &Latency) -> Vec<Threshold> {
    if requests.sent == 0 {
        // Figures of nothing would meet any limit on latency.
        let demanded = *limits != Expect::default();
        return if demanded { vec![Threshold::NoRequests] } else { Vec::new() };
    }
    let mut missed = Vec::new();
    if let Some(limit) = limits.min_success
        && requests.success() < limit
    {
        missed.push(Threshold::MinSuccess { requests: *requests, limit });
    }
    let limits = [
        (Statistic::Mean, limits.max_mean),
        (Statistic::P50, limits.max_p50),
        (Statistic::P90, limits.max_p90),
        (Statistic::P99, limits.max_p99),
        (Statistic::P99_9, limits.max_p99_9),
    ];
    for (figure, limit) in limits {
        let Some(limit_ns) = limit.map(nanos) else { continue };
        let latency_ns = figure.of(latency);
        if latency_ns > limit_ns {
            missed.push(Threshold::MaxLatency { figure, latency_ns, limit_ns });
        }
    }
    missed
}

fn worst_seed(result: &PolicyResult<'_>, threshold: &Threshold) -> u64 {
    let latency = |run: &RunRecord, figure: Statistic| figure.of(&run.latency);
    let badness = |run: &RunRecord| threshold.badness(&run.requests, |figure| latency(run, figure));
    furthest(result.runs.iter().map(|run| (run.seed, badness(run))))
}

/// The seed to replay: that of the run that is furthest on the wrong side of the threshold. Where
/// several are equally far, it is the first of them in the order in which they were run, which is
/// the order of the seeds; 0 if there are no runs.
pub(crate) fn furthest(runs: impl Iterator<Item = (u64, f64)>) -> u64 {
    let mut worst = (0, f64::NEG_INFINITY);
    for (seed, badness) in runs {
        if badness > worst.1 {
            worst = (seed, badness);
        }
    }
    worst.0
}

pub(crate) fn violated(run: &RunRecord) -> Vec<Violated> {
    let mut violated: Vec<Violated> = Vec::new();
    for violation in &run.violations {
        match violated.iter_mut().find(|known| known.first.oracle == violation.oracle) {
            Some(known) => known.times += 1,
            None => {
                violated.push(Violated { seed: run.seed, first: violation.clone(), times: 1 });
            }
        }
    }
    violated
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::example;

    fn judge(expect: &[(&str, Expect)]) -> Vec<PolicyVerdict> {
        let report = example::small();
        let expect = expect.iter().map(|(label, e)| ((*label).to_owned(), *e)).collect();
        PolicyResult::merge(&report.runs).iter().map(|r| PolicyVerdict::of(r, &expect)).collect()
    }

    #[test]
    fn without_thresholds_only_oracles_count() {
        let [random, power] = judge(&[]).try_into().unwrap();
        assert_eq!(random.verdict(), Verdict::Pass);
        assert_eq!(power.verdict(), Verdict::Violated);
        assert_eq!(power.violated.len(), 1);
        assert_eq!((power.violated[0].seed, power.violated[0].times), (43, 2));
    }

    #[test]
    fn own_thresholds_replace_those_of_every_policy_one_by_one() {
        let strict = Expect {
            min_success: Some(0.999),
            max_p50: Some(Duration::from_millis(1)),
            ..Expect::default()
        };
        let lenient = Expect { min_success: Some(0.5), ..Expect::default() };
        let [random, power] = judge(&[("*", strict), ("random", lenient)]).try_into().unwrap();
        let brief = |verdict: &PolicyVerdict| {
            verdict.missed.iter().map(|miss| miss.threshold.brief()).collect::<Vec<_>>()
        };
        assert_eq!(brief(&random), ["p50 > 1 ms"]);
        assert_eq!(brief(&power), ["ok % < 99.9", "p50 > 1 ms"]);
    }

    #[test]
    fn a_miss_names_its_figure_its_limit_and_the_worst_seed() {
        let limit = Expect { min_success: Some(0.95), ..Expect::default() };
        let [random, _] = judge(&[("random", limit)]).try_into().unwrap();
        assert_eq!(random.missed[0].threshold.to_string(), "ok is 93.75 %, less than 95 %");
        assert_eq!(random.missed[0].worst_seed, 43);
    }

    #[test]
    fn of_equally_bad_seeds_the_first_is_shown() {
        assert_eq!(furthest([(3, 0.1), (5, 0.2), (7, 0.2)].into_iter()), 5);
    }

    #[test]
    fn a_threshold_is_not_met_by_no_requests_at_all() {
        let limits = Expect { max_p99: Some(Duration::from_secs(9)), ..Expect::default() };
        let none = (Counts::default(), Latency::default());
        assert_eq!(missed(&limits, &none.0, &none.1), [Threshold::NoRequests]);
        assert_eq!(missed(&Expect::default(), &none.0, &none.1), []);
    }
}
