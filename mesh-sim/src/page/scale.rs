//! Scales, the area of a plot, and lines as paths of SVG.

use std::fmt::Write as _;

use super::axis::Axis;
use super::escape;

/// Maps the numbers of one axis to positions in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    from: f64,
    to: f64,
    log: bool,
    start_px: f64,
    end_px: f64,
}

impl Scale {
    /// A linear scale.
    pub(crate) fn linear(from: f64, to: f64, start_px: f64, end_px: f64) -> Self {
        // A scale without length would divide by zero.
        Self { from, to: to.max(from + f64::MIN_POSITIVE), log: false, start_px, end_px }
    }

    /// A logarithmic scale. Both ends must be above zero.
    pub(crate) fn log(from: f64, to: f64, start_px: f64, end_px: f64) -> Self {
        let (from, to) = (libm::log10(from), libm::log10(to));
        Self { from, to, log: true, start_px, end_px }
    }

    /// The position of a number. A number beyond an end of the scale is put on that end.
    pub(crate) fn px(&self, figure: f64) -> f64 {
        // Zero has no logarithm, so it goes to the lower end of the scale.
        let figure = if self.log { libm::log10(figure.max(f64::MIN_POSITIVE)) } else { figure };
        let share = ((figure - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start_px + share * (self.end_px - self.start_px)
    }
}

/// The area inside of the axes of a plot, in the pixels of the plot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    /// The width of the whole plot.
    pub(crate) width: f64,
    /// The height of the whole plot.
    pub(crate) height: f64,
    /// Where the axes begin, from the left.
    pub(crate) left: f64,
    /// Where they end.
    pub(crate) right: f64,
    /// Where the vertical axis ends, from the top.
    pub(crate) top: f64,
    /// Where it begins.
    pub(crate) bottom: f64,
}

impl Area {
    /// The area of a plot of this size, with room for labels on its left and below it.
    pub(crate) const fn new(width: f64, height: f64, label_width: f64) -> Self {
        Self {
            width,
            height,
            left: label_width,
            right: width - 14.0,
            top: 10.0,
            bottom: height - 24.0,
        }
    }

    /// The same with room for the title of the horizontal axis.
    pub(crate) const fn with_x_title(self) -> Self {
        Self { bottom: self.bottom - 16.0, ..self }
    }

    /// The whole plot around `content`. Screen readers read `label`.
    pub(crate) fn svg(&self, label: &str, content: &str) -> String {
        let (width, height) = (self.width, self.height);
        let label = escape(label);
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\
             {content}</svg>\n"
        )
    }

    /// The horizontal scale of an axis.
    pub(crate) fn x_scale(&self, axis: &Axis) -> Scale {
        axis.scale(self.left, self.right)
    }

    /// The vertical scale of an axis.
    pub(crate) fn y_scale(&self, axis: &Axis) -> Scale {
        axis.scale(self.bottom, self.top)
    }

    /// The horizontal lines of the vertical axis, with their labels.
    pub(crate) fn y_axis(&self, axis: &Axis) -> String {
        let scale = self.y_scale(axis);
        let mut out = String::new();
        for (figure, label) in &axis.ticks {
            let (y, left, right) = (scale.px(*figure), self.left, self.right);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 5.0,
                y + 4.0,
                escape(label)
            );
        }
        out
    }

    /// The horizontal axis, with ticks and their labels.
    pub(crate) fn x_axis(&self, axis: &Axis) -> String {
        let scale = self.x_scale(axis);
        let (left, right, bottom) = (self.left, self.right, self.bottom);
        let mut out = format!("<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
        for (figure, label) in &axis.ticks {
            let x = scale.px(*figure);
            // A label at the right end must not leave the picture.
            let at_end = x > self.width - 20.0;
            let (anchor, place) = if at_end { ("end", self.width) } else { ("middle", x) };
            let _ = write!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v4\"/>\
                 <text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                bottom + 16.0,
                escape(label)
            );
        }
        out
    }

    /// What the horizontal axis is, below it.
    pub(crate) fn x_title(&self, title: &str) -> String {
        format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (self.left + self.right) / 2.0,
            self.height - 6.0,
            escape(title)
        )
    }
}

/// The path of a line through points. `None` leaves a gap.
pub(crate) fn line(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut out = String::new();
    let mut command = 'M';
    for point in points {
        match point {
            Some((x, y)) => {
                let _ = write!(out, "{command}{x:.1} {y:.1}");
                // A lone point is a line without length, which only round line caps would show.
                command = 'L';
            }
            None => command = 'M',
        }
    }
    out
}

/// The path of the border around bars that stand side by side, each with a top and a floor of its
/// own: along `tops` from left to right, then back along `floors`.
pub(crate) fn steps(edges: &[f64], tops: &[f64], floors: &[f64]) -> String {
    let mut out = format!("M{:.1} {:.1}", edges[0], floors.first().unwrap_or(&0.0));
    for (index, top) in tops.iter().enumerate() {
        let _ = write!(out, "V{top:.1}H{:.1}", edges[index + 1]);
    }
    for (index, floor) in floors.iter().enumerate().rev() {
        let _ = write!(out, "V{floor:.1}H{:.1}", edges[index]);
    }
    out.push('Z');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_map_their_ends_and_clamp() {
        let scale = Scale::log(1.0, 100.0, 0.0, 10.0);
        assert_eq!([1.0, 10.0, 100.0, 1e9, 0.0].map(|f| scale.px(f)), [0.0, 5.0, 10.0, 10.0, 0.0]);
        assert_eq!(Scale::linear(0.0, 0.0, 3.0, 5.0).px(0.0), 3.0);
    }

    #[test]
    fn lines_break_and_steps_close() {
        let points = [Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0))];
        assert_eq!(line(points.into_iter()), "M0.0 1.0L1.0 2.0M3.0 4.0");
        let bars = steps(&[0.0, 1.0, 2.0], &[5.0, 6.0], &[9.0, 9.0]);
        assert_eq!(bars, "M0.0 9.0V5.0H1.0V6.0H2.0V9.0H1.0V9.0H0.0Z");
    }
}
