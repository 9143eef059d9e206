//! `latency.csv`: latency quantiles per policy and seed.

use std::io;

use super::Report;
use crate::format;
use crate::record::Counts;

/// The columns of a run.
pub(crate) const COLUMNS: [&str; 15] = [
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
    csv.write_record(COLUMNS)?;
    for run in &report.runs {
        let latency = &run.latency;
        let [p50, p90, p95, p99, p99_9] =
            [0.5, 0.9, 0.95, 0.99, 0.999].map(|quantile| latency.quantile_ns(quantile));
        let (mean, min, max) = (latency.mean_ns(), latency.min_ns(), latency.max_ns());
        let latencies = [mean, min, p50, p90, p95, p99, p99_9, max];
        csv.write_record(line(&run.policy, run.seed, &run.requests, latencies))?;
    }
    csv.into_inner().map_err(|error| error.into_error())
}

/// A run in [`COLUMNS`], latencies in nanoseconds.
pub(crate) fn line(
    policy: &str,
    seed: u64,
    requests: &Counts,
    latencies: [u64; 8],
) -> impl Iterator<Item = String> {
    let Counts { sent, answered, refused, timed_out, lost, .. } = *requests;
    let counts = [sent, answered, refused, timed_out, lost];
    let latencies = latencies.map(|ns| if sent == 0 { String::new() } else { format::ms(ns) });
    [policy.to_owned(), seed.to_string()]
        .into_iter()
        .chain(counts.map(|count| count.to_string()))
        .chain(latencies)
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
