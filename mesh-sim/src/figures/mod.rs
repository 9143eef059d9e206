//! The figures that runs are measured by, in one table: [`FIGURES`].
//!
//! Whatever shows, stores, compares or demands a figure reads this table: `summary.json`,
//! `latency.csv`, the files of a sweep, the tables in the terminal and on the page, the thresholds
//! of `[expect]` and `mesh-bench compare`. One more quantile is one more row. The generated schemas
//! in `docs/` and `scenarios/` and the results in `results/` must be renewed with it.
//!
//! The table knows nothing of runs. [`crate::judge::MeasuredFigures`] has the values.

mod expect;
mod latencies;

pub use self::expect::{Expect, FigureLimit};
pub use self::latencies::Latencies;

/// A figure of a run: a row of [`FIGURES`]. Two figures are the same if their keys are.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its field in JSON files, as in `p99_9`.
    pub key: &'static str,
    /// Its column in CSV files and its name in comparisons: the key with the unit, as in
    /// `p99_9_ms`.
    pub column: &'static str,
    /// Its heading in tables for people, as in `p99.9`.
    pub heading: &'static str,
    /// What it is, as in "99.9th percentile of latency".
    pub meaning: &'static str,
    /// What it is in.
    pub unit: Unit,
    /// Which of two values is the better one.
    pub better: Better,
    /// How its value follows from the requests of a run.
    pub measure: Measure,
    /// Its field in `[expect]`, as in `max_p99_9`; `None` if there can be no threshold. Policies
    /// are compared by the figures that can have one.
    pub threshold: Option<&'static str>,
    /// Which tables for people have a column for it. Files have every figure.
    pub shown: Shown,
}

/// What a figure is in.
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
    /// The greater one, so a threshold is a least value.
    More,
    /// The lesser one, so a threshold is a greatest value.
    Less,
}

/// How a figure follows from the requests of a run. A request that was not answered counts with
/// its whole deadline as its latency.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// The share of the requests that were answered with a result.
    Answered,
    /// The mean of all latencies.
    Mean,
    /// The least latency.
    Least,
    /// The latency that at least this share of the requests did not exceed.
    Quantile(f64),
    /// The greatest latency.
    Greatest,
}

/// Which tables for people show a figure; each place includes the ones below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// None: it is in files only.
    FilesOnly,
    /// The page.
    Page,
    /// The page and the terminal.
    Terminal,
}

/// A row for a figure of the latencies. The last argument says whether there can be a threshold.
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

    /// The figures with a column in tables at this place, in the order of the table.
    pub fn shown_in(place: Shown) -> impl Iterator<Item = &'static Self> {
        FIGURES.iter().filter(move |figure| figure.shown >= place)
    }

    /// The figure whose threshold has this field in `[expect]`.
    pub fn with_threshold(field: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|figure| figure.threshold == Some(field))
    }

    /// What it is and its unit in files, as in "Median latency, ms.".
    pub fn description(&self) -> String {
        format!("{}, {}.", sentence(self.meaning), self.unit.in_files())
    }

    /// What its threshold demands, as in "Greatest median latency".
    pub fn demand(&self) -> String {
        let end = match self.better {
            Better::More => "Least",
            Better::Less => "Greatest",
        };
        format!("{end} {}", self.meaning)
    }

    /// From what share of unanswered requests on it is these that decide the figure: each of them
    /// counts with its deadline, so a few are enough for a high quantile.
    pub(crate) fn decisive_share(&self) -> f64 {
        match self.measure {
            Measure::Answered | Measure::Greatest => 0.0,
            Measure::Mean => 0.5,
            Measure::Quantile(quantile) => 1.0 - quantile,
            Measure::Least => 1.0,
        }
    }
}

impl Unit {
    /// The range or the unit of the values in files.
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

/// `text` with a capital at its beginning.
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
        assert_eq!(p90.demand(), "Greatest 90th percentile of latency");
        let success = Figure::with_threshold("min_success").unwrap();
        assert_eq!(success.description(), "Share of the requests that were answered, 0 to 1.");
        assert!(Figure::with_threshold("max_p95").is_none());
    }
}
