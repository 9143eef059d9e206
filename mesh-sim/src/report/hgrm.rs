//! `<policy>.hgrm`: the distribution of the latencies as HdrHistogram's own tools print it.
//!
//! The format is that of `AbstractHistogram.outputPercentileDistribution` in HdrHistogram for Java,
//! which the public plotters read. Latencies are in milliseconds.

use std::fmt::Write as _;

use crate::format;
use crate::record::LatencyHistogram;

/// Rows from 0 to 50 %, from there to 75 %, and so on for each half of the rest.
pub(super) const TICKS: u32 = 8;

/// The distribution of one policy over all seeds.
pub(crate) fn render(latency: &LatencyHistogram) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    for row in latency.distribution(TICKS) {
        let (value, quantile, count) = (format::ms(row.latency_ns), row.quantile, row.count);
        // Writing to a String can't fail.
        let _ = write!(out, "{value:>12} {quantile:.12} {count:>10}");
        if quantile < 1.0 {
            let _ = write!(out, " {:>14.2}", 1.0 / (1.0 - quantile));
        }
        out.push('\n');
    }
    let mean = format::ms(latency.mean_ns());
    let deviation = format::ms(latency.standard_deviation_ns() as u64);
    let _ = writeln!(out, "#[Mean    = {mean:>12}, StdDeviation   = {deviation:>12}]");
    let (max, count) = (format::ms(latency.max_ns()), latency.count());
    let _ = writeln!(out, "#[Max     = {max:>12}, Total count    = {count:>12}]");
    let (buckets, sub_buckets) = latency.layout();
    let _ = writeln!(out, "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_java_tool_does() {
        let mut latency = LatencyHistogram::default();
        [1, 2, 3, 2000].iter().for_each(|ms| latency.record(ms * 1_000_000));
        insta::assert_snapshot!(render(&latency));
    }

    #[test]
    fn parses_back_to_the_same_distribution() {
        let mut latency = LatencyHistogram::default();
        (1..=10_000u64).for_each(|n| latency.record(n * 137_000));
        let text = render(&latency);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|cell| cell.parse().unwrap()).collect())
            .collect();
        assert_eq!(rows.len(), latency.distribution(TICKS).count());
        for row in &rows {
            let expected = latency.quantile_ns(row[1]) as f64 / 1e6;
            assert!((row[0] - expected).abs() <= expected * 0.001 + 0.001, "{row:?}");
            assert!(row[2] / 10_000.0 >= row[1]);
        }
        assert_eq!(rows.last().unwrap(), &[1370.0, 1.0, 10_000.0]);
    }
}
