//! What the autoscaled set has cost under each policy: for the table of the terminal, that of the
//! page, and the summary.

use mesh_core::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;
use crate::judge::PolicyResult;
use crate::record::ScalingUsage;

/// The headings of the table.
pub(super) const AUTOSCALE_HEADINGS: [&str; 7] =
    ["agent-seconds", "agents", "most", "started", "drained", "stayed", "policy"];

/// The rows of the table: the mean of each policy's seeds; none without an autoscaler. An agent that
/// "stayed" was told to go, and then to stay after all.
pub(super) fn autoscale_rows(policies: &[PolicyResult<'_>]) -> Vec<[String; 7]> {
    policies.iter().filter_map(row).collect()
}

fn row(result: &PolicyResult<'_>) -> Option<[String; 7]> {
    let usages: Vec<&ScalingUsage> =
        result.runs.iter().filter_map(|run| run.scaling.as_ref()).collect();
    let count = usages.len() as f64;
    let last = result.runs.first()?.timeline.len() as f64;
    let mean = |figure: &dyn Fn(&ScalingUsage) -> f64| {
        usages.iter().map(|usage| figure(usage)).sum::<f64>() / count
    };
    let text = |figure: &dyn Fn(&ScalingUsage) -> f64| format!("{:.1}", mean(figure));
    let seconds = mean(&|usage| usage.agent_seconds);
    (!usages.is_empty()).then(|| {
        [
            format::count(seconds.round() as u64),
            format!("{:.2}", seconds / last),
            text(&|usage| f64::from(usage.most())),
            text(&|usage| usage.started as f64),
            text(&|usage| usage.drained as f64),
            text(&|usage| usage.cancelled as f64),
            result.policy.to_owned(),
        ]
    })
}

/// What a set of agents has cost that an autoscaler starts and drains.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Autoscale")]
pub struct AutoscaleEntry {
    /// Seconds for which agents of the set were paid for, each from the order to start it to the end
    /// of its process, added up.
    pub agent_seconds: f64,
    /// Agents that were ordered.
    pub started: u64,
    /// Agents that were told to go.
    pub drained: u64,
    /// Those of them that were told to stay after all.
    pub cancelled: u64,
    /// How many agents were paid for: pairs of the time since when, in seconds, and their number.
    pub agents: Vec<(f64, u32)>,
}

impl AutoscaleEntry {
    pub(super) fn of(usage: &ScalingUsage) -> Self {
        // Milliseconds are exact enough, and don't depend on how a number is added up.
        let rounded = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        let step = |(at, count): &(Timestamp, u32)| (rounded(at.elapsed().as_secs_f64()), *count);
        Self {
            agent_seconds: rounded(usage.agent_seconds),
            started: usage.started,
            drained: usage.drained,
            cancelled: usage.cancelled,
            agents: usage.agents.iter().map(step).collect(),
        }
    }
}
