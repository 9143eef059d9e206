//! A small picture of an experiment, for a page that lists many of them.
//!
//! It has a bar per policy for the figure that tells most and, if faults or the rate of requests
//! have times, a line per policy of the answers over time.

use std::fmt::Write as _;

use crate::experiment::Report;
use crate::figures::{Bound, Expect, Figure, Threshold, Unit};
use crate::judge::{MeasuredFigures, PolicyResult};
use crate::page::{Scale, escape, line};
use crate::record::FaultWindow;
use crate::report::figure_text;
use crate::scenario::OpenArrivals;

const WIDTH: f64 = 360.0;
/// Where bars begin, and where the longest ends. The values stand to the right of it.
const BARS: (f64, f64) = (112.0, 300.0);
const ROW: f64 = 17.0;
const HEADING: f64 = 20.0;
const TIMES: f64 = 78.0;
/// Colours that people with any kind of colour vision tell apart (Okabe and Ito).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"];

/// The picture as SVG.
pub(in crate::report) fn render(report: &Report) -> String {
    let policies = report.policies();
    let figure = telling(report);
    let height = HEADING + policies.len() as f64 * ROW + 6.0;
    let times = over_time(report, &policies, height);
    let whole = height + if times.is_empty() { 0.0 } else { TIMES };
    let label = format!("{}: {}", report.scenario.name, figure.meaning);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {whole}\" width=\"{WIDTH}\" \
         height=\"{whole}\" role=\"img\" aria-label=\"{}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{WIDTH}\" height=\"{whole}\" fill=\"#fff\"/>\n{}{times}</svg>\n",
        escape(&label),
        bars(report, &policies, figure),
    )
}

/// The figure that shows the effect: the first one that a policy must have at least as bad as a
/// threshold says, else the first one with a threshold.
fn telling(report: &Report) -> &'static Figure {
    let all = || report.scenario.expect.values().flat_map(Expect::iter).map(|(t, _)| t);
    let bad = all().find(|threshold| threshold.demands_worse()).or_else(|| all().next());
    bad.or_else(|| Threshold::all().next()).expect("there are figures").figure
}

/// A bar per policy.
fn bars(report: &Report, policies: &[PolicyResult<'_>], figure: &Figure) -> String {
    let measured: Vec<MeasuredFigures> = policies.iter().map(PolicyResult::measured).collect();
    let value = |measured: &MeasuredFigures| measured.get(figure).number();
    let most = match figure.unit {
        Unit::Share => 1.0,
        Unit::Latency => measured.iter().map(value).fold(0.0, f64::max),
    };
    let x = Scale::linear(0.0, most, BARS.0, BARS.1);
    let mut out =
        format!("<text x=\"6\" y=\"14\" font-weight=\"bold\">{}</text>\n", figure.meaning);
    for (row, (result, measured)) in policies.iter().zip(&measured).enumerate() {
        let (y, colour) = (HEADING + row as f64 * ROW, COLOURS[row % COLOURS.len()]);
        let (end, text) = (x.px(value(measured)), figure_text::text(figure, measured, 3));
        let percent = if figure.unit == Unit::Share { " %" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{}\" y=\"{}\" \
             width=\"{:.1}\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">\
             {text}{percent}</text>",
            BARS.0 - 4.0,
            y + 11.0,
            escape(result.policy),
            BARS.0,
            y + 1.0,
            (end - BARS.0).max(0.5),
            end + 4.0,
            y + 11.0,
        );
        for (threshold, limit) in limits(report, result.policy) {
            if threshold.figure == figure {
                // The tick's foot points to the side that is allowed.
                let (at, top) = (x.px(limit), y - 1.0);
                let foot = if threshold.bound == Bound::Least { 3 } else { -3 };
                let _ = writeln!(
                    out,
                    "<path d=\"M{at:.1} {top}v16h{foot}\" stroke=\"#000\" fill=\"none\"/>"
                );
            }
        }
    }
    out
}

/// The thresholds of a policy, with their limits as numbers.
fn limits<'a>(report: &'a Report, policy: &str) -> impl Iterator<Item = (Threshold, f64)> + 'a {
    let of = |label: &str| report.scenario.expect.get(label).copied().unwrap_or_default();
    let expect = of(policy).or(&of("*"));
    expect.iter().map(|(t, limit)| (t, limit.number())).collect::<Vec<_>>().into_iter()
}

