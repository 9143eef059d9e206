//! Charts about seeds, for the pages of runs and of sweeps.

use super::figure_text::{difference, text};
use crate::figures::{Better, Figure, Unit};
use crate::judge::MeasuredFigures;
use crate::page::{Axis, AxisUnit, ChartRow, LinePoint, LineSeries, RowChart, Tone};
use crate::statistics::{Interval, interval_of_mean, mean};

/// The figures of a policy with each of its seeds.
type SeedFigures = Vec<(u64, MeasuredFigures)>;

/// What an axis of a figure shows, and by what its numbers are multiplied for that.
pub(crate) fn quantity(figure: &Figure) -> (AxisUnit, f64) {
    match figure.unit {
        Unit::Share => (AxisUnit::Percent, 100.0),
        Unit::Latency => (AxisUnit::Latency, 1.0),
    }
}

/// The vertical axis of a figure that fits these lines and their bands.
pub(crate) fn figure_axis(figure: &Figure, series: &[LineSeries]) -> Axis {
    let ends = |point: &LinePoint| {
        let (low, high) = point.band.unwrap_or((point.y, point.y));
        [low, point.y, high]
    };
    let numbers = series.iter().flat_map(|line| &line.points).flat_map(ends);
    match figure.unit {
        Unit::Share => Axis::of_percentages(numbers),
        Unit::Latency => Axis::of_latencies(numbers),
    }
}

/// The differences of a figure from that of another policy, seed by seed: their mean with its
/// interval, and a circle for each seed.
pub(crate) fn forest(
    figure: &Figure,
    baseline: &str,
    of_baseline: &SeedFigures,
    others: &[(&str, SeedFigures)],
) -> String {
    let (quantity, factor) = quantity(figure);
    let row = |(policy, figures): &(&str, SeedFigures)| {
        let pairs = figures.iter().zip(of_baseline);
        let met = pairs.filter(|((_, b), (_, a))| a.requests.sent > 0 && b.requests.sent > 0);
        let differences: Vec<(u64, f64)> = met
            .map(|((seed, b), (_, a))| (*seed, b.get(figure).number() - a.get(figure).number()))
            .collect();
        difference_row(figure, policy, &differences, factor)
    };
    let rows: Vec<ChartRow> = others.iter().map(row).collect();
    let numbers = rows.iter().flat_map(ChartRow::numbers).chain([0.0]);
    let x = Axis::fitting(numbers.collect::<Vec<_>>().into_iter(), quantity);
    let caption = format!("{}: difference from {baseline}", figure.heading);
    RowChart { caption: &caption, x, zero: Some(0.0), rows }.render()
}

fn difference_row(
    figure: &Figure,
    policy: &str,
    differences: &[(u64, f64)],
    factor: f64,
) -> ChartRow {
    if differences.is_empty() {
        return ChartRow::new(policy, "no requests");
    }
    let numbers: Vec<f64> = differences.iter().map(|(_, difference)| *difference).collect();
    let interval = interval_of_mean(&numbers);
    let mean = mean(&numbers);
    let (tone, word) = finding(figure.better, interval);
    let ends = interval.map(|interval| [interval.low, interval.high]);
    let shown = difference(figure.unit, mean, ends);
    let dot = |(seed, number): &(u64, f64)| {
        (number * factor, format!("seed {seed}: {}", difference(figure.unit, *number, None)))
    };
    ChartRow {
        label: policy.to_owned(),
        text: format!("{shown} {word}"),
        title: format!("{policy}, {}: {shown}, {word}", figure.heading),
        tone,
        dots: differences.iter().map(dot).collect(),
        estimate: Some(mean * factor),
        interval: interval.map(|interval| (interval.low * factor, interval.high * factor)),
        parts: Vec::new(),
    }
}

/// What an interval shows, in a word. A mark stands before it, so that colour is not needed.
fn finding(better: Better, interval: Option<Interval>) -> (Tone, &'static str) {
    match (interval, better) {
        (None, _) => (Tone::Plain, "(few seeds)"),
        (Some(Interval { low, .. }), Better::More) if low > 0.0 => (Tone::Good, "\u{2713} better"),
        (Some(Interval { high, .. }), Better::Less) if high < 0.0 => {
            (Tone::Good, "\u{2713} better")
        }
        (Some(Interval { low, high }), _) if low > 0.0 || high < 0.0 => {
            (Tone::Bad, "\u{2717} worse")
        }
        (Some(_), _) => (Tone::Plain, "\u{2248}"),
    }
}

/// A figure of each seed as a circle, and that of all seeds together as a mark.
pub(crate) fn spread(figure: &Figure, policies: &[(&str, SeedFigures, MeasuredFigures)]) -> String {
    let (quantity, factor) = quantity(figure);
    let number = |figures: &MeasuredFigures| figures.get(figure).number() * factor;
    let row = |(policy, seeds, all): &(&str, SeedFigures, MeasuredFigures)| {
        let with_requests = seeds.iter().filter(|(_, figures)| figures.requests.sent > 0);
        let dots: Vec<(f64, String)> = with_requests
            .map(|(seed, figures)| {
                let value = quantity.text(number(figures));
                (number(figures), format!("{policy}, seed {seed}: {value}"))
            })
            .collect();
        let ends = dots.iter().fold(None, |ends: Option<(f64, f64)>, (at, _)| {
            Some(ends.map_or((*at, *at), |(low, high)| (low.min(*at), high.max(*at))))
        });
        let text = match ends {
            Some((low, high)) => format!("{} to {}", quantity.text(low), quantity.text(high)),
            None => "no requests".to_owned(),
        };
        let title =
            format!("{policy}, all seeds: {} {}", figure.heading, self::text(figure, all, 3));
        let estimate = (!dots.is_empty()).then(|| number(all));
        ChartRow { title, dots, estimate, ..ChartRow::new(*policy, text) }
    };
    let rows: Vec<ChartRow> = policies.iter().map(row).collect();
    let numbers: Vec<f64> = rows.iter().flat_map(ChartRow::numbers).collect();
    let x = match figure.unit {
        Unit::Share => Axis::of_percentages(numbers.into_iter()),
        Unit::Latency => Axis::of_latencies(numbers.into_iter()),
    };
    let caption = format!("{} of each seed", figure.heading);
    RowChart { caption: &caption, x, zero: None, rows }.render()
}
