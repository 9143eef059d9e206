//! `sweep.csv` and `comparison.csv`, for spreadsheets and data frames.

use std::io;

use super::findings::{CellFindings, PolicyFindings, SweepFindings};
use super::results::rounded;
use super::{Sweep, SweepCell};
use crate::judge::PairedFigure;
use crate::report::latency_csv;

const COMPARISON_COLUMNS: [&str; 10] = [
    "policy",
    "baseline",
    "metric",
    "pairs",
    "baseline_figure",
    "figure",
    "difference",
    "low",
    "high",
    "finding",
];

/// `sweep.csv`: one line per run. The latencies of a run without requests are empty.
pub(super) fn runs(findings: &SweepFindings<'_>) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let columns = latency_csv::columns().chain(["violations", "event_hash"]);
    csv.write_record(header(findings.sweep, columns))?;
    for CellFindings { cell, policies, .. } in &findings.cells {
        for PolicyFindings { runs, .. } in policies {
            for &(seed, run) in &runs.by_seed {
                let violations: u64 = run.violations.iter().map(|oracle| oracle.times).sum();
                let line = start(cell)
                    .chain(latency_csv::line(runs.label, seed, &run.measured()))
                    .chain([violations.to_string(), format!("{:016x}", run.event_hash)]);
                csv.write_record(line)?;
            }
        }
    }
    csv.into_inner().map_err(|error| error.into_error())
}

/// `comparison.csv`: one line per comparison. Without an interval its two ends are empty.
pub(super) fn comparisons(findings: &SweepFindings<'_>) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(header(findings.sweep, COMPARISON_COLUMNS.into_iter()))?;
    let sweep = findings.sweep;
    for CellFindings { cell, comparisons, .. } in &findings.cells {
        for comparison in comparisons {
            let PairedFigure { metric, pairs, first, second, difference, interval, finding } =
                comparison.paired;
            let number = |figure| rounded(metric, figure).to_string();
            let end = |end: Option<f64>| end.map(number).unwrap_or_default();
            let line = start(cell).chain([
                sweep.policies[comparison.policy].clone(),
                sweep.policies[sweep.baseline].clone(),
                metric.column.to_owned(),
                pairs.to_string(),
                number(first),
                number(second),
                number(difference),
                end(interval.map(|interval| interval.low)),
                end(interval.map(|interval| interval.high)),
                finding.name().to_owned(),
            ]);
            csv.write_record(line)?;
        }
    }
    csv.into_inner().map_err(|error| error.into_error())
}

/// The headings: the cell, the varied fields, and then `columns`.
fn header<'a>(
    sweep: &'a Sweep,
    columns: impl Iterator<Item = &'static str>,
) -> impl Iterator<Item = &'a str> {
    let paths = sweep.spec.varied_fields();
    ["cell"].into_iter().chain(paths).chain(columns.map(|column| -> &'a str { column }))
}

/// The beginning of a line: the cell's number and its values.
fn start(cell: &SweepCell) -> impl Iterator<Item = String> {
    [cell.number.to_string()].into_iter().chain(cell.values.iter().cloned())
}
