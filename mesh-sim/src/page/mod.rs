//! Parts of pages for people: the document, tables, and charts as SVG.
//!
//! Every page is one file. It needs no other file, no network and no script: values show on hover
//! because SVG has `<title>`, and lines are switched off by checkboxes that the style sheet reads.
//! The text of a chart is at least 11 px high on a screen of 400 px, because all charts are drawn
//! for that width and scaled up on larger screens.
//!
//! These parts know nothing of runs and sweeps; the rooms above bring the numbers.

mod axis;
mod document;
mod line_chart;
mod matrix;
mod palette;
mod row_chart;
mod scale;
mod score_card;
mod time_panels;

pub(crate) use self::axis::{Axis, AxisUnit};
pub(crate) use self::document::{Document, STYLE, facts, folded, scroll};
pub(crate) use self::line_chart::{LineChart, LinePoint, LineSeries};
pub(crate) use self::matrix::Matrix;
pub(crate) use self::palette::LineStyle;
pub(crate) use self::row_chart::{ChartRow, RowChart, Tone};
pub(crate) use self::scale::{Area, Scale, line, steps};
pub(crate) use self::score_card::{ScoreCard, ScoreCell};
pub(crate) use self::time_panels::{PanelFrame, TimePanels, TimeShade, panel, panels};

/// Escapes the characters of a text that have a meaning in HTML or in its attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// A chart with its caption. Charts stand in a grid of one or two columns.
pub(crate) fn figure(caption: &str, content: &str) -> String {
    let caption = escape(caption);
    format!("<figure class=\"chart\">\n<figcaption>{caption}</figcaption>\n{content}</figure>\n")
}

/// Charts side by side where there is room for two.
pub(crate) fn grid(figures: &str) -> String {
    format!("<div class=\"charts\">\n{figures}</div>\n")
}

/// The key of a chart, which explains its lines and areas: a sample of 30 by 12 pixels with a name
/// for each.
pub(crate) fn key<'a>(entries: impl Iterator<Item = (String, &'a str)>) -> String {
    let mut out = "<ul class=\"key\">".to_owned();
    for (sample, name) in entries {
        let name = escape(name);
        out.push_str(&format!(
            "<li><svg viewBox=\"0 0 30 12\" aria-hidden=\"true\">{sample}</svg>{name}</li>"
        ));
    }
    out + "</ul>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
