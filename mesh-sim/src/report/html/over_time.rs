//! Charts of what happened over the time of a run, one panel for each policy.

use std::ops::Range;

use super::buckets::{TimeBucket, buckets, spans};
use crate::format;
use crate::page::{Axis, AxisUnit, PanelFrame, TimePanels, TimeShade, key, line, panels, steps};
use crate::record::{FaultWindow, RunRecord};
use crate::scenario::Scenario;

/// The runs that are shown, one for each policy, in parts of the time.
pub(super) struct TimeCharts<'a> {
    runs: Vec<(&'a str, Vec<TimeBucket>)>,
    seconds: f64,
    pub(super) spans: Vec<Range<usize>>,
    pub(super) shades: Vec<TimeShade>,
}

impl<'a> TimeCharts<'a> {
    pub(super) fn new(scenario: &Scenario, runs: &[&'a RunRecord]) -> Self {
        let seconds = runs.iter().map(|run| run.timeline.len()).max().unwrap_or_default();
        let spans = spans(seconds);
        let runs = runs.iter().map(|run| (&*run.policy, buckets(&run.timeline, &spans)));
        let (runs, shades) = (runs.collect(), shades(scenario, seconds as f64));
        Self { runs, seconds: seconds as f64, spans, shades }
    }

    fn greatest(&self, of: impl Fn(&TimeBucket) -> f64) -> f64 {
        self.runs.iter().flat_map(|(_, buckets)| buckets).map(of).fold(0.0, f64::max)
    }

    /// Requests per second by outcome.
    pub(super) fn outcomes(&self) -> String {
        type OutcomeCount = fn(&TimeBucket) -> u64;
        let series: [(&str, &str, OutcomeCount); 4] = [
            ("timed-out", "timed out", |bucket| bucket.ended.timed_out),
            ("refused", "refused", |bucket| bucket.ended.refused),
            ("lost", "lost", |bucket| bucket.ended.lost),
            ("answered", "answered", |bucket| bucket.ended.answered),
        ];
        let most =
            self.greatest(|bucket| bucket.due.max(bucket.ended.sent as f64 / bucket.seconds));
        let y = Axis::from_zero(most, AxisUnit::Number);
        let draw = |buckets: &[TimeBucket], frame: &PanelFrame| {
            let mut content = String::new();
            let mut floors = vec![0.0; buckets.len()];
            let px = |levels: &[f64]| levels.iter().map(|n| frame.y.px(*n)).collect::<Vec<_>>();
            for (class, _, of) in series {
                let added = floors.iter().zip(buckets);
                let tops = added.map(|(floor, b)| floor + of(b) as f64 / b.seconds);
                let tops: Vec<f64> = tops.collect();
                // An outcome that never happened needs no path.
                if tops != floors {
                    let path = steps(&frame.edges, &px(&tops), &px(&floors));
                    content.push_str(&format!("<path class=\"{class}\" d=\"{path}\"/>"));
                }
                floors = tops;
            }
            let due = buckets.iter().zip(frame.edges.windows(2)).flat_map(|(bucket, edge)| {
                let y = frame.y.px(bucket.due);
                [Some((edge[0], y)), Some((edge[1], y))]
            });
            content + &format!("<path class=\"line due\" d=\"{}\"/>", line(due))
        };
        let value = |bucket: &TimeBucket| {
            let rate = |count: u64| AxisUnit::Number.text(count as f64 / bucket.seconds);
            let named = series.iter().rev().map(|(_, name, of)| (name, of(bucket)));
            let named = named.filter(|(name, count)| *count > 0 || **name == "answered");
            let named: Vec<String> =
                named.map(|(name, count)| format!("{} {name}", rate(count))).collect();
            let due = AxisUnit::Number.text(bucket.due);
            format!("{} per second ({due} due)", named.join(", "))
        };
        let due = ("<path class=\"line due\" d=\"M0 6H30\"/>".to_owned(), "due");
        let keys = series.map(|(class, name, _)| {
            (format!("<rect class=\"{class}\" width=\"30\" height=\"12\"/>"), name)
        });
        let keys = key(keys.into_iter().rev().chain([due]));
        keys + &self.panels(y, "requests per second by outcome", draw, value)
    }

    /// The median and the 99th percentile of the answers.
    pub(super) fn latencies(&self) -> String {
        let answered = self.runs.iter().flat_map(|(_, buckets)| buckets);
        let answered = answered.filter(|bucket| bucket.ended.answered > 0);
        let y = Axis::of_latencies(answered.flat_map(|bucket| [bucket.p50_ns, bucket.p99_ns]));
        type BucketLatency = fn(&TimeBucket) -> f64;
        let series: [(&str, BucketLatency); 2] =
            [("p50", |bucket| bucket.p50_ns), ("p99", |bucket| bucket.p99_ns)];
        let draw = |buckets: &[TimeBucket], frame: &PanelFrame| {
            let path = |(class, of): (&str, BucketLatency)| {
                let points = buckets.iter().zip(frame.middles()).map(|(bucket, x)| {
                    (bucket.ended.answered > 0).then(|| (x, frame.y.px(of(bucket))))
                });
                format!("<path class=\"line {class}\" d=\"{}\"/>", line(points))
            };
            series.map(path).concat()
        };
        let value = |bucket: &TimeBucket| match bucket.ended.answered {
            0 => "no answers".to_owned(),
            _ => {
                let [p50, p99] = series.map(|(_, of)| AxisUnit::Latency.text(of(bucket)));
                format!("p50 {p50}, p99 {p99}")
            }
        };
        let keys = series
            .map(|(class, _)| (format!("<path class=\"line {class}\" d=\"M0 6H30\"/>"), class));
        let what = "latency of the answers";
        key(keys.into_iter()) + &self.panels(y, what, draw, value)
    }

    /// The requests that are open.
    pub(super) fn in_flight(&self) -> String {
        let y = Axis::from_zero(self.greatest(|b| b.in_flight as f64), AxisUnit::Number);
        let draw = |buckets: &[TimeBucket], frame: &PanelFrame| {
            let tops: Vec<f64> =
                buckets.iter().map(|bucket| frame.y.px(bucket.in_flight as f64)).collect();
            let path = steps(&frame.edges, &tops, &vec![frame.bottom; tops.len()]);
            format!("<path class=\"in-flight\" d=\"{path}\"/>")
        };
        let value = |bucket: &TimeBucket| format!("{} open", format::count(bucket.in_flight));
        self.panels(y, "requests in flight", draw, value)
    }

    fn panels(
        &self,
        y: Axis,
        what: &str,
        draw: impl Fn(&[TimeBucket], &PanelFrame) -> String,
        value: impl Fn(&TimeBucket) -> String,
    ) -> String {
        let (shades, spans) = (&self.shades[..], &self.spans[..]);
        let common = TimePanels { seconds: self.seconds, y, shades, spans, what };
        let panel = |(policy, buckets): &(&str, Vec<TimeBucket>)| {
            common.panel(policy, |frame| draw(buckets, frame), |span| value(&buckets[span]))
        };
        panels(&self.runs.iter().map(panel).collect::<String>())
    }
}

/// The warm-up and the faults that have times.
fn shades(scenario: &Scenario, seconds: f64) -> Vec<TimeShade> {
    let mut shades = Vec::new();
    if !scenario.warm_up.is_zero() {
        let (until, title) = (scenario.warm_up.as_secs_f64(), "warm-up".to_owned());
        shades.push(TimeShade { from: 0.0, until, title, is_fault: false });
    }
    let time = |at: mesh_core::Timestamp| (at.as_nanos() as f64 / 1e9).min(seconds);
    let faults = FaultWindow::all(scenario).into_iter().filter(FaultWindow::has_times);
    shades.extend(faults.map(|window| TimeShade {
        from: time(window.from),
        until: time(window.until),
        title: window.label,
        is_fault: true,
    }));
    shades
}
