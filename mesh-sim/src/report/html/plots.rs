//! Plots of latency by percentile, and of what happened over time.

use std::fmt::Write as _;

use super::svg::{Area, Scale, escape, latency_ticks, line, linear_ticks, steps};
use crate::judge::PolicyResult;
use crate::record::{RunRecord, Second};
use crate::report::hgrm;
use crate::scenario::Scenario;

/// How many styles of lines (colours and dashes) the style sheet has.
const STYLES: usize = 7;
const PANEL: Area = Area::new(340.0, 170.0, 46.0);

/// Reads one number of a second of the time line.
type SecondFigure = fn(&Second) -> u64;

/// Plots latency by percentile, one line per policy, as the public HdrHistogram plotters do: the
/// horizontal axis is 1 / (1 - percentile), logarithmic.
pub(super) fn percentiles(policies: &[PolicyResult<'_>]) -> String {
    let area = Area::new(960.0, 380.0, 60.0);
    let with_requests = || policies.iter().filter(|result| result.requests.sent > 0);
    let most = with_requests().map(|result| result.requests.sent).max().unwrap_or(1);
    let nines = (1..).find(|&nines| 10u64.saturating_pow(nines) >= most).unwrap_or(1);
    let min_ns = with_requests().map(|result| result.latency.min_ns()).min().unwrap_or(1);
    let max_ns = with_requests().map(|result| result.latency.max_ns()).max().unwrap_or(1);
    // The axis begins with 1 / (1 - 0 %) = 1. Each power of ten is one more nine: 90 %, 99 %, 99.9
    // %.
    let x = Scale::log(1.0, libm::pow(10.0, f64::from(nines)), area.left, area.right - 28.0);
    let y_ticks = latency_ticks(min_ns.max(1), max_ns);
    let y = log_scale(&area, &y_ticks);
    let x_ticks: Vec<_> = (0..=nines)
        .map(|nines| (libm::pow(10.0, f64::from(nines)), percentile_label(nines)))
        .collect();
    let mut content = area.y_axis(&y, &y_ticks) + &area.x_axis(&x, &x_ticks);
    for (index, result) in policies.iter().enumerate() {
        let points = result.latency.distribution(hgrm::TICKS).map(|row| {
            // The last row, 100 %, would be infinitely far right. It is drawn where one request out
            // of all is.
            let rarity = 1.0 / (1.0 - row.quantile).max(f64::MIN_POSITIVE);
            Some((x.px(rarity.min(result.requests.sent as f64)), y.px(row.latency_ns as f64)))
        });
        let _ = write!(
            content,
            "<path class=\"line c{}\" d=\"{}\"><title>{}</title></path>",
            index % STYLES,
            line(points),
            escape(result.policy)
        );
    }
    let keys = policies.iter().enumerate().map(|(index, result)| {
        (format!("<path class=\"line c{}\" d=\"M0 6H30\"/>", index % STYLES), result.policy)
    });
    key(keys) + &area.svg("latency by percentile, one line per policy", &content)
}

fn percentile_label(nines: u32) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more as usize - 2)),
    }
}

fn log_scale(area: &Area, ticks: &[(f64, String)]) -> Scale {
    let end = |tick: Option<&(f64, String)>| tick.map_or(1.0, |(figure, _)| *figure);
    Scale::log(end(ticks.first()), end(ticks.last()), area.bottom, area.top)
}

fn linear_scale(area: &Area, ticks: &[(f64, String)]) -> Scale {
    let end = ticks.last().map_or(1.0, |(figure, _)| *figure);
    Scale::linear(0.0, end, area.bottom, area.top)
}

/// Plots requests per second by outcome, one panel per run.
pub(super) fn outcomes(scenario: &Scenario, runs: &[&RunRecord]) -> String {
    let series: [(&str, &str, SecondFigure); 4] = [
        ("timed-out", "timed out", |second| second.ended.timed_out),
        ("refused", "refused", |second| second.ended.refused),
        ("lost", "lost", |second| second.ended.lost),
        ("answered", "answered", |second| second.ended.answered),
    ];
    let ticks = linear_ticks(greatest(runs, |second| second.ended.sent.max(second.due)));
    let y = linear_scale(&PANEL, &ticks);
    let draw = |run: &RunRecord, edges: &[f64]| {
        let mut content = String::new();
        let mut floors = vec![0u64; run.timeline.len()];
        let px = |levels: &[u64]| levels.iter().map(|&n| y.px(n as f64)).collect::<Vec<_>>();
        for (class, _, of) in series {
            let tops: Vec<u64> = floors
                .iter()
                .zip(&run.timeline)
                .map(|(floor, second)| floor + of(second))
                .collect();
            // An outcome that never happened needs no path.
            if tops != floors {
                let path = steps(edges, &px(&tops), &px(&floors));
                let _ = write!(content, "<path class=\"{class}\" d=\"{path}\"/>");
            }
            floors = tops;
        }
        let due = run.timeline.iter().zip(edges.windows(2)).flat_map(|(second, edge)| {
            let y = y.px(second.due as f64);
            [Some((edge[0], y)), Some((edge[1], y))]
        });
        content + &format!("<path class=\"line due\" d=\"{}\"/>", line(due))
    };
    let due = ("<path class=\"line due\" d=\"M0 6H30\"/>".to_owned(), "due");
    let keys = series.map(|(class, name, _)| {
        (format!("<rect class=\"{class}\" width=\"30\" height=\"12\"/>"), name)
    });
    key(keys.into_iter().rev().chain([due]))
        + &panels(scenario, runs, &y, &ticks, "requests per second by outcome", draw)
}

