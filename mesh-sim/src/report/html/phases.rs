//! Where the time of the answered requests went, and who delegated to whom.

use std::fmt::Write as _;

use super::agents::label;
use crate::format;
use crate::grouping::groups;
use crate::judge::PolicyResult;
use crate::page::{
    Axis, AxisUnit, ChartRow, Matrix, RowChart, escape, grid, key, panel, panels, scroll,
};
use crate::record::{DelegationMatrix, LatencyPhases};
use crate::scenario::Scenario;

/// A matrix has at most so many rows on the page; neighbours share them beyond that.
const MOST_ROWS: usize = 20;
/// The colour of each phase, in their order.
const COLOURS: [usize; 6] = [4, 3, 5, 1, 0, 6];

/// What the phases are, for the reader.
pub(super) const NOTE: &str = "The mean of the answered requests. Probing: until the entry agent \
    first sends the job. Retrying: attempts that brought no answer. Network: messages under way. \
    Queueing: waiting for a slot. Work: the job runs; longer if jobs share the cores. Waiting: for \
    models and tools.";

/// The mean time of each phase.
fn means(phases: &LatencyPhases) -> [(&'static str, f64); 6] {
    phases.parts().map(|(name, ns)| (name, ns as f64 / phases.requests.max(1) as f64))
}

/// A bar for each policy, and the same as a table; `None` if no phases were recorded.
pub(super) fn split(policies: &[PolicyResult<'_>]) -> Option<String> {
    if policies.iter().all(|result| result.phases.requests == 0) {
        return None;
    }
    let rows: Vec<ChartRow> = policies.iter().map(row).collect();
    let sums = rows.iter().map(|row| row.parts.iter().map(|(_, ns, _)| ns).sum::<f64>());
    let x = Axis::from_zero(sums.fold(0.0, f64::max), AxisUnit::Latency);
    let names = LatencyPhases::default().parts().map(|(name, _)| name);
    let samples = COLOURS
        .map(|colour| format!("<rect class=\"part f{colour}\" width=\"30\" height=\"12\"/>"));
    let key = key(samples.into_iter().zip(names));
    let caption = "Mean latency of the answered requests";
    let chart = RowChart { caption, x, zero: None, rows }.render_with_key(&key);
    Some(grid(&chart) + &table(policies))
}

fn row(result: &PolicyResult<'_>) -> ChartRow {
    let means = means(&result.phases);
    let sum: f64 = means.iter().map(|(_, ns)| ns).sum();
    let parts = means.into_iter().zip(COLOURS).map(|((name, ns), colour)| {
        let share = (ns * 100.0 / sum.max(f64::MIN_POSITIVE)).round();
        let value = AxisUnit::Latency.text(ns);
        (colour, ns, format!("{}: {name} {value} ({share} %)", result.policy))
    });
    let text = AxisUnit::Latency.text(sum);
    ChartRow { parts: parts.collect(), ..ChartRow::new(result.policy, text) }
}

fn table(policies: &[PolicyResult<'_>]) -> String {
    let mut out = "<table><thead><tr><th>policy</th>".to_owned();
    for (name, _) in LatencyPhases::default().parts() {
        let _ = write!(out, "<th>{name}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>");
    for result in policies {
        let _ = write!(out, "<tr><td>{}</td>", escape(result.policy));
        for (_, ns) in means(&result.phases) {
            let _ = write!(out, "<td>{}</td>", AxisUnit::Latency.text(ns));
        }
        out.push_str("</tr>\n");
    }
    scroll(&(out + "</tbody></table>"))
}

/// A matrix for each policy; `None` if no delegations were recorded.
pub(super) fn who_to_whom(scenario: &Scenario, policies: &[PolicyResult<'_>]) -> Option<String> {
    let most = policies.iter().flat_map(|result| &result.delegations.counts).max();
    if most.is_none_or(|most| *most == 0) {
        return None;
    }
    let panel = |result: &PolicyResult<'_>| {
        let DelegationMatrix { rows, .. } = result.delegations;
        let of_rows = groups(rows, MOST_ROWS);
        let of_agents = groups(scenario.agents.len(), rows);
        let names: Vec<String> = of_rows
            .iter()
            .map(|rows| {
                label(scenario, &(of_agents[rows.start].start..of_agents[rows.end - 1].end))
            })
            .collect();
        let count = |from: &std::ops::Range<usize>, to: &std::ops::Range<usize>| -> u64 {
            let columns = |row: usize| to.clone().map(move |column| row * rows + column);
            from.clone().flat_map(columns).map(|at| result.delegations.counts[at]).sum()
        };
        let cells = of_rows.iter().flat_map(|from| of_rows.iter().map(move |to| (from, to)));
        let counts: Vec<u64> = cells.map(|(from, to)| count(from, to)).collect();
        let what = format!("{}: who delegated to whom", result.policy);
        let matrix = Matrix { what: &what, names: &names, counts: &counts, noun: "jobs" };
        panel(result.policy, &(matrix.render() + &spread(&counts, names.len())))
    };
    Some(panels(&policies.iter().map(panel).collect::<String>()))
}

/// The greatest share of the jobs that went to one agent, or to one group.
fn spread(counts: &[u64], rows: usize) -> String {
    let all: u64 = counts.iter().sum();
    let column = |column: usize| counts.iter().skip(column).step_by(rows).sum::<u64>();
    let most = (0..rows).map(column).max().unwrap_or_default();
    format!(
        "<p class=\"soft\">The busiest column has {} % of the jobs.</p>\n",
        format::percent(most, all)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::experiment::example;

    #[test]
    fn phases_are_bars_and_delegations_a_matrix() {
        let mut report = example::small();
        assert_eq!(split(&report.policies()), None);
        let ms = |ms: u64| u128::from(ms) * 1_000_000;
        for run in &mut report.runs {
            run.phases = LatencyPhases {
                requests: 10,
                work_ns: ms(300),
                network_ns: ms(100),
                ..LatencyPhases::default()
            };
            run.delegations = DelegationMatrix { rows: 2, counts: vec![0, 30, 10, 0] };
        }
        let policies = report.policies();
        let bars = split(&policies).expect("bars");
        assert!(bars.contains("random: work 30.0 ms (75 %)"), "{bars}");
        assert_eq!(bars.matches("class=\"part f").count(), 2 * 6 + 6);
        let scenario = example::scenario(2, Duration::from_secs(1), &["random"]);
        let matrix = who_to_whom(&scenario, &policies).expect("a matrix");
        assert!(matrix.contains("agent-1 to agent-2: 60 jobs"), "{matrix}");
        assert!(matrix.contains("75.00 % of the jobs"));
    }
}
