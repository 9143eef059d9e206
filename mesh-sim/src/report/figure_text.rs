//! The text of figures in tables for people.

use crate::figures::{Figure, Unit};
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
pub(crate) fn best(figure: &Figure, all: &[MeasuredFigures], digits: usize) -> Option<String> {
    let with_requests = all.iter().filter(|measured| measured.requests.sent > 0);
    let best = with_requests.min_by(|a, b| a.badness(figure).total_cmp(&b.badness(figure)))?;
    let best = text(figure, best, digits);
    all.iter().any(|measured| text(figure, measured, digits) != best).then_some(best)
}

/// A difference and its interval in the same unit and with the same decimals. The largest of the
/// three numbers decides both.
pub(crate) fn difference(unit: Unit, difference: f64, ends: Option<[f64; 2]>) -> String {
    let all = [difference].into_iter().chain(ends.into_iter().flatten());
    let largest = all.map(f64::abs).fold(0.0, f64::max);
    let (unit, name) = match unit {
        // The difference of two percentages is in percentage points.
        Unit::Share => (0.01, "pp"),
        Unit::Latency if largest >= 1e9 => (1e9, "s"),
        Unit::Latency if largest >= 1e6 || largest == 0.0 => (1e6, "ms"),
        Unit::Latency if largest >= 1e3 => (1e3, "µs"),
        Unit::Latency => (1.0, "ns"),
    };
    let decimals = match largest / unit {
        number if number >= 100.0 => 0,
        number if number >= 10.0 => 1,
        _ => 2,
    };
    let number = |figure: f64| {
        let scale = [1.0, 10.0, 100.0][decimals];
        // A number that is rounded to zero has no sign.
        let rounded = (figure / unit * scale).round() / scale + 0.0;
        let sign = if rounded == 0.0 { "" } else { "+" };
        match sign {
            "" => format!("{:.decimals$}", 0.0),
            _ => format!("{rounded:+.decimals$}"),
        }
    };
    match ends {
        Some([low, high]) => {
            format!("{} [{}, {}] {name}", number(difference), number(low), number(high))
        }
        None => format!("{} {name}", number(difference)),
    }
}
