//! Thresholds on figures, as `[expect]` of a scenario states them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use mesh_core::time::nanos;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{FIGURES, Threshold, Unit};
use crate::format;
use crate::units::DurationText;

/// The thresholds of one policy: an entry of `[expect]`. Every figure of the table that can have
/// thresholds may have one here, or both; nothing is demanded of the other figures.
///
/// ```
/// use std::time::Duration;
/// use mesh_sim::figures::{Expect, FigureLimit};
///
/// let expect = Expect::default()
///     .with("min_success", FigureLimit::Share(0.99))
///     .with("max_p99", FigureLimit::Latency(Duration::from_millis(500)));
/// assert_eq!(expect.get("min_success"), Some(FigureLimit::Share(0.99)));
/// assert_eq!(expect.get("max_mean"), None);
/// ```
#[derive(Clone, Copy, PartialEq)]
pub struct Expect {
    /// One for each of [`Threshold::all`], in the same order.
    limits: [Option<FigureLimit>; COUNT],
}

/// How many thresholds there can be.
const COUNT: usize = {
    let (mut count, mut row) = (0, 0);
    while row < FIGURES.len() {
        count += 2 * FIGURES[row].threshold.is_some() as usize;
        row += 1;
    }
    count
};

/// The limit that a threshold sets for a figure. The limit itself is allowed.
#[derive(Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FigureLimit {
    /// A share of the requests, from 0 to 1.
    Share(f64),
    /// A latency.
    Latency(Duration),
}

impl Expect {
    /// Sets the threshold that is called `field` in `[expect]`, in place of an earlier one.
    ///
    /// # Panics
    /// If no figure has a threshold of this name, or `limit` is in another unit than the figure.
    #[must_use]
    pub fn with(mut self, field: &str, limit: FigureLimit) -> Self {
        let of_field = Threshold::all().enumerate().find(|(_, t)| t.field() == field);
        let (row, threshold) = of_field.unwrap_or_else(|| panic!("{field} is no threshold"));
        assert_eq!(threshold.figure.unit, limit.unit(), "the unit of {field}");
        self.limits[row] = Some(limit);
        self
    }

    /// The limit of the threshold that is called `field` in `[expect]`; `None` if it is not set.
    pub fn get(&self, field: &str) -> Option<FigureLimit> {
        self.iter().find(|(threshold, _)| threshold.field() == field).map(|(_, limit)| limit)
    }

    /// Every threshold that is set, in the order of the table of figures.
    pub fn iter(&self) -> impl Iterator<Item = (Threshold, FigureLimit)> {
        let limits = Threshold::all().zip(self.limits);
        limits.filter_map(|(threshold, limit)| limit.map(|limit| (threshold, limit)))
    }

    /// These thresholds and, for each that is not set, the one of `other`.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        for (limit, other) in self.limits.iter_mut().zip(other.limits) {
            *limit = limit.or(other);
        }
        self
    }

    /// Whether no threshold is set.
    pub fn is_empty(&self) -> bool {
        self.limits.iter().all(Option::is_none)
    }
}

impl FigureLimit {
    /// The unit of the figures that it can limit.
    const fn unit(self) -> Unit {
        match self {
            Self::Share(_) => Unit::Share,
            Self::Latency(_) => Unit::Latency,
        }
    }

    /// As files have it: a share from 0 to 1, or milliseconds.
    pub fn in_files(self) -> f64 {
        match self {
            Self::Share(share) => share,
            Self::Latency(latency) => format::ms_number(nanos(latency)),
        }
    }

    /// As a number: a share from 0 to 1, or nanoseconds.
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Share(share) => share,
            Self::Latency(latency) => nanos(latency) as f64,
        }
    }
}

impl Default for Expect {
    /// No thresholds.
    fn default() -> Self {
        Self { limits: [None; COUNT] }
    }
}

/// Shows every threshold as if it were a field of the struct.
impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Expect");
        for (threshold, limit) in Threshold::all().zip(&self.limits) {
            fields.field(threshold.field(), limit);
        }
        fields.finish()
    }
}

impl fmt::Debug for FigureLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Latency(latency) => latency.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The fields come from the table of figures, which a derived `Deserialize` can't read.
        struct Thresholds;
        impl<'de> Visitor<'de> for Thresholds {
            type Value = Expect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of thresholds")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expect, A::Error> {
                let mut expect = Expect::default();
                while let Some(field) = map.next_key::<String>()? {
                    let threshold = Threshold::of_field(&field);
                    let threshold = threshold
                        .ok_or_else(|| A::Error::custom(format!("unknown field `{field}`")))?;
                    let limit = match threshold.figure.unit {
                        Unit::Share => FigureLimit::Share(map.next_value()?),
                        Unit::Latency => FigureLimit::Latency(map.next_value::<DurationText>()?.0),
                    };
                    expect = expect.with(&field, limit);
                }
                Ok(expect)
            }
        }
        deserializer.deserialize_map(Thresholds)
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for threshold in Threshold::all() {
            let mut schema = match threshold.figure.unit {
                Unit::Share => {
                    schemars::json_schema!({ "type": "number", "maximum": 1.0, "minimum": 0.0 })
                }
                Unit::Latency => generator.subschema_for::<DurationText>(),
            };
            schema.insert("description".to_owned(), json!(format!("{}.", threshold.demand())));
            properties.insert(threshold.field().to_owned(), schema.into());
        }
        schemars::json_schema!({
            "description": "Thresholds of one policy; what is left out is not demanded.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_by_the_fields_of_the_figures() {
        let read = |text: &str| toml::from_str::<Expect>(text);
        let expect = read("max_p99_9 = '1.5s'\nmin_success = 1").unwrap();
        let limits: Vec<_> = expect.iter().map(|(t, limit)| (t.field(), limit)).collect();
        let second = FigureLimit::Latency(Duration::from_millis(1500));
        assert_eq!(limits, [("min_success", FigureLimit::Share(1.0)), ("max_p99_9", second)]);
        let both = read("min_p50 = '1s'\nmax_p50 = '2s'").unwrap();
        assert_eq!(both.iter().count(), 2);
        assert!(read("max_p95 = '1s'").unwrap_err().to_string().contains("unknown field"));
        assert!(read("max_p99 = 1").is_err());
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn own_thresholds_come_first() {
        let own = Expect::default().with("min_success", FigureLimit::Share(0.5));
        let every = own
            .with("min_success", FigureLimit::Share(0.9))
            .with("max_mean", FigureLimit::Latency(Duration::ZERO));
        let both = own.or(&every);
        assert_eq!(both.get("min_success"), Some(FigureLimit::Share(0.5)));
        assert_eq!(both.get("max_mean"), Some(FigureLimit::Latency(Duration::ZERO)));
    }
}
