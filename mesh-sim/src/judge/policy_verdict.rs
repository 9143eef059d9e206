//! Which thresholds and oracles a policy kept, over all its seeds.

use std::collections::BTreeMap;
use std::fmt;

use mesh_core::time::nanos;

use super::{FigureValue, MeasuredFigures, RunFigures, Verdict, ViolatedOracle};
use crate::figures::{Bound, Expect, FigureLimit, Threshold};
use crate::format;

/// What one policy missed and violated over all its seeds, and which seeds show it. It is made once
/// per policy (in a sweep, once per policy and cell) after the last run.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyVerdict {
    /// Label of the policy.
    pub policy: String,
    /// The thresholds that the figures of all seeds together missed.
    pub missed: Vec<Miss>,
    /// The oracles that the policy's runs violated, run by run.
    pub violated: Vec<RunViolation>,
    /// Whether there are thresholds for the policy.
    pub has_thresholds: bool,
}

/// A missed threshold, and the seed that shows it best.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// Which threshold, and the value of its figure.
    pub threshold: MissedThreshold,
    /// The seed to replay: the figure of its run is the furthest on the wrong side of the
    /// threshold. If several are equally far, it is the first of them in the order of the runs.
    pub worst_seed: u64,
}

/// A threshold with the figure that missed it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MissedThreshold {
    /// There is a threshold, but there were no requests that could meet it.
    NoRequests,
    /// A figure is on the wrong side of its limit.
    Figure {
        /// Which figure, and the side of its limit.
        threshold: Threshold,
        /// The figure's value over all seeds.
        value: FigureValue,
        /// The last value that is allowed.
        limit: FigureLimit,
    },
}

/// An oracle that one run violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunViolation {
    /// The run's seed.
    pub seed: u64,
    /// Which oracle, when it was first violated, and how often.
    pub oracle: ViolatedOracle,
}

impl PolicyVerdict {
    /// Judges one policy by its figures over all seeds (`whole`) and by its runs, each with its
    /// seed. A threshold comes from the policy's own entry in `expect`; if that entry does not have
    /// it, from the entry `*`.
    pub fn of(
        policy: &str,
        expect: &BTreeMap<String, Expect>,
        whole: &MeasuredFigures,
        runs: &[(u64, &RunFigures)],
    ) -> Self {
        let every = expect.get("*").copied().unwrap_or_default();
        let own = expect.get(policy).copied().unwrap_or_default();
        let expect = own.or(&every);
        let missed = missed(&expect, whole).into_iter().map(|threshold| Miss {
            worst_seed: threshold
                .worst_seed(runs.iter().map(|(seed, run)| (*seed, run.measured()))),
            threshold,
        });
        let violated = runs.iter().flat_map(|&(seed, run)| {
            run.violations.iter().map(move |oracle| RunViolation { seed, oracle: oracle.clone() })
        });
        Self {
            policy: policy.to_owned(),
            missed: missed.collect(),
            violated: violated.collect(),
            has_thresholds: expect != Expect::default(),
        }
    }

    /// The verdict for people; `None` if nothing was demanded of the policy and its runs violated
    /// no oracle.
    pub fn shown(&self) -> Option<Verdict> {
        let verdict = self.verdict();
        (self.has_thresholds || verdict != Verdict::Pass).then_some(verdict)
    }

    /// The same in a word.
    pub fn word(&self) -> &'static str {
        self.shown().map_or(format::NO_FIGURE, Verdict::word)
    }

    /// The verdict in a word.
    pub const fn verdict(&self) -> Verdict {
        Verdict::new(!self.missed.is_empty(), !self.violated.is_empty())
    }
}

impl MissedThreshold {
    /// The seed of the run that is the furthest on the wrong side: the first of several that are
    /// equally far, and 0 if there are no runs.
    fn worst_seed(&self, runs: impl Iterator<Item = (u64, MeasuredFigures)>) -> u64 {
        let badness = |run: &MeasuredFigures| match self {
            // All runs are equally bad, so the first one is named.
            Self::NoRequests => 0.0,
            Self::Figure { threshold, .. } => {
                let badness = run.badness(threshold.figure);
                if threshold.demands_worse() { -badness } else { badness }
            }
        };
        let mut worst = (0, f64::NEG_INFINITY);
        for (seed, run) in runs {
            // Strictly greater, so that the first of equally bad runs stays.
            if badness(&run) > worst.1 {
                worst = (seed, badness(&run));
            }
        }
        worst.0
    }

    /// The threshold alone, as in "p99 > 500 ms".
    pub fn brief(&self) -> String {
        match self {
            Self::NoRequests => "no requests".to_owned(),
            Self::Figure { threshold, limit, .. } => {
                let sign = match threshold.bound {
                    Bound::Least => '<',
                    Bound::Greatest => '>',
                };
                format!("{} {sign} {}", threshold.figure.heading, number(*limit))
            }
        }
    }
}

/// A limit as tables show it. A share has no unit here, because the column's heading names it.
fn number(limit: FigureLimit) -> String {
    match limit {
        FigureLimit::Share(share) => format::share(share),
        FigureLimit::Latency(latency) => format::exact_latency(nanos(latency)),
    }
}

