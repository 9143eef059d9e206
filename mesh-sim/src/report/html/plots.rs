//! Charts of the distribution of latencies.

use crate::format;
use crate::judge::PolicyResult;
use crate::page::{Axis, AxisUnit, LineChart, LinePoint, LineSeries, LineStyle};
use crate::report::hgrm;

/// The shares of the requests at which values show on hover.
const SHOWN: [f64; 8] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999];

/// A line for each policy that had requests. Its style is that of the policy's place, so that a
/// policy looks the same in every chart of a page.
fn series(
    policies: &[PolicyResult<'_>],
    points: impl Fn(&PolicyResult<'_>) -> Vec<LinePoint>,
) -> Vec<LineSeries> {
    let numbered = policies.iter().enumerate();
    let with_requests = numbered.filter(|(_, result)| result.requests.sent > 0);
    let series = |(number, result): (usize, &PolicyResult<'_>)| LineSeries {
        label: result.policy.to_owned(),
        style: LineStyle::new(number),
        points: points(result),
    };
    with_requests.map(series).collect()
}

fn title(policy: &str, quantile: f64, latency_ns: u64) -> String {
    let share = format::share(quantile);
    format!("{policy}: {share} % took at most {}", format::latency(latency_ns, 3))
}

/// Latency by percentile from the median on, as the public HdrHistogram plotters show it: the
/// horizontal axis is 1 / (1 - percentile), logarithmic.
pub(super) fn percentiles(policies: &[PolicyResult<'_>]) -> String {
    let most = policies.iter().map(|result| result.requests.sent).max().unwrap_or(1).max(10) as f64;
    let rarity = |quantile: f64| 1.0 / (1.0 - quantile).max(f64::MIN_POSITIVE);
    let series = series(policies, |result| {
        let sent = result.requests.sent as f64;
        let rows = result.latency.distribution(hgrm::TICKS).filter(|row| row.quantile >= 0.5);
        // The last row, 100 %, would be infinitely far right. It is drawn where one request out of
        // all is.
        let mut points: Vec<LinePoint> = rows
            .map(|row| LinePoint {
                x: rarity(row.quantile).min(sent.max(2.0)),
                y: row.latency_ns as f64,
                band: None,
                title: None,
            })
            .collect();
        for quantile in SHOWN.into_iter().filter(|quantile| rarity(*quantile) <= sent) {
            let ns = result.latency.quantile_ns(quantile);
            let (x, title) = (rarity(quantile), Some(title(result.policy, quantile, ns)));
            points.push(LinePoint { x, y: ns as f64, band: None, title });
        }
        points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
        points
    });
    let ys = series.iter().flat_map(|series| &series.points).map(|point| point.y);
    let x_ticks: Vec<(f64, String)> = (1..)
        .map(|nines| libm::pow(10.0, f64::from(nines)))
        .zip(1..)
        .take_while(|(at, _)| *at <= most)
        .map(|(at, nines)| (at, percentile_label(nines)))
        .collect();
    let ticks = [(2.0, "50 %".to_owned())].into_iter().chain(x_ticks).collect();
    LineChart {
        caption: "Latency by percentile: the slowest requests",
        x_title: "share of the requests, one more nine at each step",
        x: Axis::at(ticks, true).up_to(most),
        y: Axis::of_latencies(ys),
        has_marks: false,
        series,
    }
    .render()
}

fn percentile_label(nines: u32) -> String {
    match nines {
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more as usize - 2)),
    }
}

/// The distribution function: which share of the requests took at most how long.
pub(super) fn distribution(policies: &[PolicyResult<'_>]) -> String {
    let series = series(policies, |result| {
        let point = |percent: u32| {
            let quantile = f64::from(percent) / 100.0;
            let ns = result.latency.quantile_ns(quantile);
            let title = percent.is_multiple_of(10).then(|| title(result.policy, quantile, ns));
            LinePoint { x: ns as f64, y: f64::from(percent), band: None, title }
        };
        (1..=99).map(point).collect()
    });
    let xs = series.iter().flat_map(|series| &series.points).map(|point| point.x);
    LineChart {
        caption: "Distribution (CDF): all but the slowest 1 %",
        x_title: "latency",
        x: Axis::of_latencies(xs),
        y: Axis::from_zero(100.0, AxisUnit::Percent),
        has_marks: false,
        series,
    }
    .render()
}
