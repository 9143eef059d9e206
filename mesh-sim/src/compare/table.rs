//! Renders a comparison for a terminal of 80 columns.

use super::pair::value_text;
use super::{FigurePair, PolicyComparison, ResultComparison, Side};
use crate::figures::{Shown, Unit};
use crate::format::{count, counted, ellipsis};
use crate::judge::Finding;
use crate::report::summary::{ClockKind, EngineName};
use crate::report::table::wrapped;

/// The width of the column of labels; longer ones are cut.
const LABEL: usize = 17;
/// Stands in the place of a figure that is missing.
const NO_FIGURE: &str = "-";

/// The whole text: the answer, a line about each side, one per warning, and the tables.
pub fn render(comparison: &ResultComparison) -> String {
    let mut out = wrapped(&answer(comparison), 1, 3);
    match &comparison.baseline {
        Some(baseline) => {
            out.push_str(&format!(" A  each policy of {}\n", side(&comparison.a)));
            out.push_str(&format!(" B  {baseline}\n"));
        }
        None => {
            out.push_str(&format!(" A  {}\n", side(&comparison.a)));
            out.push_str(&format!(" B  {}\n", side(&comparison.b)));
        }
    }
    for warning in &comparison.warnings {
        out.push_str(&wrapped(&format!("warning: {warning}"), 1, 3));
    }
    for cell in &comparison.cells {
        out.push('\n');
        if !cell.values.is_empty() {
            let values: Vec<String> =
                cell.values.iter().map(|(f, v)| format!("{f} = {v}")).collect();
            out.push_str(&wrapped(&values.join(", "), 1, 3));
        }
        row(&mut out, ["policy", "figure", "A", "B", "A - B, 95 %", "error"]);
        let has_baseline = comparison.baseline.is_some();
        cell.policies.iter().for_each(|policy| rows(&mut out, policy, has_baseline));
    }
    out + &notes(comparison)
}

/// How many figures are worse or better; of policies against one of them, how many policies are.
pub(super) fn answer(comparison: &ResultComparison) -> String {
    match &comparison.baseline {
        Some(baseline) => against_baseline(comparison, baseline),
        None => between_results(comparison),
    }
}

/// The figures by which policies are counted.
const COUNTED: [&str; 2] = ["success", "p99"];

fn against_baseline(comparison: &ResultComparison, baseline: &str) -> String {
    let count = |key: &str| {
        let policies = comparison.cells.iter().flat_map(|cell| &cell.policies);
        let figures: Vec<&FigurePair> =
            policies.flat_map(|policy| &policy.figures).filter(|f| f.figure == key).collect();
        let found = |finding: Finding| figures.iter().filter(|f| f.finding == finding).count();
        let few = found(Finding::TooFewSeeds) == figures.len();
        let heading = figures.first().map_or(key, |figure| figure.row.heading);
        match few {
            true => format!("by {heading} there are too few seeds to tell"),
            false => format!(
                "by {heading}, {} better than {baseline} and {} worse",
                found(Finding::Better),
                found(Finding::Worse),
            ),
        }
    };
    let cells = comparison.cells.len();
    let each = comparison.cells.first().map_or(0, |cell| cell.policies.len());
    let in_cells = if cells > 1 { format!(" in {cells} cells") } else { String::new() };
    let counts: Vec<String> = COUNTED.iter().map(|key| count(key)).collect();
    format!("Of {}{in_cells}: {}.", counted(each, "other policy"), counts.join("; "))
}

fn between_results(comparison: &ResultComparison) -> String {
    let all = || {
        let policies = comparison.cells.iter().flat_map(|cell| &cell.policies);
        policies.flat_map(|policy| &policy.figures).filter(|f| f.row.threshold.is_some())
    };
    let found = |finding: Finding| all().filter(|figure| figure.finding == finding).count();
    let [better, worse, few] = [Finding::Better, Finding::Worse, Finding::TooFewSeeds].map(&found);
    let figures = all().count();
    if few == figures {
        let agree = all().filter(|figure| figure.agrees == Some(true)).count();
        return format!(
            "{agree} of {} of A agree with B; there are too few seeds to tell luck from a \
             difference.",
            counted(figures, "figure")
        );
    }
    let regressions = match comparison.regressions {
        0 => "No figure of A is worse than B beyond chance".to_owned(),
        1 => "1 figure of A is worse than B".to_owned(),
        more => format!("{more} figures of A are worse than B"),
    };
    format!(
        "{regressions}. Of {}, taken one by one, {better} are better and {worse} worse.",
        counted(figures, "figure")
    )
}

