//! Thresholds on figures, as `[expect]` of a scenario states them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use mesh_core::time::nanos;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{FIGURES, Figure, Unit};
use crate::format;
use crate::units::DurationText;

/// The thresholds of one policy: an entry of `[expect]`. Every figure of the table that can have a
/// threshold may have one here; nothing is demanded of the other figures.
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
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Expect {
    /// One for each row of [`FIGURES`], in the same order.
    limits: [Option<FigureLimit>; FIGURES.len()],
}

/// The limit that a threshold sets for a figure: the least value that is allowed if more is better,
/// else the greatest one. The limit itself is allowed.
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
        let row = row(field).unwrap_or_else(|| panic!("{field} is no threshold"));
        assert_eq!(FIGURES[row].unit, limit.unit(), "the unit of {field}");
        self.limits[row] = Some(limit);
        self
    }

    /// The limit of the threshold that is called `field` in `[expect]`; `None` if it is not set.
    pub fn get(&self, field: &str) -> Option<FigureLimit> {
        row(field).and_then(|row| self.limits[row])
    }

    /// Every threshold that is set, in the order of the table of figures.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Figure, FigureLimit)> {
        let limits = FIGURES.iter().zip(self.limits);
        limits.filter_map(|(figure, limit)| limit.map(|limit| (figure, limit)))
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

/// Shows every threshold as if it were a field of the struct.
impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Expect");
        for (figure, limit) in FIGURES.iter().zip(&self.limits) {
            if let Some(field) = figure.threshold {
                fields.field(field, limit);
            }
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

/// The row of [`FIGURES`] whose threshold has this field.
fn row(field: &str) -> Option<usize> {
    FIGURES.iter().position(|figure| figure.threshold == Some(field))
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
                    let figure = Figure::with_threshold(&field);
                    let figure = figure
                        .ok_or_else(|| A::Error::custom(format!("unknown field `{field}`")))?;
                    let limit = match figure.unit {
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
        for figure in Figure::compared() {
            let Some(field) = figure.threshold else { continue };
            let mut schema = match figure.unit {
                Unit::Share => {
                    schemars::json_schema!({ "type": "number", "maximum": 1.0, "minimum": 0.0 })
                }
                Unit::Latency => generator.subschema_for::<DurationText>(),
            };
            schema.insert("description".to_owned(), json!(format!("{}.", figure.demand())));
            properties.insert(field.to_owned(), schema.into());
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
        let limits: Vec<_> = expect.iter().map(|(figure, limit)| (figure.key, limit)).collect();
        let second = FigureLimit::Latency(Duration::from_millis(1500));
        assert_eq!(limits, [("success", FigureLimit::Share(1.0)), ("p99_9", second)]);
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
