//! Paired comparison of policies under common random numbers.
//!
//! With one seed every policy meets the same requests, so the difference of two policies is taken
//! seed by seed, and what the seeds have in common cancels out. Seeds are independent; the requests
//! of one run are not, so nothing here counts requests as if each were an observation.

use super::findings::PolicyRuns;
use super::interval::{Interval, interval, mean, reach};
use crate::figures::{Better, Figure};
use crate::judge::MeasuredFigures;

/// With fewer pairs of runs than this there is no interval: figures that are rounded or nearly
/// always the same often agree in all of three or four pairs, which then look like certainty.
pub const FEWEST_SEEDS: usize = 5;

/// What a comparison shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The whole interval is on the better side of zero.
    Better,
    /// The whole interval is on the worse side of zero.
    Worse,
    /// Zero is in the interval.
    NoDifference,
    /// There are fewer than [`FEWEST_SEEDS`] pairs.
    TooFewSeeds,
}

impl Finding {
    /// All.
    pub const ALL: [Self; 4] = [Self::Better, Self::Worse, Self::NoDifference, Self::TooFewSeeds];

    /// Its name in every file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no_difference",
            Self::TooFewSeeds => "too_few_seeds",
        }
    }

    /// What people read.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoDifference => "no difference shown",
            Self::TooFewSeeds => "too few seeds",
            Self::Better | Self::Worse => self.name(),
        }
    }

    /// What it says of the policies.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Better => "The whole interval is on the better side of zero.",
            Self::Worse => "The whole interval is on the worse side of zero.",
            Self::NoDifference => {
                "Zero is in the interval, which does not mean that the policies are equal."
            }
            Self::TooFewSeeds => "There is no interval.",
        }
    }
}

/// One policy against the baseline, in one cell and by one figure.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineComparison {
    /// Index of the policy.
    pub policy: usize,
    /// What they are compared by. Values are shares from 0 to 1, or nanoseconds.
    pub metric: &'static Figure,
    /// Seeds with which both had requests.
    pub pairs: usize,
    /// The baseline's figure, averaged over these seeds.
    pub baseline: f64,
    /// The policy's figure, averaged over these seeds.
    pub figure: f64,
    /// The policy's figure less the baseline's, averaged over these seeds.
    pub difference: f64,
    /// 95 % interval of the difference.
    pub interval: Option<Interval>,
    /// What it shows.
    pub finding: Finding,
}

/// Every policy of one cell but the baseline, by every figure that policies are compared by. A
/// policy that has no run in common with the baseline is left out.
pub(super) fn compare(policies: &[PolicyRuns<'_>], baseline: usize) -> Vec<BaselineComparison> {
    let others = (0..policies.len()).filter(|policy| *policy != baseline);
    others
        .flat_map(|policy| {
            let pairs = policies[baseline].by_seed.iter().zip(&policies[policy].by_seed);
            let pairs = pairs.map(|((_, a), (_, b))| (a.measured(), b.measured()));
            let met = |(a, b): &(MeasuredFigures, MeasuredFigures)| {
                a.requests.sent > 0 && b.requests.sent > 0
            };
            compare_pairs(policy, &pairs.filter(met).collect::<Vec<_>>())
        })
        .collect()
}

fn compare_pairs(
    policy: usize,
    pairs: &[(MeasuredFigures, MeasuredFigures)],
) -> Vec<BaselineComparison> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let reach = (pairs.len() >= FEWEST_SEEDS).then(|| reach(pairs.len()));
    let comparison = |metric: &'static Figure| {
        let numbers = |of: &dyn Fn(&(MeasuredFigures, MeasuredFigures)) -> f64| {
            pairs.iter().map(of).collect()
        };
        let baseline: Vec<f64> = numbers(&|(a, _)| a.get(metric).number());
        let own: Vec<f64> = numbers(&|(_, b)| b.get(metric).number());
        let differences: Vec<f64> = own.iter().zip(&baseline).map(|(b, a)| b - a).collect();
        let interval = reach.map(|reach| interval(&differences, reach));
        BaselineComparison {
            policy,
            metric,
            pairs: pairs.len(),
            baseline: mean(&baseline),
            figure: mean(&own),
            difference: mean(&differences),
            interval,
            finding: finding(metric.better, interval),
        }
    };
    Figure::compared().map(comparison).collect()
}

fn finding(better: Better, interval: Option<Interval>) -> Finding {
    let Some(Interval { low, high }) = interval else { return Finding::TooFewSeeds };
    match (better, low > 0.0, high < 0.0) {
        (_, false, false) => Finding::NoDifference,
        (Better::More, true, _) | (Better::Less, _, true) => Finding::Better,
        (Better::More | Better::Less, ..) => Finding::Worse,
    }
}
