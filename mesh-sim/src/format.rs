//! How figures and words are written, for result files, reports and the terminal alike.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Stands where there is no figure.
pub(crate) const NO_FIGURE: &str = "-";

/// The SHA-256 of these bytes, in hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nanoseconds as milliseconds, for files: with three decimals, or exact with up to six decimals
/// for what is shorter than a millisecond.
pub fn ms(ns: u64) -> String {
    if ns < NANOS_PER_MILLI && !ns.is_multiple_of(NANOS_PER_MICRO) {
        return trimmed(&format!("0.{ns:06}")).to_owned();
    }
    let micros = micros(ns);
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// As [`ms`], as a number.
pub(crate) fn ms_number(ns: u64) -> f64 {
    if ns < NANOS_PER_MILLI { ns as f64 / 1e6 } else { micros(ns) as f64 / 1e3 }
}

/// Nanoseconds rounded to whole microseconds.
fn micros(ns: u64) -> u64 {
    ns.saturating_add(NANOS_PER_MICRO / 2) / NANOS_PER_MICRO
}

/// A number with its noun: "1 policy", "2 policies", "1,000 runs".
pub fn counted(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", self::count(count as u64)),
        (_, None) => format!("{} {noun}s", self::count(count as u64)),
    }
}

/// A latency for people: `digits` significant digits, in the unit in which at most three of them
/// are before the point. Nanoseconds are always whole.
pub fn latency(ns: u64, digits: usize) -> String {
    const UNITS: [(u64, &str); 3] =
        [(NANOS_PER_MICRO, "µs"), (NANOS_PER_MILLI, "ms"), (NANOS_PER_SECOND, "s")];
    if ns < NANOS_PER_MICRO {
        return format!("{ns} ns");
    }
    // The first unit in which the rounded number has at most three digits before the point.
    for (unit, name) in UNITS {
        let number = rounded(ns, unit, digits);
        if number.len() <= 3 || number.contains('.') || unit == NANOS_PER_SECOND {
            return format!("{} {name}", with_separators(&number));
        }
    }
    unreachable!("the last unit takes every number")
}

/// `ns / unit` with `digits` significant digits; digits before the point are never left out.
fn rounded(ns: u64, unit: u64, digits: usize) -> String {
    let whole_digits = |number: u64| if number == 0 { 1 } else { number.ilog10() as usize + 1 };
    let decimals = digits.saturating_sub(whole_digits(ns / unit));
    let scale = 10u128.pow(decimals as u32);
    let scaled = (u128::from(ns) * scale + u128::from(unit / 2)) / u128::from(unit);
    if decimals == 0 {
        return scaled.to_string();
    }
    // Rounding made one digit more, as from 9.996 to 10.00, so one decimal has to go.
    if whole_digits((scaled / scale) as u64) + decimals > digits {
        return rounded((scaled / scale) as u64 * unit, unit, digits);
    }
    format!("{}.{:0decimals$}", scaled / scale, scaled % scale)
}

/// A latency with all of its digits: "1.9 s", "310.378 ms", "350 ns". From a millisecond on it is
/// rounded up to a whole microsecond, so that a figure above a limit never looks equal to it.
pub(crate) fn exact_latency(ns: u64) -> String {
    let micros = ns.div_ceil(NANOS_PER_MICRO);
    let (number, unit) = match ns {
        0..1_000 => (ns.to_string(), "ns"),
        1_000..1_000_000 => (format!("{}.{:03}", ns / 1000, ns % 1000), "µs"),
        _ if micros < 1_000_000 => (format!("{}.{:03}", micros / 1000, micros % 1000), "ms"),
        _ => (format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000), "s"),
    };
    format!("{} {unit}", trimmed(&number))
}

/// A duration in seconds with its unit: "60.5 s". As few digits as are needed to be exact.
pub fn seconds(duration: Duration) -> String {
    format!("{} s", exact_seconds(duration))
}

/// A duration in seconds without the unit, in as few digits as are needed to be exact.
pub(crate) fn exact_seconds(duration: Duration) -> String {
    trimmed(&format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos())).to_owned()
}

/// `part` of `whole` as a percentage with two decimals. Rounded down, so that 100.00 means all of
/// them.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NO_FIGURE.to_owned();
    }
    let hundredths = u128::from(part) * 10_000 / u128::from(whole);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// What is missing from [`percent`] to 100.00, so that the two add up.
#[cfg(feature = "reports")]
pub(crate) fn rest_percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NO_FIGURE.to_owned();
    }
    let hundredths = 10_000 - u128::from(part) * 10_000 / u128::from(whole);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A share from 0 to 1 as a percentage, with at most four decimals.
pub(crate) fn share(share: f64) -> String {
    trimmed(&format!("{:.4}", share * 100.0)).to_owned()
}

/// A whole number with thousands separators.
pub(crate) fn count(number: u64) -> String {
    with_separators(&number.to_string())
}

