//! `latency.csv`: latency quantiles per policy and seed.

use std::io;

use crate::experiment::Report;
use crate::figures::Figure;
use crate::format;
use crate::judge::MeasuredFigures;
use crate::record::OutcomeCounts;

/// The columns before those of the latencies.
const COUNTS: [&str; 7] = ["policy", "seed", "sent", "answered", "refused", "timed_out", "lost"];

/// The headings of all columns.
pub(crate) fn columns() -> impl Iterator<Item = &'static str> {
    COUNTS.into_iter().chain(Figure::latencies().map(|figure| figure.column))
}

/// The content of the file: one line per run. The latencies of a run without requests are empty.
pub(super) fn render(report: &Report) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(columns())?;
    for run in &report.runs {
        let measured = MeasuredFigures::new(&run.requests, &run.latency);
        csv.write_record(line(&run.policy, run.seed, &measured))?;
    }
    csv.into_inner().map_err(|error| error.into_error())
}

/// The line of a run: a value for each of [`columns`].
pub(crate) fn line(
    policy: &str,
    seed: u64,
    measured: &MeasuredFigures,
) -> impl Iterator<Item = String> + use<> {
    let OutcomeCounts { sent, answered, refused, timed_out, lost } = measured.requests;
    let counts = [sent, answered, refused, timed_out, lost];
    let latency = measured.latency_ns;
    let latency = latency.map(|ns| if sent == 0 { String::new() } else { format::ms(ns) });
    [policy.to_owned(), seed.to_string()]
        .into_iter()
        .chain(counts.map(|count| count.to_string()))
        .chain(latency.into_values())
}

#[cfg(test)]
mod tests {
    use crate::experiment::example;

    #[test]
    fn one_line_per_run() {
        let csv = String::from_utf8(super::render(&example::small()).unwrap()).unwrap();
        insta::assert_snapshot!(csv);
    }
}
