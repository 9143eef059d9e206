//! Renders a comparison for a terminal of 80 columns.

use mesh_sim::format::{ellipsis, latency};
use mesh_sim::report::summary::{ClockKind, EngineName};

use super::{LatencyPair, PolicyComparison, ResultComparison, Side};

/// The width of the column of labels; longer ones are cut.
const LABEL: usize = 18;
/// Significant digits of a latency.
const DIGITS: usize = 4;
/// Significant digits of the ends of an interval.
const INTERVAL_DIGITS: usize = 3;
/// Stands in the place of a figure that is missing.
const NO_FIGURE: &str = "-";

/// The whole text: a line about each side, one per warning, and the table.
pub fn render(comparison: &ResultComparison) -> String {
    let mut out = format!(" A  {}\n B  {}\n", side(&comparison.a), side(&comparison.b));
    for warning in &comparison.warnings {
        out.push_str(&format!(" warning: {warning}\n"));
    }
    out.push('\n');
    row(&mut out, ["policy", "figure", "A", "B", "95 % of B", "error"]);
    for policy in &comparison.policies {
        rows(&mut out, policy);
    }
    let differs = |figure: &LatencyPair| figure.agrees == Some(false);
    if comparison.policies.iter().any(|policy| policy.latency.iter().any(differs)) {
        out.push_str("\n * more than 10 % off, and outside of the 95 % interval of B\n");
    }
    out
}

/// The line about one of the two results.
fn side(side: &Side) -> String {
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
fn rows(out: &mut String, policy: &PolicyComparison) {
    let label = ellipsis(&policy.policy, LABEL);
    let percent = |share: Option<f64>| share.map(|share| share * 100.0);
    let (a, b) = (percent(policy.success.a), percent(policy.success.b));
    let points = a.zip(b).map(|(a, b)| a - b);
    let share = |percent: Option<f64>| cell(percent, |percent| format!("{percent:.2}"));
    let points = cell(points, |points| format!("{points:+.2} pp "));
    row(out, [&label, "ok %", &share(a), &share(b), "", &points]);
    for LatencyPair { heading, a_ms, b_ms, b_interval_ms, error_percent, agrees, .. } in
        &policy.latency
    {
        let text = |ms: f64, digits| latency((ms * 1e6).round().max(0.0) as u64, digits);
        let ms = |ms: &Option<f64>| cell(*ms, |ms| text(ms, DIGITS));
        let interval = b_interval_ms.map(|ends| ends.map(|end| text(end, INTERVAL_DIGITS)));
        let interval = interval.map_or_else(|| NO_FIGURE.to_owned(), |ends| ends.join(".."));
        let mark = if *agrees == Some(false) { " *" } else { "  " };
        let error = cell(*error_percent, |error| format!("{error:+.1} %{mark}"));
        row(out, ["", heading, &ms(a_ms), &ms(b_ms), &interval, &error]);
    }
}

/// The text of a figure, or a dash.
fn cell(figure: Option<f64>, text: impl Fn(f64) -> String) -> String {
    figure.map_or_else(|| NO_FIGURE.to_owned(), text)
}

fn row(out: &mut String, cells: [&str; 6]) {
    let [label, figure, a, b, interval, error] = cells;
    let line = format!(" {label:<LABEL$} {figure:<6} {a:>9} {b:>9} {interval:>19} {error:>12}");
    out.push_str(line.trim_end());
    out.push('\n');
}
