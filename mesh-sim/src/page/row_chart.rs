//! Charts with a row for each policy: intervals (a forest plot), single values, or parts of a sum.

use std::fmt::Write as _;

use super::axis::Axis;
use super::scale::{Area, Scale};
use super::{escape, figure};
use crate::format;

const WIDTH: f64 = 360.0;
/// Each row has a line of text with what it shows below.
const ROW: f64 = 36.0;
const BOTTOM: f64 = 26.0;
/// Labels are cut to this many characters if there is a text beside them.
const MOST_LABEL: usize = 22;

/// Whether a row shows something good. It never shows by colour alone: the text of the row says
/// it, and the mark has another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Neither.
    #[default]
    Plain,
    /// Something better.
    Good,
    /// Something worse.
    Bad,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// A row of a chart.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChartRow {
    /// What the row is about, on its left.
    pub(crate) label: String,
    /// Its value in words, on its right.
    pub(crate) text: String,
    /// What shows on hover.
    pub(crate) title: String,
    /// Whether it is good.
    pub(crate) tone: Tone,
    /// Single values, as small circles: a number and what shows on hover.
    pub(crate) dots: Vec<(f64, String)>,
    /// An estimate, as a mark.
    pub(crate) estimate: Option<f64>,
    /// The ends of its interval, as a line.
    pub(crate) interval: Option<(f64, f64)>,
    /// Parts of a sum, from the left: which of the colours, how much, and what shows on hover.
    pub(crate) parts: Vec<(usize, f64, String)>,
}

impl ChartRow {
    /// A row with only its label and its text.
    pub(crate) fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { label: label.into(), text: text.into(), ..Self::default() }
    }

    /// Every number of the row, for an axis that fits them.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> {
        let dots = self.dots.iter().map(|(at, _)| *at);
        let ends = self.interval.into_iter().flat_map(|(low, high)| [low, high]);
        dots.chain(self.estimate).chain(ends)
    }
}

/// A chart of rows over one axis.
#[derive(Clone, Debug)]
pub(crate) struct RowChart<'a> {
    /// What it shows; stands above it.
    pub(crate) caption: &'a str,
    /// The axis.
    pub(crate) x: Axis,
    /// Where a vertical line marks "no difference"; `None` without one.
    pub(crate) zero: Option<f64>,
    /// The rows, from the top.
    pub(crate) rows: Vec<ChartRow>,
}

impl RowChart<'_> {
    /// The chart with its caption.
    pub(crate) fn render(&self) -> String {
        figure(self.caption, &self.svg())
    }

    /// The chart with its caption, and a key between the two.
    pub(crate) fn render_with_key(&self, key: &str) -> String {
        figure(self.caption, &(key.to_owned() + &self.svg()))
    }

    fn svg(&self) -> String {
        let height = self.rows.len() as f64 * ROW + BOTTOM;
        let area = Area {
            width: WIDTH,
            height,
            left: 10.0,
            right: WIDTH - 20.0,
            top: 0.0,
            bottom: height - BOTTOM + 2.0,
        };
        let x = area.x_scale(&self.x);
        let mut content = String::new();
        for (at, _) in &self.x.ticks {
            let at = x.px(*at);
            let _ = write!(content, "<path class=\"grid\" d=\"M{at:.1} 0V{:.1}\"/>", area.bottom);
        }
        if let Some(zero) = self.zero {
            let at = x.px(zero);
            let _ = write!(content, "<path class=\"zero\" d=\"M{at:.1} 0V{:.1}\"/>", area.bottom);
        }
        for (number, row) in self.rows.iter().enumerate() {
            content.push_str(&row_svg(row, &x, number as f64 * ROW));
        }
        content.push_str(&area.x_axis(&self.x));
        area.svg(self.caption, &content)
    }
}

fn row_svg(row: &ChartRow, x: &Scale, top: f64) -> String {
    let middle = top + 25.0;
    let label = match row.text.is_empty() {
        true => row.label.clone(),
        false => format::ellipsis(&row.label, MOST_LABEL),
    };
    let mut out = format!(
        "<g class=\"row {}\"><title>{}</title><text class=\"name\" x=\"2\" y=\"{:.1}\">{}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        row.tone.class(),
        escape(&row.title),
        top + 13.0,
        escape(&label),
        WIDTH - 2.0,
        top + 13.0,
        escape(&row.text)
    );
    let mut left = x.px(0.0);
    let mut sum = 0.0;
    for (colour, part, title) in &row.parts {
        sum += part;
        let right = x.px(sum);
        let _ = write!(
            out,
            "<rect class=\"part f{colour}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
             height=\"13\"><title>{}</title></rect>",
            middle - 7.0,
            right - left,
            escape(title)
        );
        left = right;
    }
    for (at, title) in &row.dots {
        let _ = write!(
            out,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"4\"><title>{}</title>\
             </circle>",
            x.px(*at),
            escape(title)
        );
    }
    if let Some((low, high)) = row.interval {
        let (low, high) = (x.px(low), x.px(high));
        let _ = write!(
            out,
            "<path class=\"whisker\" d=\"M{low:.1} {:.1}v8M{low:.1} {middle:.1}H{high:.1}\
             M{high:.1} {:.1}v8\"/>",
            middle - 4.0,
            middle - 4.0
        );
    }
    if let Some(estimate) = row.estimate {
        let _ = write!(out, "{}", estimate_mark(row.tone, x.px(estimate), middle));
    }
    out + "</g>"
}

/// The mark of an estimate: filled if something is better, an outline if worse.
fn estimate_mark(tone: Tone, x: f64, y: f64) -> String {
    let shape = match tone {
        Tone::Plain => "m0 -5v10",
        Tone::Good => "m0 -5l5 5l-5 5l-5 -5Z",
        Tone::Bad => "m-4 -4h8v8h-8Z",
    };
    format!("<path class=\"estimate\" d=\"M{x:.1} {y:.1}{shape}\"/>")
}

#[cfg(test)]
mod tests {
    use super::super::axis::AxisUnit;
    use super::*;

    #[test]
    fn rows_have_marks_intervals_dots_and_parts() {
        let forest = ChartRow {
            tone: Tone::Good,
            estimate: Some(-3.0),
            interval: Some((-4.0, -2.0)),
            title: "quick & slow".to_owned(),
            ..ChartRow::new("quick", "\u{2212}3 better")
        };
        let spread = ChartRow {
            dots: vec![(1.0, "seed 1".to_owned()), (2.0, "seed 2".to_owned())],
            parts: vec![(0, 0.5, "network".to_owned()), (1, 1.0, "work".to_owned())],
            ..ChartRow::new("slow", "")
        };
        let numbers = forest.numbers().chain(spread.numbers()).collect::<Vec<_>>();
        assert_eq!(numbers, [-3.0, -4.0, -2.0, 1.0, 2.0]);
        let x = Axis::fitting(numbers.into_iter(), AxisUnit::Number);
        let chart = RowChart { caption: "c", x, zero: Some(0.0), rows: vec![forest, spread] };
        let svg = chart.render();
        for (part, times) in [
            ("class=\"row good\"", 1),
            ("class=\"whisker\"", 1),
            ("class=\"estimate\"", 1),
            ("class=\"dot\"", 2),
            ("class=\"part f", 2),
            ("class=\"zero\"", 1),
            ("quick &amp; slow", 1),
        ] {
            assert_eq!(svg.matches(part).count(), times, "{part}");
        }
    }
}
