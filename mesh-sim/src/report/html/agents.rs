//! The page's tables and plots about agents: how much work each did, and how busy its CPU was.

use std::fmt::Write as _;
use std::ops::Range;

use crate::estimate::jobs_in_a_run;
use crate::format;
use crate::grouping::{cpu_columns, groups};
use crate::judge::PolicyResult;
use crate::page::{Area, Axis, Scale, escape, key, panel, panels, scroll};
use crate::record::RunRecord;
use crate::scenario::Scenario;

/// If there are more agents than this, neighbours share a row, so that a page about thousands of
/// agents stays small.
const MAX_ROWS: usize = 32;
/// If there are more seconds than this, neighbours share a column.
const MAX_COLUMNS: usize = 120;
/// How many shades a heat map has.
const LEVELS: usize = 10;
const ROW_HEIGHT: f64 = 14.0;

/// The name of an agent, or of neighbours that share a row.
pub(super) fn label(scenario: &Scenario, group: &Range<usize>) -> String {
    let name = |index: usize| scenario.agents.get(index).map_or("", |agent| &*agent.name);
    match group.len() {
        1 => name(group.start).to_owned(),
        _ => format!("{} \u{2026} {}", name(group.start), name(group.end - 1)),
    }
}

/// What the table of the agents' work shows, in words.
pub(super) fn work_note(scenario: &Scenario) -> &'static str {
    match scenario.agents.iter().all(|agent| jobs_in_a_run(scenario, agent).is_some()) {
        true => {
            "Jobs that each agent finished after the warm-up, as a share of what its cores and \
             slots can do in that time. Equal shares are a good balance even if the agents are not \
             equal. Point at a share to see the number of jobs."
        }
        false => "Jobs that each agent finished after the warm-up. Bars share one scale.",
    }
}

/// A table of the work that each agent did under each policy: as a share of what it can do, or, if
/// nothing limits some agent, as a number of jobs.
pub(super) fn work(scenario: &Scenario, policies: &[PolicyResult<'_>]) -> String {
    let mut out = "<table class=\"work\"><thead><tr><th>agent</th>".to_owned();
    for result in policies {
        let _ = write!(out, "<th>{}</th>", escape(result.policy).replace('_', "_<wbr>"));
    }
    out.push_str("</tr></thead>\n<tbody>");
    let groups = groups(scenario.agents.len(), MAX_ROWS);
    let jobs = |result: &PolicyResult<'_>, group: &Range<usize>| {
        result.work_per_agent.iter().skip(group.start).take(group.len()).sum::<u64>()
    };
    let all = |result| groups.iter().map(move |group| jobs(result, group));
    let most = policies.iter().flat_map(all).max().unwrap_or_default().max(1);
    let limits: Option<Vec<f64>> =
        scenario.agents.iter().map(|agent| jobs_in_a_run(scenario, agent)).collect();
    for group in &groups {
        let _ = write!(out, "<tr><td>{}</td>", escape(&label(scenario, group)));
        let limit = limits.as_ref().map(|limits| limits[group.clone()].iter().sum::<f64>());
        for result in policies {
            let jobs = jobs(result, group);
            let count = format::counted(jobs as usize, "job");
            let (share, text) = match limit {
                Some(limit) => {
                    let limit = (limit * result.runs.len() as f64).max(f64::MIN_POSITIVE);
                    let percent = jobs as f64 * 100.0 / limit;
                    (percent.min(100.0), format!("{percent:.0} %"))
                }
                None => (jobs as f64 * 100.0 / most as f64, format::count(jobs)),
            };
            let _ = write!(
                out,
                "<td class=\"bar\" style=\"--share:{share:.1}%\" title=\"{count}\">{text}</td>"
            );
        }
        out.push_str("</tr>\n");
    }
    scroll(&(out + "</tbody></table>"))
}

/// Heat maps of the CPU % of each agent over time, one panel per run.
pub(super) fn cpu(scenario: &Scenario, runs: &[&RunRecord]) -> String {
    let cpu_columns = cpu_columns(scenario.agents.len());
    let rows = groups(cpu_columns.len(), MAX_ROWS);
    let names: Vec<&str> = rows
        .iter()
        .map(|row| scenario.agents.get(cpu_columns[row.start].start))
        .map(|agent| agent.map_or("", |agent| &*agent.name))
        .collect();
    let samples: Vec<String> = (0..=LEVELS / 2)
        .map(|fifth| {
            let cold = "<rect class=\"cold\" width=\"30\" height=\"12\"/>";
            let shade = opacity(fifth * 2);
            format!(
                "{cold}<rect class=\"heat\" fill-opacity=\"{shade}\" width=\"30\" height=\"12\"/>"
            )
        })
        .collect();
    let percents = ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"];
    let panel = |run: &&RunRecord| panel(&run.policy, &heat_map(&names, run, &rows));
    key(samples.into_iter().zip(percents)) + &panels(&runs.iter().map(panel).collect::<String>())
}