/// A line per policy: the answers of each second. Empty if nothing in the scenario has a time.
fn over_time(report: &Report, policies: &[PolicyResult<'_>], top: f64) -> String {
    let scenario = &report.scenario;
    let mut faults: Vec<_> = FaultWindow::all(scenario);
    faults.retain(FaultWindow::has_times);
    let changes = scenario.workload.arrivals.open().map(OpenArrivals::changes);
    let leave =
        scenario.agents.iter().any(|agent| agent.leaves.is_some() || !agent.joins.is_zero());
    if faults.is_empty() && changes.is_none_or(|changes| changes.is_empty()) && !leave {
        return String::new();
    }
    let seconds = scenario.duration.as_secs() as usize;
    let answers = |result: &PolicyResult<'_>, second: usize| -> u64 {
        let runs = result.runs.iter().filter_map(|run| run.timeline.get(second));
        runs.map(|second| second.ended.answered).sum()
    };
    let all = policies.iter().flat_map(|result| (0..seconds).map(move |s| answers(result, s)));
    let most = all.max().unwrap_or(1).max(1) as f64;
    let (left, bottom) = (12.0, top + TIMES - 16.0);
    let x = Scale::linear(0.0, seconds as f64, left, WIDTH - 12.0);
    let y = Scale::linear(0.0, most, bottom, top + 16.0);
    let mut out = format!(
        "<text x=\"6\" y=\"{}\" font-weight=\"bold\">answers per second</text>\n",
        top + 8.0
    );
    for window in faults {
        let end = (window.until.as_nanos() as f64 / 1e9).min(seconds as f64);
        let (from, end) = (x.px(window.from.as_nanos() as f64 / 1e9), x.px(end));
        let (y, width, height) = (top + 14.0, end - from, bottom - top - 14.0);
        let _ = writeln!(
            out,
            "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"#fde0dd\"/>"
        );
    }
    for (row, result) in policies.iter().enumerate() {
        let point = |s| Some((x.px(s as f64 + 0.5), y.px(answers(result, s) as f64)));
        let _ = writeln!(
            out,
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\"/>",
            line((0..seconds).map(point)),
            COLOURS[row % COLOURS.len()]
        );
    }
    let _ = writeln!(
        out,
        "<path d=\"M{left} {bottom}H{}\" stroke=\"#000\"/><text x=\"{left}\" y=\"{}\">0 s</text>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{seconds} s</text>",
        WIDTH - 12.0,
        bottom + 12.0,
        WIDTH - 12.0,
        bottom + 12.0,
    );
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::experiment::example;
    use crate::figures::FigureLimit;

    #[test]
    fn the_figure_with_the_bad_effect_is_shown_with_its_limits() {
        let mut report = example::small();
        let limit = |ms| FigureLimit::Latency(Duration::from_millis(ms));
        let good = Expect::default().with("min_success", FigureLimit::Share(0.5));
        let bad = Expect::default().with("min_p99", limit(1));
        let expect = [("power_of_two".to_owned(), good), ("random".to_owned(), bad)];
        report.scenario.expect = expect.into_iter().collect();
        let svg = render(&report);
        assert!(svg.contains("99th percentile of latency") && svg.contains(">random</text>"));
        assert_eq!(svg.matches("v16h3").count(), 1);
        assert!(!svg.contains("answers per second"), "nothing happens at a time");
    }
}
