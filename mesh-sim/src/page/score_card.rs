//! Tables of values with a shade each, which never say by colour alone what they say.

use std::fmt::Write as _;

use super::{escape, scroll};

/// A cell of a score card.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScoreCell {
    /// The value.
    pub(crate) text: String,
    /// How far the value is from the best one of its column, 0 to 1; `None` without a value.
    pub(crate) distance: Option<f64>,
    /// A sign behind the value: a star for the best one, a cross for a missed threshold.
    pub(crate) sign: &'static str,
    /// What shows on hover.
    pub(crate) title: String,
}

/// A table of values: rows are policies, columns are what they were tried with.
#[derive(Clone, Debug)]
pub(crate) struct ScoreCard {
    /// The heading of the first column.
    pub(crate) corner: String,
    /// The headings of the other columns.
    pub(crate) columns: Vec<String>,
    /// The label of each row, and a cell for each of `columns`.
    pub(crate) rows: Vec<(String, Vec<ScoreCell>)>,
}

impl ScoreCard {
    /// The table.
    pub(crate) fn render(&self) -> String {
        let mut out =
            format!("<table class=\"score\"><thead><tr><th>{}</th>", escape(&self.corner));
        for column in &self.columns {
            let _ = write!(out, "<th>{}</th>", escape(column));
        }
        out.push_str("</tr></thead>\n<tbody>");
        for (label, cells) in &self.rows {
            let _ = write!(out, "<tr><td>{}</td>", escape(label));
            for cell in cells {
                let shade = cell.distance.map(|distance| {
                    let percent = (distance.clamp(0.0, 1.0) * 100.0).round();
                    format!(" style=\"--far:{percent}%\"")
                });
                let _ = write!(
                    out,
                    "<td{} title=\"{}\">{}{}</td>",
                    shade.unwrap_or_default(),
                    escape(&cell.title),
                    escape(&cell.text),
                    cell.sign
                );
            }
            out.push_str("</tr>\n");
        }
        scroll(&(out + "</tbody></table>"))
    }

    /// How far each of some values, of which less is better, is from the best one: 0 for the best,
    /// 1 for what is at least four times as much.
    pub(crate) fn distances(values: &[Option<f64>]) -> Vec<Option<f64>> {
        let best = values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let distance = |value: f64| match best > 0.0 {
            true => (libm::log(value / best) / libm::log(4.0)).clamp(0.0, 1.0),
            false => {
                if value > best {
                    1.0
                } else {
                    0.0
                }
            }
        };
        values.iter().map(|value| value.map(distance)).collect()
    }

    /// How far each of some shares from 0 to 1, of which more is better, is from the best one: 1
    /// for what is at least a tenth less.
    pub(crate) fn lacks(shares: &[Option<f64>]) -> Vec<Option<f64>> {
        let best = shares.iter().flatten().copied().fold(0.0, f64::max);
        shares.iter().map(|share| share.map(|share| ((best - share) * 10.0).min(1.0))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_its_value_its_sign_and_its_shade() {
        let cell = |text: &str, sign, distance| ScoreCell {
            text: text.to_owned(),
            distance,
            sign,
            title: "a & b".to_owned(),
        };
        let card = ScoreCard {
            corner: "policy".to_owned(),
            columns: vec!["calm".to_owned(), "a split".to_owned()],
            rows: vec![(
                "quick".to_owned(),
                vec![cell("5 ms", " \u{2605}", Some(0.0)), cell("-", "", None)],
            )],
        };
        let html = card.render();
        assert!(html.contains("<td style=\"--far:0%\" title=\"a &amp; b\">5 ms \u{2605}</td>"));
        assert!(html.contains("<td title=\"a &amp; b\">-</td>"), "{html}");
    }

    #[test]
    fn the_best_value_has_no_shade_and_four_times_as_much_all_of_it() {
        let distances = ScoreCard::distances(&[Some(10.0), Some(20.0), None, Some(80.0)]);
        assert_eq!(distances[0], Some(0.0));
        assert!((distances[1].unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(distances[2..], [None, Some(1.0)]);
        assert_eq!(ScoreCard::distances(&[Some(0.0), Some(1.0)]), [Some(0.0), Some(1.0)]);
        assert_eq!(ScoreCard::lacks(&[Some(1.0), None, Some(0.5)]), [Some(0.0), None, Some(1.0)]);
    }
}
