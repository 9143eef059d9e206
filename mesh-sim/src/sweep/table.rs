//! What the terminal shows of a sweep: the policies of each cell, and how they compare.

use std::path::{Path, PathBuf};

use super::compare::BaselineComparison;
use super::findings::{CellFindings, PolicyFindings, SweepFindings};
use super::{Sweep, SweepCell, SweepTally};
use crate::figures::{Figure, Shown, Unit};
use crate::format;
use crate::judge::{PairedFigure, PolicyVerdict, RunFigures, regret_text};
use crate::report::figure_text;
use crate::report::table::{layout, ordered, replay, wrapped};
use crate::statistics::FEWEST_SEEDS;

/// Labels in the table of policies are cut to this many characters.
const LABEL: usize = 14;

/// The whole sweep for a terminal of 80 columns. `dir` is the directory of its files, for the
/// commands that replay a run.
pub fn render(findings: &SweepFindings<'_>, dir: &Path) -> String {
    let sweep = findings.sweep;
    let mut out = String::new();
    let mut problems = String::new();
    for CellFindings { cell, policies, comparisons, ranking } in &findings.cells {
        out.push_str(&heading(sweep, cell));
        let policies = &ordered(policies, &ranking.order);
        out.push_str(&layout(&rows(policies)));
        if let Some(sentence) = &ranking.sentence {
            out.push_str(&wrapped(sentence, 1, 3));
        }
        out.push_str(&comparison_blocks(sweep, comparisons));
        out.push('\n');
        let file = dir.join(format!("cell-{}/scenario.toml", cell.number)).display().to_string();
        for PolicyFindings { runs, verdict, .. } in policies {
            problems.push_str(&violations(runs.label, cell, &runs.by_seed, &file));
            problems.push_str(&misses(cell, verdict, &file));
        }
    }
    out + &notes(sweep) + &problems
}

fn heading(sweep: &Sweep, cell: &SweepCell) -> String {
    let values = sweep.spec.varied_fields().zip(&cell.values);
    let values: Vec<String> = values.map(|(field, value)| format!("{field} = {value}")).collect();
    match values.is_empty() {
        true => String::new(),
        false => wrapped(&format!("cell {}: {}", cell.number, values.join(", ")), 1, 3),
    }
}

