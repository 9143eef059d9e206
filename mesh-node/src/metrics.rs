//! Pages of metrics in Prometheus' text format (version 0.0.4).

use std::fmt::{Display, Write as _};

use mesh_core::histogram::Histogram;

use crate::http::{Response, StatusCode};

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
            let before = if labels.is_empty() { "" } else { "," };
            let bucket = |page: &mut Self, bound: &dyn Display, count| {
                let labels = format!("{labels}{before}le=\"{bound}\"");
                page.sample(&format!("{name}_bucket"), &labels, count);
            };
            for (bound, count) in Histogram::BOUNDS_MS.iter().zip(histogram.up_to_bounds()) {
                bucket(self, &(*bound as f64 / 1e3), count);
            }
            bucket(self, &"+Inf", histogram.count());
            self.sample(&format!("{name}_sum"), &labels, histogram.sum_secs());
            self.sample(&format!("{name}_count"), &labels, histogram.count());
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_reads_as_prometheus_wants_it() {
        let mut histogram = Histogram::default();
        for ms in [5, 7, 40_000] {
            histogram.record(Duration::from_millis(ms));
        }
        let mut page = MetricsPage::default();
        page.gauge("leases", "Live leases.", 2);
        page.counters("ends_total", "Ends.", [("kind=\"expired\"".to_owned(), 3)]);
        page.histograms("seconds", "Times.", [("method=\"info\"".to_owned(), &histogram)]);
        page.histograms("ages", "Ages.", [(String::new(), &histogram)]);
        let text = page.0;
        for line in [
            "# HELP leases Live leases.",
            "# TYPE leases gauge",
            "leases 2",
            "ends_total{kind=\"expired\"} 3",
            "seconds_bucket{method=\"info\",le=\"0.005\"} 1",
            "seconds_bucket{method=\"info\",le=\"0.01\"} 2",
            "seconds_bucket{method=\"info\",le=\"30\"} 2",
            "seconds_bucket{method=\"info\",le=\"+Inf\"} 3",
            "seconds_sum{method=\"info\"} 40.012",
            "seconds_count{method=\"info\"} 3",
            "ages_bucket{le=\"+Inf\"} 3",
            "ages_count 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
