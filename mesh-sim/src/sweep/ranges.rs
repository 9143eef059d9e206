//! Ranges of values: `lin(0, 100, 5)` stands for 5 values with equal steps, and `log(10ms, 1s, 5)`
//! for 5 values with equal ratios.
//!
//! Both ends belong to the range, and are numbers or durations. Between whole numbers, the values
//! are rounded to whole numbers; all others are rounded to three digits.

use std::time::Duration;

use mesh_core::time::nanos;

use crate::units::{format_duration, parse_duration};

/// The most values of a range.
const MOST_VALUES: usize = 1000;

/// The values that a text stands for: those of a range, or else the text itself.
///
/// # Errors
/// If the text is a range with a mistake.
pub(super) fn values_of(text: &str) -> Result<Vec<String>, String> {
    let range = text.strip_suffix(')').and_then(|text| text.split_once('('));
    let Some((steps, inside)) = range.and_then(|(name, inside)| Some((Steps::of(name)?, inside)))
    else {
        return Ok(vec![text.to_owned()]);
    };
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let [first, last, count] = parts[..] else {
        return Err(format!("{text}: expected both ends and the number of values"));
    };
    let count = count.parse().ok().filter(|count| (2..=MOST_VALUES).contains(count));
    let count = count.ok_or_else(|| format!("{text}: expected from 2 to {MOST_VALUES} values"))?;
    let ends = RangeEnds::of(first, last)
        .ok_or_else(|| format!("{text}: expected two numbers, or two durations, as ends"))?;
    let (low, high) = ends.numbers();
    if matches!(steps, Steps::EqualRatios) && !(low > 0.0 && high > 0.0) {
        return Err(format!("{text}: a logarithmic range has ends above zero"));
    }
    let between = (1..count - 1).map(|at| steps.value(low, high, at as f64 / (count - 1) as f64));
    let mut values = vec![first.to_owned()];
    values.extend(between.map(|value| ends.text(value)));
    values.push(last.to_owned());
    Ok(values)
}

/// How the values of a range follow each other.
#[derive(Clone, Copy, Debug)]
enum Steps {
    EqualDifferences,
    EqualRatios,
}

impl Steps {
    fn of(name: &str) -> Option<Self> {
        match name {
            "lin" => Some(Self::EqualDifferences),
            "log" => Some(Self::EqualRatios),
            _ => None,
        }
    }

    /// The value at a share of the way from `low` to `high`.
    fn value(self, low: f64, high: f64, share: f64) -> f64 {
        match self {
            Self::EqualDifferences => low + (high - low) * share,
            Self::EqualRatios => low * libm::pow(high / low, share),
        }
    }
}

/// The ends of a range.
#[derive(Clone, Copy, Debug)]
enum RangeEnds {
    Whole(i64, i64),
    Numbers(f64, f64),
    Durations(Duration, Duration),
}

impl RangeEnds {
    fn of(first: &str, last: &str) -> Option<Self> {
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
            return Some(Self::Whole(first, last));
        }
        if let (Ok(first), Ok(last)) = (parse_duration(first), parse_duration(last)) {
            return Some(Self::Durations(first, last));
        }
        let finite = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
        Some(Self::Numbers(finite(first)?, finite(last)?))
    }

    /// Both ends as plain numbers; durations in nanoseconds.
    fn numbers(self) -> (f64, f64) {
        match self {
            Self::Whole(first, last) => (first as f64, last as f64),
            Self::Numbers(first, last) => (first, last),
            Self::Durations(first, last) => (nanos(first) as f64, nanos(last) as f64),
        }
    }

    /// A value between the ends as text, rounded.
    fn text(self, value: f64) -> String {
        match self {
            Self::Whole(..) => format!("{value:.0}"),
            Self::Numbers(..) => rounded(value).to_string(),
            Self::Durations(..) => {
                format_duration(Duration::from_nanos(rounded(value).round() as u64))
            }
        }
    }
}

/// A number rounded to three digits.
fn rounded(value: f64) -> f64 {
    // Text has decimal digits, so that rounding leaves no trace like 0.30000000000000004.
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        values_of(text).unwrap()
    }

    #[test]
    fn ranges_have_both_ends_and_round_values_between() {
        assert_eq!(values("log(10, 1000, 5)"), ["10", "32", "100", "316", "1000"]);
        assert_eq!(values("log(0.1,10.0,5)"), ["0.1", "0.316", "1", "3.16", "10.0"]);
        assert_eq!(values("log(10ms,1s,3)"), ["10ms", "100ms", "1s"]);
        assert_eq!(values("lin(8,64,3)"), ["8", "36", "64"]);
        assert_eq!(values("lin(0.1,0.5,5)"), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(values("lin(2s,1s,3)"), ["2s", "1.5s", "1s"]);
    }

    #[test]
    fn other_texts_stand_for_themselves() {
        for text in ["100", "\"log(1,2,3)\"", "log", "(1,2)", "cos(1,2,3)"] {
            assert_eq!(values(text), [text]);
        }
    }

    #[test]
    fn a_wrong_range_is_refused() {
        for text in [
            "log(0,10,3)",
            "log(1,10)",
            "lin(1,10,1)",
            "lin(1,10s,3)",
            "lin(a,b,3)",
            "log(1,2,1e9)",
        ] {
            assert!(values_of(text).is_err(), "{text}");
        }
    }
}