fn opacity(level: usize) -> String {
    format!("{:.2}", level as f64 / LEVELS as f64)
}

fn heat_map(names: &[&str], run: &RunRecord, rows: &[Range<usize>]) -> String {
    let area = Area::new(320.0, rows.len() as f64 * ROW_HEIGHT + 34.0, 72.0);
    let seconds = run.timeline.len();
    let time = Axis::of_time(seconds as f64);
    let x = area.x_scale(&time);
    let columns = groups(seconds, MAX_COLUMNS);
    let mut shades = vec![String::new(); LEVELS + 1];
    let mut content = format!(
        "<rect class=\"cold\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        area.left,
        area.top,
        area.right - area.left,
        area.bottom - area.top
    );
    for (index, row) in rows.iter().enumerate() {
        let y = area.top + index as f64 * ROW_HEIGHT;
        add_row(&mut shades, &x, y, &levels(run, row, &columns));
        // Every name if there are few, else every fourth.
        if rows.len() <= 16 || index % 4 == 0 {
            let _ = write!(
                content,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                area.left - 6.0,
                y + ROW_HEIGHT - 3.5,
                escape(&format::ellipsis(names[index], 11))
            );
        }
    }
    for (level, path) in shades.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let shade = opacity(level);
        let _ = write!(content, "<path class=\"heat\" fill-opacity=\"{shade}\" d=\"{path}\"/>");
    }
    content.push_str(&area.x_axis(&time));
    for (index, row) in rows.iter().enumerate() {
        let mean = busy(run, row, &(0..seconds));
        let _ = write!(
            content,
            "<rect class=\"hover\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
             height=\"{ROW_HEIGHT}\"><title>{}: {mean:.0} % busy on average</title></rect>",
            area.left,
            area.top + index as f64 * ROW_HEIGHT,
            area.right - area.left,
            escape(names[index])
        );
    }
    area.svg(&format!("{}: CPU of each agent over time", run.policy), &content)
}

/// The shade of each column of a row, with the column's seconds.
fn levels(
    run: &RunRecord,
    row: &Range<usize>,
    columns: &[Range<usize>],
) -> Vec<(usize, Range<usize>)> {
    // Rounded to the nearest shade, so 5 % is the least that can be seen.
    let level = |mean: f64| ((mean * LEVELS as f64 / 100.0 + 0.5) as usize).min(LEVELS);
    columns.iter().map(|column| (level(busy(run, row, column)), column.clone())).collect()
}

/// The mean CPU % of some agents in some seconds.
fn busy(run: &RunRecord, row: &Range<usize>, seconds: &Range<usize>) -> f64 {
    let all = run.timeline[seconds.clone()].iter();
    let sum: f64 = all.flat_map(|second| &second.cpu_percent[row.clone()]).sum();
    sum / (row.len() * seconds.len()).max(1) as f64
}

/// Adds a row of a heat map to the path of each shade. Neighbours of the same shade become one
/// rectangle, which keeps the page small.
fn add_row(shades: &mut [String], x: &Scale, y: f64, levels: &[(usize, Range<usize>)]) {
    for run in levels.chunk_by(|(one, _), (next, _)| one == next) {
        let (Some((level, first)), Some((_, last))) = (run.first(), run.last()) else { continue };
        if *level > 0 {
            let (left, right) = (x.px(first.start as f64), x.px(last.end as f64));
            let height = ROW_HEIGHT - 1.0;
            let _ = write!(shades[*level], "M{left:.1} {y:.1}H{right:.1}v{height}H{left:.1}Z");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_everything_once() {
        for (len, max) in [(0, 32), (8, 32), (33, 32), (1000, 32)] {
            let groups = groups(len, max);
            assert_eq!(groups.len(), len.min(max));
            let covered: Vec<usize> = groups.into_iter().flatten().collect();
            assert_eq!(covered, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_neighbours_are_one_rectangle() {
        let x = Scale::linear(0.0, 4.0, 0.0, 40.0);
        let mut shades = vec![String::new(); LEVELS + 1];
        add_row(&mut shades, &x, 5.0, &[(0, 0..1), (3, 1..2), (3, 2..3), (10, 3..4)]);
        assert_eq!(shades[3], "M10.0 5.0H30.0v13H10.0Z");
        assert_eq!(shades[10], "M30.0 5.0H40.0v13H30.0Z");
        assert!(shades[0].is_empty());
    }
}