/// The threshold with its figure, as in "p99 is 612.4 ms, more than 500 ms".
impl fmt::Display for MissedThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Figure { threshold, value, limit } = self else {
            return f.write_str("no request was due after the warm-up");
        };
        let figure = threshold.figure;
        let (name, unit) = match limit {
            FigureLimit::Share(_) => (figure.heading.trim_end_matches(" %"), " %"),
            FigureLimit::Latency(_) => (figure.heading, ""),
        };
        let side = match threshold.bound {
            Bound::Least => "less",
            Bound::Greatest => "more",
        };
        write!(f, "{name} is {}, {side} than {}{unit}", value.exact(), number(*limit))
    }
}

fn missed(expect: &Expect, whole: &MeasuredFigures) -> Vec<MissedThreshold> {
    if whole.requests.sent == 0 {
        // Without requests all latencies are zero and would meet any threshold.
        return if expect.is_empty() { Vec::new() } else { vec![MissedThreshold::NoRequests] };
    }
    let missed = expect.iter().filter(|(threshold, limit)| whole.misses(*threshold, *limit));
    let missed = missed.map(|(threshold, limit)| MissedThreshold::Figure {
        threshold,
        value: whole.get(threshold.figure),
        limit,
    });
    missed.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::experiment::example;
    use crate::record::{LatencyHistogram, OutcomeCounts};

    fn judge(expect: &[(&str, Expect)]) -> Vec<PolicyVerdict> {
        let mut report = example::small();
        let expect = expect.iter().map(|(label, e)| ((*label).to_owned(), *e));
        report.scenario.expect = expect.collect();
        report.verdicts()
    }

    fn milliseconds(number: u64) -> FigureLimit {
        FigureLimit::Latency(Duration::from_millis(number))
    }

    #[test]
    fn without_thresholds_only_oracles_count() {
        let [random, power] = judge(&[]).try_into().unwrap();
        assert_eq!(random.verdict(), Verdict::Pass);
        assert_eq!(power.verdict(), Verdict::Violated);
        assert_eq!(power.violated.len(), 1);
        assert_eq!((power.violated[0].seed, power.violated[0].oracle.times), (43, 2));
    }

    #[test]
    fn own_thresholds_replace_those_of_every_policy_one_by_one() {
        let strict = Expect::default()
            .with("min_success", FigureLimit::Share(0.999))
            .with("max_p50", milliseconds(1));
        let lenient = Expect::default().with("min_success", FigureLimit::Share(0.5));
        let [random, power] = judge(&[("*", strict), ("random", lenient)]).try_into().unwrap();
        let brief = |verdict: &PolicyVerdict| {
            verdict.missed.iter().map(|miss| miss.threshold.brief()).collect::<Vec<_>>()
        };
        assert_eq!(brief(&random), ["p50 > 1 ms"]);
        assert_eq!(brief(&power), ["ok % < 99.9", "p50 > 1 ms"]);
    }

    #[test]
    fn a_miss_names_its_figure_its_limit_and_the_worst_seed() {
        let limit = Expect::default().with("min_success", FigureLimit::Share(0.95));
        let [random, _] = judge(&[("random", limit)]).try_into().unwrap();
        assert_eq!(random.missed[0].threshold.to_string(), "ok is 93.75 %, less than 95 %");
        assert_eq!(random.missed[0].worst_seed, 43);
    }

    #[test]
    fn a_bad_effect_may_be_demanded() {
        let limit = Expect::default().with("max_success", FigureLimit::Share(0.9));
        let [random, _] = judge(&[("random", limit)]).try_into().unwrap();
        assert_eq!(random.missed[0].threshold.to_string(), "ok is 93.75 %, more than 90 %");
        assert_eq!(random.missed[0].threshold.brief(), "ok % > 90");
        // The seed with the better figure misses by more.
        assert_eq!(random.missed[0].worst_seed, 42);
    }

    #[test]
    fn of_equally_bad_seeds_the_first_is_shown() {
        let report = example::small();
        let [good, bad] = [0, 1].map(|run| RunFigures::of(&report.runs[run]).measured());
        let threshold = Threshold::of_field("min_success").unwrap();
        let (value, limit) = (bad.get(threshold.figure), FigureLimit::Share(1.0));
        let missed = MissedThreshold::Figure { threshold, value, limit };
        let runs = [(3, good), (5, bad), (7, bad), (9, good)];
        assert_eq!(missed.worst_seed(runs.into_iter()), 5);
        assert_eq!(MissedThreshold::NoRequests.worst_seed(runs.into_iter()), 3);
    }

    #[test]
    fn a_threshold_is_not_met_by_no_requests_at_all() {
        let none = MeasuredFigures::new(&OutcomeCounts::default(), &LatencyHistogram::default());
        let limit = Expect::default().with("max_p99", milliseconds(9_000));
        assert_eq!(missed(&limit, &none), [MissedThreshold::NoRequests]);
        assert_eq!(missed(&Expect::default(), &none), []);
    }
}
