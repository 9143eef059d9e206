//! The paired comparison of two policies under common random numbers.
//!
//! With the same seed every policy gets the same requests. So the difference of two policies is
//! taken seed by seed, and the luck of a seed, which both policies share, cancels out. Seeds are
//! independent of each other. The requests of one run are not, so a whole run counts as one
//! observation.

use super::MeasuredFigures;
use crate::figures::{Better, Figure};
use crate::statistics::{Interval, mean, paired_interval};

/// What a comparison shows about the second of two policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The whole interval is on the better side of zero.
    Better,
    /// The whole interval is on the worse side of zero.
    Worse,
    /// Zero is in the interval.
    NoDifference,
    /// There are fewer than [`FEWEST_SEEDS`](crate::statistics::FEWEST_SEEDS) pairs.
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

    /// What an interval of differences of a figure shows.
    pub fn of(better: Better, interval: Option<Interval>) -> Self {
        let Some(Interval { low, high }) = interval else { return Self::TooFewSeeds };
        match (better, low > 0.0, high < 0.0) {
            (_, false, false) => Self::NoDifference,
            (Better::More, true, _) | (Better::Less, _, true) => Self::Better,
            (Better::More | Better::Less, ..) => Self::Worse,
        }
    }
}

/// The comparison of two policies by one figure. Values are shares from 0 to 1, or nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedFigure {
    /// The figure by which the two are compared.
    pub metric: &'static Figure,
    /// The number of seeds with which both policies had requests; at least one.
    pub pairs: usize,
    /// The mean of the first policy's figure over these seeds.
    pub first: f64,
    /// The mean of the second policy's figure over these seeds.
    pub second: f64,
    /// The mean of the second policy's figure less the first one's.
    pub difference: f64,
    /// The confidence interval of the difference; `None` if there are fewer pairs than
    /// [`FEWEST_SEEDS`](crate::statistics::FEWEST_SEEDS).
    pub interval: Option<Interval>,
    /// What the interval shows about the second policy.
    pub finding: Finding,
}

impl PairedFigure {
    /// Compares two policies by the runs in `pairs`, one pair per seed. The share `confidence` of
    /// intervals contains the true difference. `None` if there is no seed with which both had
    /// requests.
    pub fn of(
        metric: &'static Figure,
        confidence: f64,
        pairs: &[(MeasuredFigures, MeasuredFigures)],
    ) -> Option<Self> {
        let met = |(a, b): &&(MeasuredFigures, MeasuredFigures)| {
            a.requests.sent > 0 && b.requests.sent > 0
        };
        let numbers = |(a, b): &(MeasuredFigures, MeasuredFigures)| {
            (a.get(metric).number(), b.get(metric).number())
        };
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().filter(met).map(numbers).unzip();
        if first.is_empty() {
            return None;
        }
        let differences: Vec<f64> = second.iter().zip(&first).map(|(b, a)| b - a).collect();
        let pairs = differences.len();
        let interval = paired_interval(&differences, confidence);
        Some(Self {
            metric,
            pairs,
            first: mean(&first),
            second: mean(&second),
            difference: mean(&differences),
            interval,
            finding: Finding::of(metric.better, interval),
        })
    }

    /// The difference and its interval as shares of the first policy's figure: -0.4 if the second
    /// one's is 40 % less. `None` if the first one's figure is zero.
    pub fn relative(&self) -> Option<(f64, Option<Interval>)> {
        let share = |difference: f64| difference / self.first;
        let interval = self.interval.map(|i| Interval { low: share(i.low), high: share(i.high) });
        (self.first > 0.0).then(|| (share(self.difference), interval))
    }
}
