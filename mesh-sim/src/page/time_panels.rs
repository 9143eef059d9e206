//! Small charts over the time of a run, one for each policy, all with the same axes.

use std::fmt::Write as _;
use std::ops::Range;

use super::axis::{Axis, time_text};
use super::escape;
use super::scale::{Area, Scale};

const PANEL: Area = Area::new(320.0, 170.0, 48.0);
/// The height of the bar at the top of a panel that marks the time of a fault.
const MARK: f64 = 4.0;

/// A part of the time that is marked in every panel: the warm-up, or a fault.
#[derive(Clone, Debug)]
pub(crate) struct TimeShade {
    /// When it begins, in seconds.
    pub(crate) from: f64,
    /// When it ends, in seconds.
    pub(crate) until: f64,
    /// What it is.
    pub(crate) title: String,
    /// Whether it is a fault.
    pub(crate) is_fault: bool,
}

/// What small charts over time have in common.
#[derive(Clone, Debug)]
pub(crate) struct TimePanels<'a> {
    /// The length of the time axis in seconds.
    pub(crate) seconds: f64,
    /// The vertical axis.
    pub(crate) y: Axis,
    /// The marked parts of the time.
    pub(crate) shades: &'a [TimeShade],
    /// The time of each point or bar, in seconds.
    pub(crate) spans: &'a [Range<usize>],
    /// What the panels show, for screen readers.
    pub(crate) what: &'a str,
}

/// One of the panels, while its content is drawn.
#[derive(Debug)]
pub(crate) struct PanelFrame {
    /// The vertical scale.
    pub(crate) y: Scale,
    /// The horizontal places of the borders of the spans: one more than there are spans.
    pub(crate) edges: Vec<f64>,
    /// The lower end of the plot.
    pub(crate) bottom: f64,
}

impl PanelFrame {
    /// The horizontal middle of each span.
    pub(crate) fn middles(&self) -> impl Iterator<Item = f64> {
        self.edges.windows(2).map(|edge| (edge[0] + edge[1]) / 2.0)
    }
}

impl TimePanels<'_> {
    /// A panel under its title. `draw` draws what is in it, and `value` says what shows when one
    /// points at a span.
    pub(crate) fn panel(
        &self,
        title: &str,
        draw: impl Fn(&PanelFrame) -> String,
        value: impl Fn(usize) -> String,
    ) -> String {
        let time = Axis::of_time(self.seconds);
        let x = PANEL.x_scale(&time);
        let edges = self.spans.iter().map(|span| x.px(span.start as f64));
        let end = self.spans.last().map_or(0.0, |span| span.end as f64);
        let frame = PanelFrame {
            y: PANEL.y_scale(&self.y),
            edges: edges.chain([x.px(end)]).collect(),
            bottom: PANEL.bottom,
        };
        // Shades lie below everything, so that they turn no colour into another one.
        let content = self.shades(&x)
            + &PANEL.y_axis(&self.y)
            + &draw(&frame)
            + &self.marks(&x)
            + &PANEL.x_axis(&time)
            + &self.hovers(&frame, value);
        panel(title, &PANEL.svg(&format!("{title}: {}", self.what), &content))
    }

    fn shades(&self, x: &Scale) -> String {
        let mut out = String::new();
        for shade in self.shades {
            let (from, until) = (x.px(shade.from), x.px(shade.until));
            let class = if shade.is_fault { "fault" } else { "warm" };
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
                 height=\"{:.1}\"/>",
                PANEL.top,
                until - from,
                PANEL.bottom - PANEL.top
            );
        }
        out
    }

    /// A bar above the plot for each fault. Areas may hide the shade below them, but not this.
    fn marks(&self, x: &Scale) -> String {
        let mut out = String::new();
        for fault in self.shades.iter().filter(|shade| shade.is_fault) {
            let (from, until) = (x.px(fault.from), x.px(fault.until));
            let _ = write!(
                out,
                "<rect class=\"fault-mark\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
                 height=\"{MARK}\"><title>{}</title></rect>",
                PANEL.top - MARK - 2.0,
                until - from,
                escape(&fault.title)
            );
        }
        out
    }

    /// Invisible strips, one per span, that show the values of their span on hover.
    fn hovers(&self, frame: &PanelFrame, value: impl Fn(usize) -> String) -> String {
        let mut out = String::new();
        let height = PANEL.bottom - PANEL.top;
        for (number, (span, edge)) in self.spans.iter().zip(frame.edges.windows(2)).enumerate() {
            let from = time_text(span.start as f64, self.seconds);
            let names = self.shades.iter().filter(|shade| {
                shade.is_fault && shade.from < span.end as f64 && (span.start as f64) < shade.until
            });
            let faults: String = names.map(|shade| format!("; {}", shade.title)).collect();
            let _ = write!(
                out,
                "<path class=\"hover\" d=\"M{:.1} {:.1}H{:.1}v{height:.1}H{:.1}Z\"><title>{}</title>\
                 </path>",
                edge[0],
                PANEL.top,
                edge[1],
                edge[0],
                escape(&format!("{from}: {}{faults}", value(number)))
            );
        }
        out
    }
}

/// A plot under a title.
pub(crate) fn panel(title: &str, svg: &str) -> String {
    format!("<div class=\"panel\"><h3>{}</h3>\n{svg}</div>\n", escape(title))
}

/// Panels side by side, as many as there is room for.
pub(crate) fn panels(all: &str) -> String {
    format!("<div class=\"panels\">\n{all}</div>\n")
}

#[cfg(test)]
mod tests {
    use super::super::axis::AxisUnit;
    use super::*;

    #[test]
    fn shades_lie_below_and_values_show_on_hover() {
        let fault =
            TimeShade { from: 10.0, until: 20.0, title: "split".to_owned(), is_fault: true };
        let spans = [0..15, 15..30, 30..40];
        let panels = TimePanels {
            seconds: 40.0,
            y: Axis::from_zero(10.0, AxisUnit::Number),
            shades: &[fault],
            spans: &spans,
            what: "requests",
        };
        let svg =
            panels.panel("quick", |_| "<g>here</g>".to_owned(), |span| format!("{span} of 3"));
        let place = |part: &str| svg.find(part).unwrap_or_else(|| panic!("no {part} in {svg}"));
        assert!(place("class=\"fault\"") < place("<g>here</g>"));
        assert!(place("<g>here</g>") < place("class=\"fault-mark\""));
        assert!(svg.contains("<title>15 s: 1 of 3; split</title>"));
        assert!(svg.contains("<title>30 s: 2 of 3</title>"));
        assert_eq!(svg.matches("class=\"hover\"").count(), 3);
    }
}