/// The text of the table of policies, row by row, headings first. Its figures are those that
/// policies are compared by.
fn rows(policies: &[PolicyFindings<'_>]) -> Vec<Vec<String>> {
    let figures: Vec<&Figure> =
        Figure::compared().filter(|figure| figure.shown >= Shown::Terminal).collect();
    let headings = figures.iter().map(|figure| figure.heading);
    let has_bound = policies.iter().any(|policy| policy.regret.is_some());
    let regret = has_bound.then_some("regret");
    let header = ["policy", "sent"].into_iter().chain(headings).chain(regret).chain(["verdict"]);
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    for PolicyFindings { runs, measured, verdict, regret } in policies {
        let mut row =
            vec![format::ellipsis(runs.label, LABEL), format::count(measured.requests.sent)];
        row.extend(figures.iter().map(|figure| figure_text::text(figure, measured, 3)));
        row.extend(has_bound.then(|| regret_text(*regret)));
        row.push(verdict.word().to_owned());
        rows.push(row);
    }
    rows
}

/// The comparisons, in one block per policy other than the baseline.
fn comparison_blocks(sweep: &Sweep, comparisons: &[BaselineComparison]) -> String {
    let baseline = format::ellipsis(&sweep.policies[sweep.baseline], 25);
    let mut out = String::new();
    for policy in 0..sweep.policies.len() {
        let own: Vec<&BaselineComparison> =
            comparisons.iter().filter(|c| c.policy == policy).collect();
        let Some(first) = own.first() else { continue };
        let label = format::ellipsis(&sweep.policies[policy], 25);
        let seeds = format::counted(first.paired.pairs, "paired seed");
        out.push_str(&format!("\n {label} vs {baseline} ({seeds})\n"));
        let header = ["", "baseline", "policy", "difference, 95 % interval", "finding"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(own.into_iter().map(comparison_row));
        out.push_str(&layout(&rows));
    }
    out
}

fn comparison_row(comparison: &BaselineComparison) -> Vec<String> {
    let PairedFigure { metric, first, second, difference, interval, finding, .. } =
        comparison.paired;
    let value = |figure: f64| match metric.unit {
        Unit::Share => format!("{:.2}", figure * 100.0),
        Unit::Latency => format::latency(figure as u64, 3),
    };
    let ends = interval.map(|interval| [interval.low, interval.high]);
    vec![
        metric.heading.to_owned(),
        value(first),
        value(second),
        figure_text::difference(metric.unit, difference, ends),
        finding.words().to_owned(),
    ]
}

/// What a reader of the table must know: too few seeds, or how many intervals are wrong by chance.
fn notes(sweep: &Sweep) -> String {
    let mut out = String::new();
    let seeds = sweep.seeds.len();
    if sweep.policies.len() > 1 && seeds < FEWEST_SEEDS {
        let few = format!(
            "{} cannot compare policies: take {FEWEST_SEEDS} at the very \
             least, and 10 or more to trust an interval.",
            format::counted(seeds, "seed"),
        );
        out.push_str(&wrapped(&few, 1, 1));
    } else if sweep.policies.len() > 1 {
        let intervals = (sweep.policies.len() - 1) * Figure::compared().count() * sweep.cells.len();
        let chance = format!(
            "By chance, about {} of {intervals} intervals at 95 % do not contain the true value.",
            intervals.div_ceil(20)
        );
        out.push_str(&wrapped(&chance, 1, 1));
    }
    out
}

/// The violated oracles of one part, each with the command that replays it. A part does not judge
/// thresholds, because these hold for all seeds together. `file` says where a cell's scenario is.
pub fn part_violations(
    sweep: &Sweep,
    tally: &SweepTally,
    file: impl Fn(&SweepCell) -> PathBuf,
) -> String {
    let mut out = String::new();
    for (index, cell) in sweep.cells.iter().enumerate() {
        let file = file(cell).display().to_string();
        for (policy, label) in sweep.policies.iter().enumerate() {
            let runs = tally.runs_of(sweep, index, policy);
            out.push_str(&violations(label, cell, &runs.by_seed, &file));
        }
    }
    out
}

/// Violated oracles, each with the command that replays it.
fn violations(label: &str, cell: &SweepCell, runs: &[(u64, &RunFigures)], file: &str) -> String {
    /// The most runs that are shown: people repair one violation before they look at the next.
    const SHOWN: usize = 3;
    let mut out = String::new();
    let violated = runs.iter().filter_map(|(seed, run)| Some((seed, run.violations.first()?)));
    for (seed, first) in violated.clone().take(SHOWN) {
        let at = format::exact_latency(first.at_ns);
        let number = cell.number;
        let text = format!(
            "violated: cell {number} {label} seed {seed}: {} at {at}: {}",
            first.oracle, first.detail
        );
        out.push_str(&wrapped(&text, 1, 3));
        out.push_str(&replay(file, *seed, label, None));
    }
    let more = violated.count().saturating_sub(SHOWN);
    if more > 0 {
        out.push_str(&format!("   and {} more runs like these\n", format::count(more as u64)));
    }
    out
}

/// Missed thresholds, each with the command that replays the seed that shows it best.
fn misses(cell: &SweepCell, verdict: &PolicyVerdict, file: &str) -> String {
    let mut out = String::new();
    let label = &verdict.policy;
    for miss in &verdict.missed {
        let text = format!("missed: cell {} {label}: {}", cell.number, miss.threshold);
        out.push_str(&wrapped(&text, 1, 3));
        out.push_str(&replay(file, miss.worst_seed, label, None));
    }
    out
}
