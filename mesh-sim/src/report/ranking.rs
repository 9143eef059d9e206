//! The ranking of policies as result files have it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::Ranking;

/// Which policy is best, by the objective of the scenario.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingEntry {
    /// Labels of the policies, the best one first. Those that are not told apart stand in the order
    /// of the last figure of the objective. Upper bounds stand after all policies.
    pub order: Vec<String>,
    /// The policies that are not told apart at the top: one if there is a clear winner, none if
    /// fewer than two policies had requests.
    pub best: Vec<String>,
    /// Who wins and by what, or that there is no clear winner; null if there is nothing to compare.
    pub sentence: Option<String>,
}

impl RankingEntry {
    /// The entry for a ranking of policies with these labels.
    pub(crate) fn of<'a>(ranking: &Ranking, label: impl Fn(usize) -> &'a str) -> Self {
        let labels = |indices: &[usize]| -> Vec<String> {
            indices.iter().map(|index| label(*index).to_owned()).collect()
        };
        Self {
            order: labels(&ranking.order),
            best: ranking.first.as_ref().map(|first| labels(&first.best)).unwrap_or_default(),
            sentence: ranking.sentence.clone(),
        }
    }
}
