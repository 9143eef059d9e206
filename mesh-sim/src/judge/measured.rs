//! The values of the figures, of one run or of several runs added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Causes;
use crate::figures::{Better, Bound, Figure, FigureLimit, Latencies, Measure, Threshold};
use crate::format;
use crate::record::{LatencyHistogram, OutcomeCounts, RunRecord};

/// Every figure of one run, or of all runs of a policy added up. The judge, the tables and the
/// files all read figures from here. [`Figure`] describes a figure, and this has its value:
/// `measured.get(figure)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredFigures {
    /// Requests by outcome.
    pub requests: OutcomeCounts,
    /// The figures of the latencies, in nanoseconds; all zero if there were no requests.
    pub latency_ns: Latencies<u64>,
}

/// The value of one figure, in the figure's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FigureValue {
    /// A share of the requests.
    Share {
        /// The number of requests that belong to the share.
        part: u64,
        /// The number of all requests.
        whole: u64,
    },
    /// A latency, in nanoseconds.
    Latency(u64),
}

/// What a sweep keeps of a run that has ended. It is small enough for a million runs, and enough
/// for the files, the judge and paired comparisons. It has no histogram of the latencies: a sweep
/// adds those up over the seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFigures {
    /// Requests by outcome.
    pub requests: OutcomeCounts,
    /// Requests that were not answered, by reason.
    pub failures: BTreeMap<String, u64>,
    /// The figures of the latencies, in nanoseconds; all zero if there were no requests.
    pub latency: Latencies<u64>,
    /// How often agents called peers without a job; `None` if that is not known.
    pub probes: Option<u64>,
    /// What explains the figures.
    pub causes: Causes,
    /// Hash of every event of the run.
    pub event_hash: u64,
    /// Number of events hashed.
    pub events: u64,
    /// The oracles that the run violated. Each is here once, in the order of the first violations.
    pub violations: Vec<ViolatedOracle>,
}

/// An oracle that a run violated: the first violation, and how often it was violated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViolatedOracle {
    /// The oracle's name.
    pub oracle: String,
    /// When it was first violated, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// What was seen then, in a sentence.
    pub detail: String,
    /// How often the run violated it.
    pub times: u64,
}

impl MeasuredFigures {
    /// The figures of these requests and their latencies.
    pub fn new(requests: &OutcomeCounts, latency: &LatencyHistogram) -> Self {
        Self { requests: *requests, latency_ns: latencies_ns(latency) }
    }

    /// The value of a figure.
    pub fn get(&self, figure: &Figure) -> FigureValue {
        match self.latency_ns.get(figure) {
            Some(latency_ns) => FigureValue::Latency(latency_ns),
            // The only figure that is no latency is the share of answered requests.
            None => FigureValue::Share { part: self.requests.answered, whole: self.requests.sent },
        }
    }

    /// The figures of the latencies in milliseconds, as files have them; `None` if there were no
    /// requests.
    pub fn latency_ms(&self) -> Option<Latencies<f64>> {
        (self.requests.sent > 0).then(|| self.latency_ns.map(format::ms_number))
    }

    /// How bad the value of a figure is: the greater the number, the worse the value. The number
    /// itself means nothing; it is only for comparing two values of one figure.
    pub(crate) fn badness(&self, figure: &Figure) -> f64 {
        let number = self.get(figure).number();
        match figure.better {
            Better::More => -number,
            Better::Less => number,
        }
    }

    /// Whether a figure is on the wrong side of a threshold with this limit.
    pub(super) fn misses(&self, threshold: Threshold, limit: FigureLimit) -> bool {
        let (number, limit) = (self.get(threshold.figure).number(), limit.number());
        match threshold.bound {
            Bound::Least => number < limit,
            Bound::Greatest => number > limit,
        }
    }
}

impl FigureValue {
    /// As a number: a share from 0 to 1 (0 of no requests), or nanoseconds.
    pub fn number(self) -> f64 {
        match self {
            Self::Share { whole: 0, .. } => 0.0,
            Self::Share { part, whole } => part as f64 / whole as f64,
            Self::Latency(latency_ns) => latency_ns as f64,
        }
    }

    /// As files have it: a share from 0 to 1, or milliseconds.
    pub fn in_files(self) -> f64 {
        match self {
            Self::Share { .. } => self.number(),
            Self::Latency(latency_ns) => format::ms_number(latency_ns),
        }
    }

    /// In full and with its unit, for people.
    pub(super) fn exact(self) -> String {
        match self {
            Self::Share { part, whole } => format!("{} %", format::percent(part, whole)),
            Self::Latency(latency_ns) => format::exact_latency(latency_ns),
        }
    }
}

impl RunFigures {
    /// What a sweep keeps of this run.
    pub fn of(run: &RunRecord) -> Self {
        Self {
            requests: run.requests,
            failures: run.failures.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
            latency: latencies_ns(&run.latency),
            probes: run.probes,
            causes: Causes::of(run),
            event_hash: run.event_hash,
            events: run.events,
            violations: violated_oracles(run),
        }
    }

    /// The figures alone.
    pub const fn measured(&self) -> MeasuredFigures {
        MeasuredFigures { requests: self.requests, latency_ns: self.latency }
    }
}

/// The figures of the latencies in a histogram, in nanoseconds.
fn latencies_ns(latency: &LatencyHistogram) -> Latencies<u64> {
    Latencies::from_fn(|figure| match figure.measure {
        Measure::Mean => latency.mean_ns(),
        Measure::Least => latency.min_ns(),
        Measure::Quantile(quantile) => latency.quantile_ns(quantile),
        Measure::Greatest => latency.max_ns(),
        Measure::Answered => unreachable!("a share is no figure of the latencies"),
    })
}

fn violated_oracles(run: &RunRecord) -> Vec<ViolatedOracle> {
    let mut oracles: Vec<ViolatedOracle> = Vec::new();
    for violation in &run.violations {
        match oracles.iter_mut().find(|known| known.oracle == violation.oracle) {
            Some(known) => known.times += 1,
            None => oracles.push(ViolatedOracle {
                oracle: violation.oracle.to_owned(),
                at_ns: violation.at_ns,
                detail: violation.detail.clone(),
                times: 1,
            }),
        }
    }
    oracles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;
    use crate::figures::FIGURES;

    #[test]
    fn a_run_and_what_stays_of_it_have_the_same_figures() {
        let report = example::small();
        for run in &report.runs {
            let whole = MeasuredFigures::new(&run.requests, &run.latency);
            assert_eq!(RunFigures::of(run).measured(), whole);
            let max = FIGURES.iter().find(|figure| figure.key == "max").unwrap();
            assert_eq!(whole.get(max), FigureValue::Latency(run.latency.max_ns()));
        }
    }

    #[test]
    fn the_fewer_answers_and_the_slower_the_worse() {
        let report = example::small();
        let [good, bad] = [0, 1]
            .map(|run| MeasuredFigures::new(&report.runs[run].requests, &report.runs[run].latency));
        let success = Figure::with_threshold("min_success").unwrap();
        assert!(bad.badness(success) > good.badness(success));
        assert!(
            bad.misses(Threshold::against_worse(success), FigureLimit::Share(0.9))
                && !good.misses(Threshold::against_worse(success), FigureLimit::Share(1.0))
        );
        // The opposite threshold demands the bad value.
        let opposite = Threshold::against_better(success);
        assert!(good.misses(opposite, FigureLimit::Share(0.99)));
        assert!(!bad.misses(opposite, FigureLimit::Share(0.99)));
        let mean = Figure::with_threshold("max_mean").unwrap();
        assert!(bad.badness(mean) > good.badness(mean));
    }
}
