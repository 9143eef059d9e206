//! Charts of lines with bands, which can be switched off one by one.

use std::fmt::Write as _;

use super::axis::Axis;
use super::palette::LineStyle;
use super::scale::{Area, line};
use super::{escape, figure};

const AREA: Area = Area::new(360.0, 250.0, 52.0);

/// A point of a line.
#[derive(Clone, Debug)]
pub(crate) struct LinePoint {
    /// Its place on the horizontal axis.
    pub(crate) x: f64,
    /// Its place on the vertical axis.
    pub(crate) y: f64,
    /// The ends of its band on the vertical axis; `None` without a band.
    pub(crate) band: Option<(f64, f64)>,
    /// What shows on hover; `None` if nothing does.
    pub(crate) title: Option<String>,
}

/// A line with its name in the key.
#[derive(Clone, Debug)]
pub(crate) struct LineSeries {
    /// Its name.
    pub(crate) label: String,
    /// Its colour and dashes.
    pub(crate) style: LineStyle,
    /// Its points, from the left to the right.
    pub(crate) points: Vec<LinePoint>,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub(crate) struct LineChart<'a> {
    /// What it shows; stands above it.
    pub(crate) caption: &'a str,
    /// What the horizontal axis is; stands below it. May be empty.
    pub(crate) x_title: &'a str,
    /// The horizontal axis.
    pub(crate) x: Axis,
    /// The vertical axis.
    pub(crate) y: Axis,
    /// Whether every point has a mark. Without marks only the points with a title can be pointed
    /// at.
    pub(crate) has_marks: bool,
    /// The lines.
    pub(crate) series: Vec<LineSeries>,
}

impl LineChart<'_> {
    /// The chart with its caption and its key.
    pub(crate) fn render(&self) -> String {
        let area = if self.x_title.is_empty() { AREA } else { AREA.with_x_title() };
        let mut content = area.y_axis(&self.y) + &area.x_axis(&self.x);
        if !self.x_title.is_empty() {
            content.push_str(&area.x_title(self.x_title));
        }
        // Bands lie below all lines.
        let bands = self.series.iter().map(|series| self.band(&area, series));
        bands.for_each(|band| content.push_str(&band));
        let lines = self.series.iter().map(|series| self.line(&area, series));
        lines.for_each(|line| content.push_str(&line));
        figure(self.caption, &(switches(&self.series) + &area.svg(self.caption, &content)))
    }

    fn band(&self, area: &Area, series: &LineSeries) -> String {
        let (x, y) = (area.x_scale(&self.x), area.y_scale(&self.y));
        let ends = |point: &LinePoint| point.band.map(|(low, high)| (x.px(point.x), low, high));
        let ends: Vec<(f64, f64, f64)> = series.points.iter().filter_map(ends).collect();
        if ends.len() < 2 {
            // A band of a single point would have no area, so it is a stroke.
            let strokes = ends
                .iter()
                .map(|(x, low, high)| format!("M{x:.1} {:.1}V{:.1}", y.px(*low), y.px(*high)));
            let path: String = strokes.collect();
            let class = series.style.classes();
            let number = series.style.number();
            return match path.is_empty() {
                true => path,
                false => {
                    format!("<g class=\"s{number}\"><path class=\"{class}\" d=\"{path}\"/></g>")
                }
            };
        }
        let tops = ends.iter().map(|(x, _, high)| Some((*x, y.px(*high))));
        let floors = ends.iter().rev().map(|(x, low, _)| Some((*x, y.px(*low))));
        format!(
            "<g class=\"s{}\"><path class=\"band f{}\" d=\"{}Z\"/></g>",
            series.style.number(),
            series.style.colour(),
            line(tops.chain(floors))
        )
    }

    fn line(&self, area: &Area, series: &LineSeries) -> String {
        let (x, y) = (area.x_scale(&self.x), area.y_scale(&self.y));
        let places: Vec<(f64, f64)> =
            series.points.iter().map(|point| (x.px(point.x), y.px(point.y))).collect();
        let mut out = format!(
            "<g class=\"s{}\"><path class=\"{}\" d=\"{}\"><title>{}</title></path>",
            series.style.number(),
            series.style.classes(),
            line(places.iter().copied().map(Some)),
            escape(&series.label)
        );
        for (point, (x, y)) in series.points.iter().zip(&places) {
            if self.has_marks {
                out.push_str(&series.style.mark(*x, *y));
            }
            if let Some(title) = &point.title {
                let title = escape(title);
                let _ = write!(
                    out,
                    "<circle class=\"hover\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\">\
                     <title>{title}</title></circle>"
                );
            }
        }
        out + "</g>"
    }
}

/// The key of a chart of several lines: a checkbox for each, which switches it on and off.
fn switches(series: &[LineSeries]) -> String {
    // The caption says what a single line is.
    if series.len() < 2 {
        return String::new();
    }
    let mut out = "<div class=\"key\">".to_owned();
    for series in series {
        let _ = write!(
            out,
            "<label><input type=\"checkbox\" class=\"t{}\" checked autocomplete=\"off\">\
             <svg viewBox=\"0 0 30 12\" aria-hidden=\"true\">{}</svg>{}</label>",
            series.style.number(),
            series.style.sample(),
            escape(&series.label)
        );
    }
    out + "</div>\n"
}

#[cfg(test)]
mod tests {
    use super::super::axis::AxisUnit;
    use super::*;

    #[test]
    fn lines_have_bands_marks_switches_and_values() {
        let point = |x, y| LinePoint {
            x,
            y,
            band: Some((y - 1.0, y + 1.0)),
            title: Some(format!("at {x}: {y}")),
        };
        let series = |number, label: &str| LineSeries {
            label: label.to_owned(),
            style: LineStyle::new(number),
            points: vec![point(0.0, 2.0), point(1.0, 3.0)],
        };
        let chart = LineChart {
            caption: "p99 & rate",
            x_title: "rate",
            x: Axis::from_zero(1.0, AxisUnit::Number),
            y: Axis::from_zero(4.0, AxisUnit::Number),
            has_marks: true,
            series: vec![series(0, "quick"), series(8, "<slow>")],
        };
        let svg = chart.render();
        assert!(svg.contains("p99 &amp; rate") && svg.contains("&lt;slow&gt;"));
        for (part, times) in [
            ("class=\"band ", 2),
            ("<circle class=\"hover\"", 4),
            ("type=\"checkbox\"", 2),
            ("<title>at 1: 3</title>", 2),
            ("class=\"line c0 d0\"", 2),
            ("class=\"line c0 d2\"", 2),
        ] {
            assert_eq!(svg.matches(part).count(), times, "{part}");
        }
    }
}
