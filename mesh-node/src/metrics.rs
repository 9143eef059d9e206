//! Pages of metrics in Prometheus' text format (version 0.0.4).

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::http::{Response, StatusCode};

/// The upper bounds of a [`Histogram`]'s buckets, in seconds. Jobs of agents may take minutes.
const BOUNDS_S: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
];

/// Counts durations by size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// Durations in each bucket. A duration above the last bound is in none, only in `count`.
    counts: [u64; BOUNDS_S.len()],
    count: u64,
    sum_s: f64,
}

impl Histogram {
    /// Counts a duration in the first bucket that it fits into.
    pub(crate) fn record(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum_s += seconds;
    }
}

/// A page of metrics that is being written. Label values must be free of characters that need
/// escapes.
#[derive(Debug, Default)]
pub(crate) struct MetricsPage(String);

impl MetricsPage {
    /// Adds a number that goes up and down.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.sample(name, "", value);
    }

    /// Adds a number that only rises.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "counter");
        self.sample(name, "", value);
    }

    /// Adds numbers that only rise, each with its labels (`a="1",b="2"`).
    pub(crate) fn counters(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, u64)>,
    ) {
        self.head(name, help, "counter");
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    /// Adds numbers that go up and down, each with its labels.
    pub(crate) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, u64)>,
    ) {
        self.head(name, help, "gauge");
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    /// Adds durations by size, each with its labels.
    pub(crate) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, &'a Histogram)>,
    ) {
        self.head(name, help, "histogram");
        for (labels, histogram) in samples {
            // In this format a bucket counts all durations up to its bound, not those between two
            // bounds.
            let mut so_far = 0;
            let bucket = |page: &mut Self, bound: &dyn Display, count| {
                page.sample(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), count);
            };
            for (bound, count) in BOUNDS_S.iter().zip(histogram.counts) {
                so_far += count;
                bucket(self, bound, so_far);
            }
            bucket(self, &"+Inf", histogram.count);
            self.sample(&format!("{name}_sum"), &labels, histogram.sum_s);
            self.sample(&format!("{name}_count"), &labels, histogram.count);
        }
    }

    /// The page as an HTTP answer.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::text(StatusCode::OK, self.0);
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        response
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_prometheus_wants_it() {
        let mut histogram = Histogram::default();
        for ms in [1, 2, 40_000] {
            histogram.record(Duration::from_millis(ms));
        }
        let mut page = MetricsPage::default();
        page.gauge("leases", "Live leases.", 2);
        page.counters("ends_total", "Ends.", [("kind=\"expired\"".to_owned(), 3)]);
        page.histograms("seconds", "Times.", [("method=\"info\"".to_owned(), &histogram)]);
        let text = page.0;
        for line in [
            "# HELP leases Live leases.",
            "# TYPE leases gauge",
            "leases 2",
            "ends_total{kind=\"expired\"} 3",
            "seconds_bucket{method=\"info\",le=\"0.001\"} 1",
            "seconds_bucket{method=\"info\",le=\"0.0025\"} 2",
            "seconds_bucket{method=\"info\",le=\"30\"} 2",
            "seconds_bucket{method=\"info\",le=\"+Inf\"} 3",
            "seconds_sum{method=\"info\"} 40.003",
            "seconds_count{method=\"info\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
