//! What the autoscaled set has cost under each policy, for the table of the terminal and that of the
//! page.

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
