//! The text of figures in tables for people.

use crate::figures::Figure;
use crate::format;
use crate::judge::{FigureValue, MeasuredFigures};

/// The text of a figure's value; latencies have `digits` significant digits.
pub(crate) fn text(figure: &Figure, measured: &MeasuredFigures, digits: usize) -> String {
    match measured.get(figure) {
        FigureValue::Share { part, whole } => format::percent(part, whole),
        FigureValue::Latency(_) if measured.requests.sent == 0 => format::NO_FIGURE.to_owned(),
        FigureValue::Latency(latency_ns) => format::latency(latency_ns, digits),
    }
}

/// The text of the best of several values; `None` if all have the same text.
pub(super) fn best(figure: &Figure, all: &[MeasuredFigures], digits: usize) -> Option<String> {
    let with_requests = all.iter().filter(|measured| measured.requests.sent > 0);
    let best = with_requests.min_by(|a, b| a.badness(figure).total_cmp(&b.badness(figure)))?;
    let best = text(figure, best, digits);
    all.iter().any(|measured| text(figure, measured, digits) != best).then_some(best)
}