fn with_separators(number: &str) -> String {
    let whole = number.split('.').next().unwrap_or_default().len();
    let mut out = String::with_capacity(number.len() + whole / 3);
    for (position, digit) in number.chars().enumerate() {
        if position > 0 && position < whole && (whole - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number without the zeros at the end of its decimals.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// `text` in at most `width` characters. If it is longer, it is cut, and the last character is an
/// ellipsis.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// The reason why requests failed, in plain words. `name` is the reason's name in results.
pub fn reason(name: &str) -> String {
    let words = match name {
        "all_busy" => "all peers busy",
        "connect" => "entry agent unreachable",
        "no_peers" => "no peers known",
        "no_reachable_peers" => "all peers unavailable",
        "outcome_unknown" => "answer lost",
        "reset" => "entry agent hung up",
        "retries_exhausted" => "peers busy or unavailable",
        "retries_exhausted_busy" => "peers busy",
        "retries_exhausted_unreachable" => "peers unavailable",
        other => return other.replace('_', " "),
    };
    words.to_owned()
}

/// `text` as one word of a POSIX shell, quoted if it must be.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Seeds as the command line takes them: "1..30", "7,42".
pub fn seed_ranges(seeds: &[u64]) -> String {
    let ranges = seeds.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let text = |range: &[u64]| match range {
        [first, .., last] if range.len() > 2 => format!("{first}..{last}"),
        _ => range.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
    };
    ranges.map(text).collect::<Vec<_>>().join(",")
}

/// A share in percent with two decimals, rounded down as in tables: 99.996 is not 100.
pub fn share_down(share: f64) -> String {
    // What is a hair below two decimals is meant to be there.
    format!("{:.2}", (share * 1e4 + 1e-6).floor() / 100.0)
}

/// The number as files have it, with six decimals.
pub fn six_decimals(number: f64) -> f64 {
    // Adding zero turns -0 into 0.
    (number * 1e6).round() / 1e6 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_milliseconds_with_three_decimals_and_small_ones_with_all() {
        let cases = [
            (0, "0.000"),
            (1, "0.000001"),
            (350, "0.00035"),
            (5_000, "0.005"),
            (350_000, "0.350"),
            (999_999, "0.999999"),
            (1_000_499, "1.000"),
            (24_316_500, "24.317"),
            (2_000_000_000, "2000.000"),
        ];
        for (ns, expected) in cases {
            assert_eq!(ms(ns), expected);
            assert_eq!(ms_number(ns), expected.parse::<f64>().unwrap());
        }
    }

    #[test]
    fn people_get_significant_digits_and_a_unit() {
        let cases = [
            (0, "0 ns"),
            (7, "7 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (1_234, "1.23 µs"),
            (243_000, "243 µs"),
            (999_600, "1.00 ms"),
            (9_996_000, "10.0 ms"),
            (24_316_500, "24.3 ms"),
            (99_960_000, "100 ms"),
            (310_000_000, "310 ms"),
            (999_700_000, "1.00 s"),
            (1_900_000_000, "1.90 s"),
            (12_345_000_000_000, "12,345 s"),
        ];
        for (ns, expected) in cases {
            assert_eq!(latency(ns, 3), expected, "{ns} ns");
        }
        assert_eq!(latency(24_516_500, 2), "25 ms");
        assert_eq!(latency(350, 1), "350 ns");
    }

    #[test]
    fn exact_latencies_never_hide_an_excess() {
        assert_eq!(exact_latency(500_000_000), "500 ms");
        assert_eq!(exact_latency(500_000_001), "500.001 ms");
        assert_eq!(exact_latency(1_900_000_000), "1.9 s");
        assert_eq!(exact_latency(350), "350 ns");
        assert_eq!(exact_latency(1_001), "1.001 µs");
        assert_eq!(exact_latency(310_000), "310 µs");
    }

    #[test]
    fn percentages_are_rounded_down_and_add_up() {
        #[cfg(feature = "reports")]
        assert_eq!((&*percent(2, 3), &*rest_percent(2, 3)), ("66.66", "33.34"));
        #[cfg(feature = "reports")]
        assert_eq!(rest_percent(5, 5), "0.00");
        assert_eq!(percent(99_999, 100_000), "99.99");
        assert_eq!(percent(1, 1), "100.00");
        assert_eq!(percent(0, 0), NO_FIGURE);
        assert_eq!(share(0.999), "99.9");
        assert_eq!(share(0.07), "7");
    }

    #[test]
    fn counts_seconds_and_ellipses() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(seconds(Duration::from_millis(60_500)), "60.5 s");
        assert_eq!(ellipsis("least_loaded", 8), "least_l\u{2026}");
        assert_eq!(ellipsis("random", 6), "random");
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("scenarios/a.toml"), "scenarios/a.toml");
        assert_eq!(shell_word("my file's.toml"), r"'my file'\''s.toml'");
    }
}
