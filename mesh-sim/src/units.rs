//! Durations as people write them in files: `"250us"`, `"5ms"`, `"1.5s"`, `"2m"`, `"1h"`.
//!
//! A quoted duration is a number with its unit, and means a whole number of nanoseconds. So a time
//! is never a float on its way from the file to the engines.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;
use std::time::Duration;

use mesh_core::duration::AsText;
pub use mesh_core::duration::{
    DURATION_PATTERN, ParseDurationError, format_duration, parse_duration,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads a number of things of which there must be one.
///
/// # Errors
/// What was expected, for people.
pub fn at_least_one(text: &str) -> Result<NonZero<usize>, String> {
    text.parse().map_err(|_| "expected a whole number, 1 or greater".to_owned())
}

/// A duration that a file writes in quotes, with its unit: `"1.5s"`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

impl DurationText {
    /// A duration of this many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A duration of this many milliseconds.
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
        AsText::deserialize(deserializer).map(Self)
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AsText::serialize(&self.0, serializer)
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        AsText::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        AsText::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        AsText::json_schema(generator)
    }
}

/// Reads and writes a [`Duration`] as [`DurationText`], for `#[serde(with = "duration_text")]`.
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
