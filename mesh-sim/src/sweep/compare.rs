//! The comparison of each policy with the baseline.

use super::findings::PolicyRuns;
use crate::figures::Figure;
use crate::judge::{MeasuredFigures, PairedFigure};
use crate::statistics::CONFIDENCE;

/// The comparison of one policy with the baseline, in one cell and by one figure.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineComparison {
    /// The policy, as an index of [`Sweep::policies`](super::Sweep::policies).
    pub policy: usize,
    /// The baseline (first) and the policy (second), with a 95 % interval.
    pub paired: PairedFigure,
}

/// Compares every other policy of a cell with the baseline, by every figure that policies are
/// compared by. A policy is left out if there is no seed with which both it and the baseline had
/// requests.
pub(super) fn compare(policies: &[PolicyRuns<'_>], baseline: usize) -> Vec<BaselineComparison> {
    let others = (0..policies.len()).filter(|policy| *policy != baseline);
    others
        .flat_map(|policy| {
            let pairs = policies[baseline].by_seed.iter().zip(&policies[policy].by_seed);
            let pairs: Vec<(MeasuredFigures, MeasuredFigures)> =
                pairs.map(|((_, a), (_, b))| (a.measured(), b.measured())).collect();
            let all = Figure::compared();
            let paired = all.filter_map(|figure| PairedFigure::of(figure, CONFIDENCE, &pairs));
            paired.map(|paired| BaselineComparison { policy, paired }).collect::<Vec<_>>()
        })
        .collect()
}
