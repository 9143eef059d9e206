//! Paired comparison of policies under common random numbers.
//!
//! With the same seed every policy gets the same requests. So the difference of two policies is
//! taken seed by seed, and the luck of a seed, which both policies share, cancels out. Seeds are
//! independent of each other. The requests of one run are not, so a whole run counts as one
//! observation.

use super::findings::PolicyRuns;
use crate::figures::{Better, Figure};
use crate::judge::MeasuredFigures;
use crate::statistics::{FEWEST_SEEDS, Interval, interval, mean, reach};

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
    /// All findings.
    pub const ALL: [Self; 4] = [Self::Better, Self::Worse, Self::NoDifference, Self::TooFewSeeds];

    /// The name of the finding in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no_difference",
            Self::TooFewSeeds => "too_few_seeds",
        }
    }

    /// The words for the finding in tables for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoDifference => "no difference shown",
            Self::TooFewSeeds => "too few seeds",
            Self::Better | Self::Worse => self.name(),
        }
    }

    /// What the finding says about the policies, for the schema of the files.
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

/// The comparison of one policy with the baseline, in one cell and by one figure. It is made from
/// the seeds with which both policies had requests. Values are shares from 0 to 1, or nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineComparison {
    /// The policy, as an index of [`Sweep::policies`](super::Sweep::policies).
    pub policy: usize,
    /// The figure by which the two are compared.
    pub metric: &'static Figure,
    /// The number of seeds with which both policies had requests.
    pub pairs: usize,
    /// The mean of the baseline's figure over these seeds.
    pub baseline: f64,
    /// The mean of the policy's figure over these seeds.
    pub figure: f64,
    /// The mean of the policy's figure less the baseline's.
    pub difference: f64,
    /// The 95 % confidence interval of the difference; `None` if there are fewer pairs than
    /// [`FEWEST_SEEDS`].
    pub interval: Option<Interval>,
    /// What the interval shows.
    pub finding: Finding,
}

/// Compares every other policy of a cell with the baseline, by every figure that policies are
/// compared by. A policy is left out if there is no seed with which both it and the baseline had
/// requests.
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
