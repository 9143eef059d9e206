//! Axes that fit their numbers, with ticks at round ones.

use super::scale::Scale;
use crate::format;

/// The most ticks of an axis.
const MOST_TICKS: usize = 7;
/// Latencies that differ by more than this factor are drawn on a logarithmic axis.
const LOG_FROM: f64 = 8.0;

/// What the numbers of an axis are, which decides how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AxisUnit {
    /// A plain number: requests, say.
    Number,
    /// A latency in nanoseconds; as a difference it may be below zero.
    Latency,
    /// Percent, or percentage points.
    Percent,
}

impl AxisUnit {
    /// A number with its unit, in some three digits.
    pub(crate) fn text(self, number: f64) -> String {
        match self {
            Self::Number => with_decimals(number, decimals(number.abs() / 100.0)),
            // Shares decide in the second decimal: 99.98 % is far from 99.90 %.
            Self::Percent => format!("{} %", with_decimals(number, 2)),
            Self::Latency => {
                let sign = if number < 0.0 { "\u{2212}" } else { "" };
                format!("{sign}{}", format::latency(number.abs().round() as u64, 3))
            }
        }
    }

    /// The unit in which an axis up to this number is written, and its name.
    fn unit(self, most: f64) -> (f64, &'static str) {
        match self {
            Self::Number => (1.0, ""),
            Self::Percent => (1.0, " %"),
            Self::Latency if most >= 1e9 => (1e9, " s"),
            Self::Latency if most >= 1e6 => (1e6, " ms"),
            Self::Latency if most >= 1e3 => (1e3, " \u{b5}s"),
            Self::Latency => (1.0, " ns"),
        }
    }
}

/// The number of decimals that show a step of this size.
fn decimals(step: f64) -> usize {
    if step >= 1.0 || step <= 0.0 { 0 } else { (-libm::floor(libm::log10(step) + 1e-9)) as usize }
}

