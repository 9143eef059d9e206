//! Plots: scales, axes and lines as SVG text.

use std::fmt::Write as _;

use crate::format;
use crate::record::FaultWindow;
use crate::scenario::Scenario;

const NANOS_PER_SECOND: f64 = 1e9;

/// Maps the numbers of one axis to positions in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    log: bool,
    start_px: f64,
    end_px: f64,
}

impl Scale {
    /// A linear scale.
    pub(super) fn linear(from: f64, to: f64, start_px: f64, end_px: f64) -> Self {
        // A scale without length would divide by zero.
        Self { from, to: to.max(from + f64::MIN_POSITIVE), log: false, start_px, end_px }
    }

    /// A logarithmic scale. Both ends must be above zero.
    pub(super) fn log(from: f64, to: f64, start_px: f64, end_px: f64) -> Self {
        let (from, to) = (libm::log10(from), libm::log10(to));
        Self { from, to, log: true, start_px, end_px }
    }

    /// The position of a number. A number beyond an end of the scale is put on that end.
    pub(super) fn px(&self, figure: f64) -> f64 {
        // Zero has no logarithm, so it goes to the lower end of the scale.
        let figure = if self.log { libm::log10(figure.max(f64::MIN_POSITIVE)) } else { figure };
        let share = ((figure - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start_px + share * (self.end_px - self.start_px)
    }
}

/// The area inside of the axes of a plot, in the pixels of the plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    /// The width of the whole plot.
    pub(super) width: f64,
    /// The height of the whole plot.
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// The area of a plot of this size, with room for labels on its left and below it.
    pub(super) const fn new(width: f64, height: f64, label_width: f64) -> Self {
        Self {
            width,
            height,
            left: label_width,
            right: width - 8.0,
            top: 8.0,
            bottom: height - 24.0,
        }
    }

    /// The whole plot around `content`. Screen readers read `label`.
    pub(super) fn svg(&self, label: &str, content: &str) -> String {
        let (width, height) = (self.width, self.height);
        let class = if width > 500.0 { " class=\"wide\"" } else { "" };
        let label = escape(label);
        format!(
            "<svg{class} viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\
             {content}</svg>\n"
        )
    }

    /// The horizontal lines of the vertical axis, with their labels.
    pub(super) fn y_axis(&self, scale: &Scale, ticks: &[(f64, String)]) -> String {
        let mut out = String::new();
        for (figure, label) in ticks {
            let (y, left, right) = (scale.px(*figure), self.left, self.right);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                escape(label)
            );
        }
        out
    }

