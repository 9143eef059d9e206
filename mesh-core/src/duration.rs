//! Durations as people write them: `"250us"`, `"5ms"`, `"1.5s"`, `"2m"`, `"1h"`.
//!
//! A number with its unit means a whole number of nanoseconds, so time never passes through a
//! float.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

/// Most digits before the decimal point.
const MAX_WHOLE_DIGITS: usize = 12;

/// Each unit, its length in nanoseconds, and how many decimals a number of it may have so that the
/// result is whole nanoseconds (at most 9).
const UNITS: [(&str, u64, usize); 6] = [
    ("ns", 1, 0),
    ("us", 1_000, 3),
    ("ms", 1_000_000, 6),
    ("s", 1_000_000_000, 9),
    ("m", 60 * 1_000_000_000, 9),
    ("h", 3_600 * 1_000_000_000, 9),
];

/// The longest duration that a scenario or a setting may have.
pub const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Regular expression (ECMA 262) of what [`parse_duration`] accepts.
pub const DURATION_PATTERN: &str = "^([0-9]{1,12}ns|[0-9]{1,12}(\\.[0-9]{1,3})?us\
    |[0-9]{1,12}(\\.[0-9]{1,6})?ms|[0-9]{1,12}(\\.[0-9]{1,9})?[smh])$";

/// Why a text can't be read as a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// A number without a unit.
    #[error("it needs a unit: ns, us, ms, s, m or h")]
    NoUnit,
    /// A unit other than those six.
    #[error("{0:?} is not a unit; units are ns, us, ms, s, m and h")]
    UnknownUnit(String),
    /// What stands before the unit is not a plain decimal number.
    #[error("it needs a plain decimal number before its unit")]
    NotANumber,
    /// More than twelve digits before the decimal point.
    #[error("it has more than {MAX_WHOLE_DIGITS} digits before its unit")]
    TooLong,
    /// A fraction of a nanosecond.
    #[error("it is finer than a nanosecond or has more than 9 decimals")]
    TooFine,
}

/// Reads a duration: digits, an optional decimal fraction, a unit, no spaces.
///
/// # Errors
/// If the text is anything else, or not a whole number of nanoseconds.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, unit) = text.split_at(digits);
    let Some(&(_, unit_nanos, max_decimals)) = UNITS.iter().find(|(name, ..)| *name == unit) else {
        return Err(match (number, unit) {
            ("", _) => ParseDurationError::NotANumber,
            (_, "") => ParseDurationError::NoUnit,
            (_, unit) => ParseDurationError::UnknownUnit(unit.to_owned()),
        });
    };
    let (whole, decimals) = match number.split_once('.') {
        // "5.s"
        Some((_, "")) => return Err(ParseDurationError::NotANumber),
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || decimals.contains('.') {
        return Err(ParseDurationError::NotANumber);
    }
    if whole.len() > MAX_WHOLE_DIGITS {
        return Err(ParseDurationError::TooLong);
    }
    if decimals.len() > max_decimals {
        return Err(ParseDurationError::TooFine);
    }
    let whole: u64 = whole.parse().map_err(|_| ParseDurationError::NotANumber)?;
    // Padded to nine digits, the decimals are billionths of the unit.
    let billionths: u64 =
        format!("{decimals:0<9}").parse().map_err(|_| ParseDurationError::NotANumber)?;
    let nanos = u128::from(whole) * u128::from(unit_nanos)
        + u128::from(billionths) * u128::from(unit_nanos) / 1_000_000_000;
    Ok(from_nanos(nanos))
}

/// A duration of this many nanoseconds. The longest text, 12 digits of hours, is well within `u64`
/// seconds.
fn from_nanos(nanos: u128) -> Duration {
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, (nanos % 1_000_000_000) as u32)
}

/// Writes a duration so that [`parse_duration`] reads it back. A second or more is written in
/// seconds, with decimals where needed; less, in the largest of ms, us and ns that gives a whole
/// number.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    match duration.as_secs() {
        seconds if nanos == 0 => format!("{seconds}s"),
        0 if nanos.is_multiple_of(1_000_000) => format!("{}ms", nanos / 1_000_000),
        0 if nanos.is_multiple_of(1_000) => format!("{}us", nanos / 1_000),
        0 => format!("{nanos}ns"),
        seconds => format!("{}s", format!("{seconds}.{nanos:09}").trim_end_matches('0')),
    }
}

/// Reads and writes a [`Duration`] as text: `#[serde(with = "AsText")]`. Its JSON Schema is called
/// `Duration`.
#[derive(Clone, Copy, Debug)]
pub struct AsText;

impl AsText {
    /// Writes the duration as [`format_duration`] does.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*duration))
    }

    /// Reads the duration as [`parse_duration`] does.
    ///
    /// # Errors
    /// If the text is not a duration, and those of the deserialiser.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

/// [`AsText`] for a duration that may be left out. Combine it with `skip_serializing_if`, because
/// TOML can't write a missing value.
#[derive(Clone, Copy, Debug)]
pub struct AsOptionalText;

impl AsOptionalText {
    /// Writes the duration, if there is one.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(format_duration).serialize(serializer)
    }

    /// Reads the duration.
    ///
    /// # Errors
    /// As [`AsText::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        AsText::deserialize(deserializer).map(Some)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::*;

    impl JsonSchema for AsText {
        fn schema_name() -> Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A duration with its unit: ns, us, ms, s, m or h. At most 24h.",
                "type": "string",
                "pattern": DURATION_PATTERN,
                "examples": ["250us", "5ms", "1.5s", "2m", "1h"],
            })
        }
    }

    impl JsonSchema for AsOptionalText {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "OptionalDuration".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            // TOML has no null, so the schema must not allow one: it is enough that the field is
            // not required.
            generator.subschema_for::<AsText>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_exact_decimals() {
        let cases = [
            ("7ns", 7),
            ("250us", 250_000),
            ("0.001us", 1),
            ("5ms", 5_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("2m", 120_000_000_000),
            ("0.000000001h", 3_600),
            ("1h", 3_600_000_000_000),
            ("0s", 0),
            ("007s", 7_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        let longest = Duration::from_secs(999_999_999_999 * 3_600);
        assert_eq!(parse_duration("999999999999h"), Ok(longest));
    }

    #[test]
    fn writes_the_shortest_form() {
        let cases = [(0, "0s"), (90_000_000_000, "90s"), (1_500_000_000, "1.5s")];
        let small = [(15_000_000, "15ms"), (1_500_000, "1500us"), (1_001, "1001ns")];
        for (nanos, text) in cases.into_iter().chain(small) {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        use ParseDurationError::*;
        let cases = [
            ("", NotANumber),
            ("ms", NotANumber),
            ("-5ms", NotANumber),
            (".5s", NotANumber),
            ("5.s", NotANumber),
            ("1.2.3s", NotANumber),
            ("30", NoUnit),
            ("5 ms", UnknownUnit(" ms".into())),
            ("5sec", UnknownUnit("sec".into())),
            ("5µs", UnknownUnit("µs".into())),
            ("1e3s", UnknownUnit("e3s".into())),
            ("1234567890123s", TooLong),
            ("0.5ns", TooFine),
            ("1.0000000000s", TooFine),
        ];
        for (text, error) in cases {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }
}