/// The words about one of the two results.
pub(super) fn side(side: &Side) -> String {
    let seeds = match &side.seeds[..] {
        [seed] => format!("seed {seed}"),
        seeds => format!("{} seeds", seeds.len()),
    };
    let engine = match side.engine {
        EngineName::Turmoil => "engine turmoil",
        EngineName::Event => "engine event",
        EngineName::Live => "live",
    };
    let clock = match side.clock {
        ClockKind::Virtual => "virtual time",
        ClockKind::Wall => "wall clock",
    };
    format!("{} ({}, {engine}, {clock}, {seeds})", side.dir, side.scenario)
}

/// The lines of one policy.
fn rows(out: &mut String, policy: &PolicyComparison, has_baseline: bool) {
    let mut label = ellipsis(&policy.policy, LABEL);
    if policy.a_sent == 0 || policy.b_sent == 0 {
        let (a, b) = (count(policy.a_sent), count(policy.b_sent));
        return row(out, [&label, "sent", &a, &b, "", ""]);
    }
    for figure in policy.figures.iter().filter(|figure| figure.row.shown >= Shown::Page) {
        let error = match figure.row.unit {
            Unit::Share => {
                cell(figure.difference, |points| format!("{:+.2} pp ", 100.0 * points + 0.0))
            }
            Unit::Latency => cell(figure.error_percent, |error| format!("{error:+.1} %")),
        };
        let error = error + mark(figure, has_baseline);
        let value = |value| value_text(figure.row.unit, value);
        let interval = interval(figure);
        let cells =
            [&*label, figure.row.heading, &value(figure.a), &value(figure.b), &interval, &error];
        row(out, cells);
        label.clear();
    }
}

/// `!`: a regression; `*`: it does not agree. Policies are better (`+`) or worse (`-`) than another.
fn mark(figure: &FigurePair, has_baseline: bool) -> &'static str {
    match (has_baseline, figure.finding, figure.is_regression, figure.agrees) {
        (true, Finding::Better, ..) => " +",
        (true, Finding::Worse, ..) => " -",
        (true, ..) => "  ",
        (false, _, true, _) => " !",
        (false, _, false, Some(false)) => " *",
        _ => "  ",
    }
}

/// The ends of the interval of the difference, in percent of B or in points.
fn interval(figure: &FigurePair) -> String {
    let (Some(ends), Some(scale)) = (figure.interval, figure.percent()) else {
        return NO_FIGURE.to_owned();
    };
    let [low, high] = ends.map(|end| end * scale);
    let decimals = if figure.row.unit == Unit::Share { 2 } else { 1 };
    format!("[{low:+.decimals$}, {high:+.decimals$}]")
}

fn notes(comparison: &ResultComparison) -> String {
    let figures = || comparison.cells.iter().flat_map(|c| &c.policies).flat_map(|p| &p.figures);
    let mut out = String::new();
    if comparison.baseline.is_some() {
        return "\n + better, - worse: the 95 % interval does not hold zero\n".to_owned();
    }
    let lines = [
        (
            figures().any(|figure| figure.is_regression),
            "! worse than B, beyond chance in so many comparisons",
        ),
        (
            figures().any(|f| f.agrees == Some(false) && !f.is_regression),
            "* more than 10 % off, and outside of the 95 % interval of B",
        ),
    ];
    for (_, line) in lines.into_iter().filter(|(is_there, _)| *is_there) {
        out.push_str(&format!(" {line}\n"));
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

/// The text of a figure, or a dash.
fn cell(figure: Option<f64>, text: impl Fn(f64) -> String) -> String {
    figure.map_or_else(|| NO_FIGURE.to_owned(), text)
}

fn row(out: &mut String, cells: [&str; 6]) {
    let [label, figure, a, b, interval, error] = cells;
    let line = format!(" {label:<LABEL$} {figure:<6} {a:>9} {b:>9} {interval:>17} {error:>14}");
    out.push_str(line.trim_end());
    out.push('\n');
}
