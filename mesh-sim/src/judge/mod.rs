//! Judging: whether runs did what their scenario demands and, if they did not, which seed shows it
//! best.
//!
//! Single runs, sweeps, replays and minimizing have the same judge. It compares the figures of all
//! seeds together with the thresholds of `[expect]`, and looks in each run for violated oracles.
//! The result is a [`Verdict`]; a [`PolicyVerdict`] says why.

mod causes;
mod measured;
mod paired;
mod policy_result;
mod policy_verdict;
mod ranking;
mod regret;
mod winner;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::causes::Causes;
pub use self::measured::{FigureValue, MeasuredFigures, RunFigures, ViolatedOracle};
pub use self::paired::{Finding, PairedFigure};
pub use self::policy_result::{PolicyResult, per_request};
pub use self::policy_verdict::{Miss, MissedThreshold, PolicyVerdict, RunViolation};
pub use self::ranking::{Entrant, FirstPlace, Lead, Ranking, clearly_worse};
pub use self::regret::{is_upper_bound, regret_text, regrets};
pub use self::winner::{advantage, disadvantage};

/// The verdict on a policy, a run or a whole experiment, from the best to the worst. The verdict on
/// several things is the greatest of theirs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every threshold and every oracle was kept.
    Pass,
    /// A threshold was missed.
    Missed,
    /// An oracle was violated; thresholds may have been missed besides.
    Violated,
}

impl Verdict {
    /// The verdict on something that missed a threshold or not, and violated an oracle or not.
    pub const fn new(has_missed: bool, has_violated: bool) -> Self {
        match (has_violated, has_missed) {
            (true, _) => Self::Violated,
            (false, true) => Self::Missed,
            (false, false) => Self::Pass,
        }
    }

    /// The worst of several verdicts; [`Verdict::Pass`] if there are none.
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Pass)
    }

    /// The word for it, in tables and files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Missed => "missed",
            Self::Violated => "violated",
        }
    }

    /// The exit code of a program that ends with this verdict. `mesh-sim --help` lists the codes.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Missed => 4,
            Self::Violated => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_counts() {
        use Verdict::{Missed, Pass, Violated};
        assert_eq!(Verdict::worst([]), Pass);
        assert_eq!(Verdict::worst([Pass, Missed, Pass]), Missed);
        assert_eq!(Verdict::worst([Violated, Missed, Pass]), Violated);
        assert_eq!(Verdict::new(true, true), Violated);
    }

    #[test]
    fn files_have_the_word() {
        for verdict in [Verdict::Pass, Verdict::Missed, Verdict::Violated] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
    }
}