/// Plots the median and the 99th percentile of each second's answers, one panel per run.
pub(super) fn latencies(scenario: &Scenario, runs: &[&RunRecord]) -> String {
    let answered =
        || runs.iter().flat_map(|run| &run.timeline).filter(|second| second.ended.answered > 0);
    let min_ns = answered().map(|second| second.p50_ns).min().unwrap_or(1);
    let ticks = latency_ticks(min_ns.max(1), greatest(runs, |second| second.p99_ns));
    let y = log_scale(&PANEL, &ticks);
    let series: [(&str, SecondFigure); 2] =
        [("p50", |second| second.p50_ns), ("p99", |second| second.p99_ns)];
    let draw = |run: &RunRecord, edges: &[f64]| {
        let mut content = String::new();
        for (class, of) in series {
            let points = run.timeline.iter().zip(edges.windows(2)).map(|(second, edge)| {
                let middle = (edge[0] + edge[1]) / 2.0;
                (second.ended.answered > 0).then(|| (middle, y.px(of(second) as f64)))
            });
            let _ = write!(content, "<path class=\"line {class}\" d=\"{}\"/>", line(points));
        }
        content
    };
    let keys =
        series.map(|(class, _)| (format!("<path class=\"line {class}\" d=\"M0 6H30\"/>"), class));
    key(keys.into_iter())
        + &panels(scenario, runs, &y, &ticks, "latency of the answers of each second", draw)
}

/// Plots the requests that are open at the end of each second, one panel per run.
pub(super) fn in_flight(scenario: &Scenario, runs: &[&RunRecord]) -> String {
    let ticks = linear_ticks(greatest(runs, |second| second.in_flight));
    let y = linear_scale(&PANEL, &ticks);
    let draw = |run: &RunRecord, edges: &[f64]| {
        let tops: Vec<f64> =
            run.timeline.iter().map(|second| y.px(second.in_flight as f64)).collect();
        let path = steps(edges, &tops, &vec![PANEL.bottom; tops.len()]);
        format!("<path class=\"in-flight\" d=\"{path}\"/>")
    };
    panels(scenario, runs, &y, &ticks, "requests in flight", draw)
}

fn greatest(runs: &[&RunRecord], of: impl Fn(&Second) -> u64) -> u64 {
    runs.iter().flat_map(|run| &run.timeline).map(of).max().unwrap_or_default().max(1)
}

/// One panel per run, all with the same axes. `draw` is given a run and the horizontal positions of
/// the borders of its seconds.
fn panels(
    scenario: &Scenario,
    runs: &[&RunRecord],
    y: &Scale,
    ticks: &[(f64, String)],
    what: &str,
    draw: impl Fn(&RunRecord, &[f64]) -> String,
) -> String {
    let seconds = runs.iter().map(|run| run.timeline.len()).max().unwrap_or_default();
    let x = PANEL.time_scale(seconds);
    let mut out = "<div class=\"panels\">\n".to_owned();
    for run in runs {
        let edges: Vec<f64> = (0..=run.timeline.len()).map(|n| x.px(n as f64)).collect();
        let content = PANEL.y_axis(y, ticks)
            + &draw(run, &edges)
            + &PANEL.shades(&x, scenario)
            + &PANEL.time_axis(&x, seconds);
        out.push_str(&panel(&run.policy, &PANEL.svg(&format!("{}: {what}", run.policy), &content)));
    }
    out + "</div>\n"
}

/// A plot under a policy's name.
pub(super) fn panel(policy: &str, svg: &str) -> String {
    format!("<div class=\"panel\"><h3>{}</h3>\n{svg}</div>\n", escape(policy))
}

/// The key of a plot, which explains its lines and areas: a sample of 30 by 12 pixels with a name
/// for each.
pub(super) fn key<'a>(entries: impl Iterator<Item = (String, &'a str)>) -> String {
    let mut out = "<ul class=\"key\">".to_owned();
    for (sample, name) in entries {
        let name = escape(name);
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 30 12\" aria-hidden=\"true\">{sample}</svg>{name}</li>"
        );
    }
    out + "</ul>\n"
}