    /// The horizontal axis, with ticks and their labels.
    pub(super) fn x_axis(&self, scale: &Scale, ticks: &[(f64, String)]) -> String {
        let (left, right, bottom) = (self.left, self.right, self.bottom);
        let mut out = format!("<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
        for (figure, label) in ticks {
            let x = scale.px(*figure);
            let _ = write!(
                out,
                "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v4\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escape(label)
            );
        }
        out
    }

    /// The scale of a time axis: from 0 to `seconds` of the run.
    pub(super) fn time_scale(&self, seconds: usize) -> Scale {
        Scale::linear(0.0, seconds as f64, self.left, self.right)
    }

    /// The horizontal axis in seconds, with at most seven ticks.
    pub(super) fn time_axis(&self, scale: &Scale, seconds: usize) -> String {
        const STEPS: [usize; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
        let few = |step: &usize| seconds / step <= 6;
        let step = STEPS.into_iter().find(few).unwrap_or((seconds / 6).max(1));
        let tick = |second: usize| (second as f64, format!("{} s", format::count(second as u64)));
        let ticks: Vec<_> = (0..=seconds).step_by(step).map(tick).collect();
        self.x_axis(scale, &ticks)
    }

    /// Shades the warm-up and the times of faults.
    pub(super) fn shades(&self, scale: &Scale, scenario: &Scenario) -> String {
        let mut out = String::new();
        let mut shade = |class: &str, from: f64, until: f64, title: &str| {
            let (x, end) = (scale.px(from), scale.px(until));
            let (width, height) = (end - x, self.bottom - self.top);
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"><title>{}</title></rect>",
                self.top,
                escape(title)
            );
        };
        if !scenario.warm_up.is_zero() {
            shade("warm", 0.0, scenario.warm_up.as_secs_f64(), "warm-up");
        }
        for window in FaultWindow::all(scenario).into_iter().filter(FaultWindow::has_times) {
            let seconds = |at: mesh_core::time::Timestamp| at.as_nanos() as f64 / NANOS_PER_SECOND;
            shade("fault", seconds(window.from), seconds(window.until), &window.label);
        }
        out
    }
}

/// The ticks of a linear axis from 0 to at least `max`: at most five steps, each 1, 2 or 5 times a
/// power of ten. The last tick is the end of the axis.
pub(super) fn linear_ticks(max: u64) -> Vec<(f64, String)> {
    let mut step = 1;
    let mut factors = [2, 5, 10].into_iter().cycle();
    let mut decade = 1;
    while max.div_ceil(step) > 5 {
        let factor = factors.next().unwrap_or(10);
        step = decade * factor;
        if factor == 10 {
            decade *= 10;
        }
    }
    let last = max.div_ceil(step).max(1);
    (0..=last).map(|n| ((n * step) as f64, format::count(n * step))).collect()
}

/// The ticks of a logarithmic axis for latencies from `min_ns` to `max_ns`: 1, 2 and 5 times the
/// powers of ten, or the powers of ten alone if that would be more than nine. The first and the
/// last tick are the ends of the axis.
pub(super) fn latency_ticks(min_ns: u64, max_ns: u64) -> Vec<(f64, String)> {
    let steps = |factors: &[u64]| -> Vec<u64> {
        let all: Vec<u64> =
            (0..18).flat_map(|power| factors.iter().map(move |f| f * 10u64.pow(power))).collect();
        let first = all.iter().rposition(|&tick| tick <= min_ns).unwrap_or(0);
        let last = all.iter().position(|&tick| tick >= max_ns).unwrap_or(all.len() - 1);
        all[first..=last.max(first + 1).min(all.len() - 1)].to_vec()
    };
    let fine = steps(&[1, 2, 5]);
    let ticks = if fine.len() <= 9 { fine } else { steps(&[1]) };
    ticks.into_iter().map(|tick| (tick as f64, format::latency(tick, 1))).collect()
}

/// The path of a line through points. `None` leaves a gap.
pub(super) fn line(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
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
pub(super) fn steps(edges: &[f64], tops: &[f64], floors: &[f64]) -> String {
    let mut out = format!("M{:.1} {:.1}", edges[0], floors[0]);
    for (index, top) in tops.iter().enumerate() {
        let _ = write!(out, "V{top:.1}H{:.1}", edges[index + 1]);
    }
    for (index, floor) in floors.iter().enumerate().rev() {
        let _ = write!(out, "V{floor:.1}H{:.1}", edges[index]);
    }
    out.push('Z');
    out
}

/// Escapes the characters of a text that have a meaning in HTML or in its attributes.
pub(in crate::report) fn escape(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_few_and_cover_the_figures() {
        assert_eq!(labels(&linear_ticks(0)), ["0", "1"]);
        assert_eq!(labels(&linear_ticks(7)), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(&linear_ticks(230)), ["0", "50", "100", "150", "200", "250"]);
        assert_eq!(labels(&linear_ticks(2000)), ["0", "500", "1,000", "1,500", "2,000"]);
    }

    #[test]
    fn latency_ticks_cover_the_figures() {
        let ticks = latency_ticks(3_000_000, 400_000_000);
        let expected = ["2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "500 ms"];
        assert_eq!(labels(&ticks), expected);
        assert_eq!(labels(&latency_ticks(1_000, 900_000_000)).len(), 7);
        assert_eq!(labels(&latency_ticks(2_000, 2_000)), ["2 µs", "5 µs"]);
        let small = ["200 ns", "500 ns", "1 µs", "2 µs", "5 µs"];
        assert_eq!(labels(&latency_ticks(350, 5_000)), small);
        assert_eq!(labels(&latency_ticks(1, 1)), ["1 ns", "2 ns"]);
    }

    #[test]
    fn every_tick_reads_differently() {
        for from in (0..17).map(|power| 10u64.pow(power)) {
            for to in (0..18).map(|power| 10u64.pow(power)).filter(|to| *to > from) {
                let ticks = latency_ticks(from, to);
                let mut texts = labels(&ticks);
                texts.sort_unstable();
                texts.dedup();
                assert_eq!(texts.len(), ticks.len(), "{from} to {to} ns");
            }
        }
    }

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

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
