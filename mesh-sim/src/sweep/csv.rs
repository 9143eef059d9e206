//! `sweep.csv` and `comparison.csv`, for spreadsheets and data frames.

use std::io;

use super::compare::compare;
use super::results::rounded;
use super::{Cell, Sweep, Tally};
use crate::report::latency_csv::{self, COLUMNS};

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

/// One line per run. Without requests there is no latency, and its fields are empty.
pub(super) fn runs(sweep: &Sweep, tally: &Tally) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(header(sweep, &[&COLUMNS[..], &["violations", "event_hash"]].concat()))?;
    for (number, run) in &tally.runs {
        let place = sweep.place(*number);
        let (policy, seed) = (&sweep.policies[place.policy], sweep.seeds[place.seed]);
        let broken: u64 = run.broken.iter().map(|broken| broken.times).sum();
        let line = start(&sweep.cells[place.cell])
            .chain(latency_csv::line(policy, seed, &run.requests, run.latency.all()))
            .chain([broken.to_string(), format!("{:016x}", run.event_hash)]);
        csv.write_record(line)?;
    }
    csv.into_inner().map_err(|error| error.into_error())
}

/// One line per comparison. Without an interval its ends are empty.
pub(super) fn comparisons(sweep: &Sweep, tally: &Tally) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(header(sweep, &COMPARISON_COLUMNS))?;
    for (index, cell) in sweep.cells.iter().enumerate() {
        for comparison in compare(sweep, tally, index) {
            let number = |figure| rounded(comparison.metric, figure).to_string();
            let end = |end: Option<f64>| end.map(number).unwrap_or_default();
            let line = start(cell).chain([
                sweep.policies[comparison.policy].clone(),
                sweep.policies[sweep.baseline].clone(),
                comparison.metric.name().to_owned(),
                comparison.pairs.to_string(),
                number(comparison.baseline),
                number(comparison.figure),
                number(comparison.difference),
                end(comparison.interval.map(|interval| interval.low)),
                end(comparison.interval.map(|interval| interval.high)),
                comparison.finding.name().to_owned(),
            ]);
            csv.write_record(line)?;
        }
    }
    csv.into_inner().map_err(|error| error.into_error())
}

fn header<'a>(sweep: &'a Sweep, columns: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let paths = sweep.spec.vary.iter().map(|vary| &*vary.path);
    ["cell"].into_iter().chain(paths).chain(columns.iter().copied())
}

fn start(cell: &Cell) -> impl Iterator<Item = String> {
    [cell.number.to_string()].into_iter().chain(cell.values.iter().cloned())
}
