//! Matrices of counts, as shades.

use std::fmt::Write as _;

use super::escape;
use super::scale::Area;
use crate::format;

const SIDE: f64 = 320.0;
/// The room for the names of rows and columns.
const NAMES: f64 = 70.0;
/// The longest name.
const MOST_NAME: usize = 10;
/// With more rows than this, only every fourth has its name.
const ALL_NAMED: usize = 12;

/// A square matrix of counts: how often something went from one to another.
#[derive(Clone, Debug)]
pub(crate) struct Matrix<'a> {
    /// What it shows, for screen readers.
    pub(crate) what: &'a str,
    /// The names of the rows, which are those of the columns, too.
    pub(crate) names: &'a [String],
    /// The counts, row by row.
    pub(crate) counts: &'a [u64],
    /// What is counted, in the plural.
    pub(crate) noun: &'a str,
}

impl Matrix<'_> {
    /// The matrix as SVG.
    pub(crate) fn render(&self) -> String {
        let rows = self.names.len().max(1);
        let cell = (SIDE - NAMES) / rows as f64;
        let most = self.counts.iter().copied().max().unwrap_or_default().max(1);
        let mut content = self.labels(cell);
        for (place, count) in self.counts.iter().enumerate() {
            let (row, column) = (place / rows, place % rows);
            let (x, y) = (NAMES + column as f64 * cell, NAMES + row as f64 * cell);
            let (from, to) = (&self.names[row], &self.names[column]);
            let title = format!("{from} to {to}: {} {}", format::count(*count), self.noun);
            let _ = write!(
                content,
                "<rect class=\"cold\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" \
                 height=\"{cell:.1}\"/><rect class=\"heat\" fill-opacity=\"{:.2}\" x=\"{x:.1}\" \
                 y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\"><title>{}</title></rect>",
                *count as f64 / most as f64,
                escape(&title)
            );
        }
        let area = Area { width: SIDE, height: SIDE, ..Area::new(SIDE, SIDE, NAMES) };
        area.svg(self.what, &content)
    }

    fn labels(&self, cell: f64) -> String {
        let step = if self.names.len() > ALL_NAMED { 4 } else { 1 };
        let mut out = String::new();
        for (place, name) in self.names.iter().enumerate().step_by(step) {
            let name = escape(&format::ellipsis(name, MOST_NAME));
            let (middle, edge) = (NAMES + (place as f64 + 0.5) * cell, NAMES - 5.0);
            let along = middle + 4.0;
            let _ = write!(
                out,
                "<text x=\"{edge:.1}\" y=\"{along:.1}\" text-anchor=\"end\">{name}</text>\
                 <text x=\"{along:.1}\" y=\"{edge:.1}\" \
                 transform=\"rotate(-90 {along:.1} {edge:.1})\">{name}</text>"
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_shade_and_its_value() {
        let names = ["a".to_owned(), "b & c".to_owned()];
        let counts = [0, 1_000, 250, 0];
        let svg = Matrix { what: "x", names: &names, counts: &counts, noun: "jobs" }.render();
        assert!(svg.contains("<title>a to b &amp; c: 1,000 jobs</title>"), "{svg}");
        assert!(svg.contains("fill-opacity=\"1.00\"") && svg.contains("fill-opacity=\"0.25\""));
        assert_eq!(svg.matches("class=\"heat\"").count(), 4);
    }
}
