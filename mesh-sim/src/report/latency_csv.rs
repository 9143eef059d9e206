//! `latency.csv`: latency quantiles per policy and seed.

use std::io;

use super::{Report, format};

const HEADER: [&str; 15] = [
    "policy",
    "seed",
    "sent",
    "answered",
    "refused",
    "timed_out",
    "lost",
    "mean_ms",
    "min_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "p99_9_ms",
    "max_ms",
];

/// One line per run. Without requests there is no latency, and its fields are empty.
pub(super) fn render(report: &Report) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(HEADER)?;
    for run in &report.runs {
        let requests = &run.requests;
        let counts =
            [requests.sent, requests.answered, requests.refused, requests.timed_out, requests.lost];
        let quantiles = [0.5, 0.9, 0.95, 0.99, 0.999].map(|q| run.latency.quantile_ns(q));
        let latencies = [run.latency.mean_ns(), run.latency.min_ns()]
            .into_iter()
            .chain(quantiles)
            .chain([run.latency.max_ns()])
            .map(|ns| if requests.sent == 0 { String::new() } else { format::ms(ns) });
        let line = [run.policy.clone(), run.seed.to_string()]
            .into_iter()
            .chain(counts.map(|count| count.to_string()))
            .chain(latencies);
        csv.write_record(line)?;
    }
    csv.into_inner().map_err(|error| error.into_error())
}

#[cfg(test)]
mod tests {
    use crate::report::example;

    #[test]
    fn one_line_per_run() {
        let csv = String::from_utf8(super::render(&example::small()).unwrap()).unwrap();
        insta::assert_snapshot!(csv);
    }
}
