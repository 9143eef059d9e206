//! The figures (measured numbers) of a run, in one table: [`FIGURES`].
//!
//! Everything that shows, stores, compares or demands a figure reads this table: `summary.json`,
//! `latency.csv`, the files of a sweep, the tables in the terminal and in `report.html`, the
//! thresholds of `[expect]` and `mesh-sim compare`. To add a quantile, add a row, and renew the
//! generated schemas in `docs/` and `scenarios/` and the results in `results/`.
//!
//! The table has no values; those of a run are in [`crate::judge::MeasuredFigures`].

mod expect;
mod latencies;
mod objective;
mod threshold;

use crate::format;

pub use self::expect::{Expect, FigureLimit};
pub use self::latencies::Latencies;
pub use self::objective::Objective;
pub use self::threshold::{Bound, Threshold};

/// A figure of a run: a row of [`FIGURES`]. It says what the figure is called, what it means and
/// which of two values is better; it holds no value. Two figures are equal if their keys are.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The figure's field in JSON files: `p99_9`, say.
    pub key: &'static str,
    /// The figure's column in CSV files and its name in comparisons, which is the key with the
    /// unit: `p99_9_ms`, say.
    pub column: &'static str,
    /// The heading of the figure's column in tables for people: `p99.9`, say.
    pub heading: &'static str,
    /// What the figure is, in words: "99.9th percentile of latency", say.
    pub meaning: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// Which of two values is the better one.
    pub better: Better,
    /// How the value is calculated from the requests of a run.
    pub measure: Measure,
    /// The field of the figure's threshold in `[expect]`: `max_p99_9`, say. `None` if there can be
    /// no threshold. Policies are compared by the figures that can have one.
    pub threshold: Option<&'static str>,
    /// The field of the threshold on the other side: `min_p99_9`, say. It holds a bad effect that a
    /// scenario is there to show. `None` if there can be no threshold.
    pub opposite: Option<&'static str>,
    /// Which tables for people have a column for the figure. Files have every figure.
    pub shown: Shown,
}

/// The unit of a figure's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A share of the requests, from 0 to 1.
    Share,
    /// A latency: nanoseconds in memory, milliseconds in files.
    Latency,
}

/// Which of two values of a figure is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The greater value is better, so a threshold is the least value that is allowed.
    More,
    /// The lesser value is better, so a threshold is the greatest value that is allowed.
    Less,
}

/// How the value of a figure is calculated from the requests of a run. A request that was not
/// answered counts with its whole deadline as its latency.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// The share of the requests that were answered with a result.
    Answered,
    /// The mean of all latencies.
    Mean,
    /// The least latency.
    Least,
    /// The latency that at least this share of the requests (0 to 1) did not exceed.
    Quantile(f64),
    /// The greatest latency.
    Greatest,
}

/// Which tables for people show a figure. Every later variant includes the earlier ones: a figure
/// in the terminal is also on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// No table: the figure is in files only.
    FilesOnly,
    /// The tables of the page `report.html`.
    Page,
    /// The tables of the page and of the terminal.
    Terminal,
}

/// A row for a figure of the latencies. The last argument says whether it can have a threshold.
macro_rules! latency {
    ($key:literal, $heading:literal, $meaning:literal, $measure:expr, $shown:ident, $limit:expr) => {
        Figure {
            key: $key,
            column: concat!($key, "_ms"),
            heading: $heading,
            meaning: $meaning,
            unit: Unit::Latency,
            better: Better::Less,
            measure: $measure,
            threshold: if $limit { Some(concat!("max_", $key)) } else { None },
            opposite: if $limit { Some(concat!("min_", $key)) } else { None },
            shown: Shown::$shown,
        }
    };
}

use Measure::{Greatest, Least, Mean, Quantile};

/// Every figure, in the order of files and tables.
#[rustfmt::skip]
pub const FIGURES: &[Figure] = &[
    Figure {
        key: "success",
        column: "success",
        heading: "ok %",
        meaning: "share of the requests that were answered",
        unit: Unit::Share,
        better: Better::More,
        measure: Measure::Answered,
        threshold: Some("min_success"),
        opposite: Some("max_success"),
        shown: Shown::Terminal,
    },
    latency!("mean", "mean", "mean latency", Mean, Page, true),
    latency!("min", "min", "least latency", Least, FilesOnly, false),
    latency!("p50", "p50", "median latency", Quantile(0.5), Terminal, true),
    latency!("p90", "p90", "90th percentile of latency", Quantile(0.9), Terminal, true),
    latency!("p95", "p95", "95th percentile of latency", Quantile(0.95), FilesOnly, false),
    latency!("p99", "p99", "99th percentile of latency", Quantile(0.99), Terminal, true),
    latency!("p99_9", "p99.9", "99.9th percentile of latency", Quantile(0.999), Terminal, true),
    latency!("max", "max", "greatest latency", Greatest, Terminal, false),
];

