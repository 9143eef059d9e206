//! Durations as people write them: `"250us"`, `"5ms"`, `"1.5s"`, `"2m"`, `"1h"`.
//!
//! A quoted duration is a number with its unit and means a whole number of nanoseconds, so time
//! never passes through a float on its way from the file to the engines.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use mesh_core::duration::{ParseDurationError, parse_duration};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Regular expression (ECMA 262) of what [`parse_duration`] accepts.
pub const DURATION_PATTERN: &str = "^([0-9]{1,12}ns|[0-9]{1,12}(\\.[0-9]{1,3})?us\
    |[0-9]{1,12}(\\.[0-9]{1,6})?ms|[0-9]{1,12}(\\.[0-9]{1,9})?[smh])$";

/// Writes a duration so that [`parse_duration`] reads it back: from a second on in seconds, with
/// decimals if need be, below in the largest of ms, us and ns that it is a whole number of.
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

/// A duration in a file, quoted.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

impl DurationText {
    /// This many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// This many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl fmt::Debug for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A duration with its unit: ns, us, ms, s, m or h. At most 24h.",
            "type": "string",
            "pattern": DURATION_PATTERN,
            "examples": ["250us", "5ms", "1.5s", "2m", "1h"],
        })
    }
}

/// A [`Duration`] written as [`DurationText`], for `#[serde(with = "duration_text")]`.
pub(crate) mod duration_text {
    use super::{Deserialize, Deserializer, Duration, DurationText, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        DurationText(*value).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        DurationText::deserialize(from).map(|text| text.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_the_shortest_form() {
        let cases = [(0, "0s"), (90_000_000_000, "90s"), (1_500_000_000, "1.5s")];
        let small = [(15_000_000, "15ms"), (1_500_000, "1500us"), (1_001, "1001ns")];
        for (nanos, text) in cases.into_iter().chain(small) {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn the_pattern_and_the_parser_agree(
            text in "[0-9]{0,13}(\\.[0-9]{0,10})?.{0,2}(|ns|us|ms|s|m|h)",
        ) {
            let schema = serde_json::json!({ "type": "string", "pattern": DURATION_PATTERN });
            let matches = jsonschema::is_valid(&schema, &serde_json::json!(text));
            prop_assert_eq!(parse_duration(&text).is_ok(), matches, "{}", text);
        }
    }
}