/// A number with thousands separators and at most so many decimals.
fn with_decimals(number: f64, decimals: usize) -> String {
    let text = format!("{:.*}", decimals.min(6), number.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let rest = rest.trim_end_matches('0');
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), format::count);
    let is_zero = rest.is_empty() && whole == "0";
    let sign = if number < 0.0 && !is_zero { "\u{2212}" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// The range of the numbers of an axis, and its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    from: f64,
    to: f64,
    is_log: bool,
    /// The ticks with their labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// The axis on a line from one position to another.
    pub(crate) fn scale(&self, start_px: f64, end_px: f64) -> Scale {
        match self.is_log {
            true => Scale::log(self.from, self.to, start_px, end_px),
            false => Scale::linear(self.from, self.to, start_px, end_px),
        }
    }

    /// A linear axis from 0 to at least `most`. It ends with a tick.
    pub(crate) fn from_zero(most: f64, quantity: AxisUnit) -> Self {
        let least = if quantity == AxisUnit::Number { 1.0 } else { f64::MIN_POSITIVE };
        let most = if most > 0.0 { most.max(least) } else { 1.0 };
        // Up to the tick above the greatest number, but no share is more than 100 %.
        let step = quantity.unit(most).0 * round_step(most / quantity.unit(most).0 / 5.0);
        let to = step * libm::ceil(most / step - 1e-9);
        let is_open = quantity != AxisUnit::Percent || most > 100.0;
        Self::spanning(0.0, if is_open { to } else { to.min(100.0) }, quantity, 5)
    }

    /// A linear axis that fits these numbers, with some room at both ends.
    pub(crate) fn fitting(numbers: impl Iterator<Item = f64>, quantity: AxisUnit) -> Self {
        let (least, most) = ends(numbers);
        let room = if most > least { (most - least) * 0.06 } else { most.abs().max(1e-9) * 0.1 };
        Self::spanning(least - room, most + room, quantity, 5)
    }

    /// As [`Self::fitting`] for percentages, which don't pass 0 and 100.
    pub(crate) fn of_percentages(numbers: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ends(numbers);
        let room = (most - least).max(0.02) * 0.08;
        let (from, to) = ((least - room).max(0.0), (most + room).min(100.0));
        Self::spanning(from.min(99.9), to, AxisUnit::Percent, 5)
    }

    /// An axis for latencies: logarithmic and as long as they are if they differ a lot, else linear
    /// from zero.
    pub(crate) fn of_latencies(numbers: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ends(numbers.filter(|ns| *ns > 0.0));
        if least <= 0.0 || most / least < LOG_FROM {
            return Self::from_zero(most, AxisUnit::Latency);
        }
        Self::log(least / 1.05, most * 1.05, |ns| format::latency(ns.round() as u64, 1))
    }

    /// A logarithmic axis with ticks at round numbers, which `label` writes.
    pub(crate) fn log(from: f64, to: f64, label: impl Fn(f64) -> String) -> Self {
        let choices: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let ticks_of = |factors: &[f64]| -> Vec<f64> {
            let decades = -3..=18;
            let all = decades.flat_map(|power| {
                factors.iter().map(move |factor| factor * libm::pow(10.0, f64::from(power)))
            });
            all.filter(|tick| (from..=to).contains(tick)).collect()
        };
        let few = choices.into_iter().map(ticks_of).find(|ticks| ticks.len() <= MOST_TICKS);
        let ticks = few.unwrap_or_else(|| ticks_of(&[1.0]));
        let ticks = ticks.into_iter().map(|tick| (tick, label(tick))).collect();
        Self { from, to, is_log: true, ticks }
    }

    /// The time of a run in seconds, from its start: the ticks are seconds, minutes or hours.
    pub(crate) fn of_time(seconds: f64) -> Self {
        let (unit, name) = time_unit(seconds);
        let mut axis = Self::spanning(0.0, seconds / unit, AxisUnit::Number, 6);
        axis.ticks = axis.ticks.into_iter().map(|(at, text)| (at * unit, text)).collect();
        // One unit is enough; it stands at the last tick.
        if let Some((_, last)) = axis.ticks.last_mut() {
            last.push_str(name);
        }
        axis.to = seconds;
        axis
    }

    /// The times or values that were measured alone, each with its own label.
    pub(crate) fn at(ticks: Vec<(f64, String)>, is_log: bool) -> Self {
        let (least, most) = ends(ticks.iter().map(|(at, _)| *at));
        let mut axis = Self { from: least, to: most, is_log, ticks };
        if is_log {
            (axis.from, axis.to) = (least / 1.05, most * 1.05);
        } else if most <= least {
            (axis.from, axis.to) = (least - 1.0, most + 1.0);
        }
        axis
    }

    /// As [`Self::at`], without the ticks that would touch their neighbours.
    pub(crate) fn at_room(mut ticks: Vec<(f64, String)>, is_log: bool) -> Self {
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let least = ticks.first().map_or(0.0, |tick| tick.0);
        let most = ticks.last().map_or(1.0, |tick| tick.0);
        let place = |at: f64| match is_log {
            true => libm::log(at / least) / libm::log(most / least),
            false => (at - least) / (most - least).max(f64::MIN_POSITIVE),
        };
        let mut last = f64::NEG_INFINITY;
        ticks.retain(|(at, text)| {
            let width = 0.03 + 0.022 * text.chars().count() as f64;
            let has_room = place(*at) - last >= width || *at == least;
            if has_room {
                last = place(*at);
            }
            has_room
        });
        Self::at(ticks, is_log)
    }

    /// The same axis, with its end at another number.
    pub(crate) fn up_to(self, to: f64) -> Self {
        Self { to: to.max(self.from * 1.05), ..self }
    }

    fn spanning(from: f64, to: f64, quantity: AxisUnit, most_steps: usize) -> Self {
        let (unit, name) = quantity.unit(from.abs().max(to.abs()));
        let (low, high) = (from / unit, to / unit);
        let step = round_step((high - low) / most_steps as f64);
        let first = libm::ceil(low / step - 1e-9) as i64;
        let last = libm::floor(high / step + 1e-9) as i64;
        let ticks = (first..=last).map(|n| n as f64 * step);
        let ticks = ticks.map(|at| (at * unit, with_decimals(at, decimals(step)) + name));
        Self { from, to, is_log: false, ticks: ticks.collect() }
    }
}

/// A time from the start of a run for people: "75 s", "12.5 min".
pub(super) fn time_text(seconds: f64, whole: f64) -> String {
    let (unit, name) = time_unit(whole);
    format!("{}{name}", with_decimals(seconds / unit, if unit > 1.0 { 1 } else { 0 }))
}

/// The unit of a time axis of this length.
fn time_unit(seconds: f64) -> (f64, &'static str) {
    match seconds {
        long if long >= 4.0 * 3600.0 => (3600.0, " h"),
        medium if medium >= 200.0 => (60.0, " min"),
        _ => (1.0, " s"),
    }
}