impl Figure {
    /// The figures of the latencies, in the order of the table.
    pub fn latencies() -> impl Iterator<Item = &'static Self> {
        FIGURES.iter().filter(|figure| figure.unit == Unit::Latency)
    }

    /// The figures that policies are compared by and that can have a threshold, in the order of
    /// the table.
    pub fn compared() -> impl Iterator<Item = &'static Self> {
        FIGURES.iter().filter(|figure| figure.threshold.is_some())
    }

    /// The figures that have a column in the tables of this place, in the order of the table.
    pub fn shown_in(place: Shown) -> impl Iterator<Item = &'static Self> {
        FIGURES.iter().filter(move |figure| figure.shown >= place)
    }

    /// The figure whose threshold has this field in `[expect]`.
    pub fn with_threshold(field: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|figure| figure.threshold == Some(field))
    }

    /// The meaning of the figure and its unit in files: "Median latency, ms.", say.
    pub fn description(&self) -> String {
        format!("{}, {}.", sentence(self.meaning), self.unit.in_files())
    }

    /// A value of the figure for people: "99.1 %" or "540 ms". A share is from 0 to 1, a latency in
    /// nanoseconds.
    pub(crate) fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => format!("{} %", format::share_down(value)),
            Unit::Latency => format::latency(value as u64, 3),
        }
    }

    /// What the figure is called in a sentence: "ok", where a column has "ok %".
    pub(crate) fn short(&self) -> &'static str {
        self.heading.trim_end_matches(" %")
    }

    /// The share of unanswered requests (0 to 1) from which on these decide the value of the
    /// figure. Each of them counts with its whole deadline, so a high quantile needs only a few.
    pub(crate) fn decisive_share(&self) -> f64 {
        match self.measure {
            // A single unanswered request changes these.
            Measure::Answered | Measure::Greatest => 0.0,
            // The mean has no such share; a half is a plain choice.
            Measure::Mean => 0.5,
            Measure::Quantile(quantile) => 1.0 - quantile,
            Measure::Least => 1.0,
        }
    }
}

impl Unit {
    /// The unit of the values in files or, if they have none, their range.
    pub const fn in_files(self) -> &'static str {
        match self {
            Self::Share => "0 to 1",
            Self::Latency => "ms",
        }
    }
}

impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Figure {}

/// `text` with a capital as its first letter.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_figures_share_a_name() {
        for (position, figure) in FIGURES.iter().enumerate() {
            for other in &FIGURES[..position] {
                assert_ne!(figure.key, other.key);
                assert_ne!(figure.column, other.column);
                assert_ne!(figure.heading, other.heading);
                assert!(figure.threshold.is_none() || figure.threshold != other.threshold);
            }
            assert_eq!(figure.threshold.is_some(), figure.opposite.is_some());
        }
    }

    /// Tables and files are read from the left to the right: the slower, the further right.
    #[test]
    fn quantiles_are_in_their_order_and_named_after_it() {
        let quantiles: Vec<(f64, &Figure)> = FIGURES
            .iter()
            .filter_map(|figure| match figure.measure {
                Measure::Quantile(quantile) => Some((quantile, figure)),
                _ => None,
            })
            .collect();
        assert!(quantiles.is_sorted_by(|(a, _), (b, _)| a < b));
        for (quantile, figure) in quantiles {
            let percent = (quantile * 100_000.0).round() / 1000.0;
            assert_eq!(figure.heading, format!("p{percent}"));
            assert_eq!(figure.key, figure.heading.replace('.', "_"));
        }
    }

    #[test]
    fn words_follow_the_row() {
        let p90 = Figure::with_threshold("max_p90").unwrap();
        assert_eq!(p90.description(), "90th percentile of latency, ms.");
        let demand = |field: &str| Threshold::of_field(field).unwrap().demand();
        assert_eq!(demand("max_p90"), "Greatest 90th percentile of latency");
        assert_eq!(demand("min_p90"), "Least 90th percentile of latency");
        assert_eq!(demand("max_success"), "Greatest share of the requests that were answered");
        let success = Figure::with_threshold("min_success").unwrap();
        assert_eq!(success.description(), "Share of the requests that were answered, 0 to 1.");
        assert!(Figure::with_threshold("max_p95").is_none());
    }
}