/// The least of 1, 2 and 5 times the powers of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    if least.is_nan() || least <= 0.0 {
        return 1.0;
    }
    let decade = libm::pow(10.0, libm::floor(libm::log10(least)));
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fitting = factors.into_iter().find(|factor| factor * decade >= least * (1.0 - 1e-9));
    fitting.unwrap_or(10.0) * decade
}

/// The least and the greatest of some numbers; 0 and 0 if there are none.
fn ends(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = numbers.filter(|number| number.is_finite());
    let ends = finite.fold(None, |ends: Option<(f64, f64)>, number| {
        Some(ends.map_or((number, number), |(least, most)| (least.min(number), most.max(number))))
    });
    ends.unwrap_or((0.0, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_from_zero_are_few_and_cover_the_numbers() {
        let of = |most: f64| Axis::from_zero(most, AxisUnit::Number);
        assert_eq!(labels(&of(0.0)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&of(7.0)), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(&of(230.0)), ["0", "50", "100", "150", "200", "250"]);
        assert_eq!(labels(&of(2000.0)), ["0", "500", "1,000", "1,500", "2,000"]);
        let latencies = Axis::of_latencies([100.0 * MS, 540.0 * MS].into_iter());
        assert_eq!(labels(&latencies), ["0 ms", "200 ms", "400 ms", "600 ms"]);
        let percent = Axis::from_zero(100.0, AxisUnit::Percent);
        assert_eq!(labels(&percent).last(), Some(&"100 %"));
    }

    #[test]
    fn logarithmic_axes_are_as_long_as_their_numbers() {
        let axis = Axis::of_latencies([3.0 * MS, 130.0 * MS].into_iter());
        assert_eq!(labels(&axis), ["5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]);
        let scale = axis.scale(0.0, 100.0);
        assert!(scale.px(3.0 * MS) < 3.0 && scale.px(130.0 * MS) > 97.0, "no empty decades");
        let wide = Axis::of_latencies([1e3, 9e8].into_iter());
        assert_eq!(
            labels(&wide),
            ["1 \u{b5}s", "10 \u{b5}s", "100 \u{b5}s", "1 ms", "10 ms", "100 ms"]
        );
    }

    #[test]
    fn every_tick_reads_differently() {
        for from in (0..17).map(|power| 3.0 * libm::pow(10.0, f64::from(power))) {
            for factor in [1.01, 1.3, 2.0, 7.0, 9.0, 80.0, 1e4, 1e9] {
                let axis = Axis::of_latencies([from, from * factor].into_iter());
                let mut texts = labels(&axis);
                texts.sort_unstable();
                texts.dedup();
                assert!(texts.len() == axis.ticks.len() && texts.len() >= 2, "{from} {axis:?}");
                assert!(texts.len() <= 10, "{from} {axis:?}");
            }
        }
    }

    #[test]
    fn time_is_in_seconds_minutes_or_hours() {
        assert_eq!(labels(&Axis::of_time(65.0)), ["0", "20", "40", "60 s"]);
        assert_eq!(labels(&Axis::of_time(1805.0)), ["0", "10", "20", "30 min"]);
        assert_eq!(labels(&Axis::of_time(86_400.0)), ["0", "5", "10", "15", "20 h"]);
        assert_eq!(time_text(90.0, 1805.0), "1.5 min");
        assert_eq!(time_text(90.0, 100.0), "90 s");
    }

    #[test]
    fn differences_and_shares_have_signs_and_bounds() {
        let differences = Axis::fitting([-220.0 * MS, 15.0 * MS].into_iter(), AxisUnit::Latency);
        assert_eq!(labels(&differences), ["\u{2212}200 ms", "\u{2212}100 ms", "0 ms"]);
        let shares = Axis::of_percentages([99.5, 100.0].into_iter());
        assert_eq!(labels(&shares), ["99.6 %", "99.8 %", "100 %"]);
        assert_eq!(AxisUnit::Latency.text(-1.5 * MS), "\u{2212}1.50 ms");
        assert_eq!(AxisUnit::Percent.text(99.987), "99.99 %");
        assert_eq!(AxisUnit::Number.text(1234.6), "1,235");
        assert_eq!(AxisUnit::Number.text(0.25), "0.25");
    }
}
