//! What makes one policy better than another, as `[objective]` of a scenario states it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{Figure, Unit};

/// The figures that decide which policy is best: the first of them that tells two policies apart
/// decides between these two. If none does, the lower cost decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    by: Vec<&'static Figure>,
    margin_points: f64,
    margin_percent: f64,
}

/// The figures of an objective that names none.
const BY: [&str; 2] = ["success", "p99"];
/// A smaller difference of shares decides nothing, in percentage points.
const MARGIN_POINTS: f64 = 0.05;
/// A smaller difference of latencies decides nothing, in percent.
const MARGIN_PERCENT: f64 = 1.0;

impl Objective {
    /// The figures, the most important one first. There is at least one.
    pub fn by(&self) -> &[&'static Figure] {
        &self.by
    }

    /// The objective with these figures, by their keys ("p99", say), and the usual margins.
    ///
    /// # Errors
    /// The first key that is not one of a figure that policies are compared by, or that is there
    /// twice; an empty text if there is none.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut by: Vec<&'static Figure> = Vec::new();
        for key in keys {
            match Figure::compared().find(|figure| figure.key == key) {
                Some(figure) if !by.contains(&figure) => by.push(figure),
                _ => return Err(key.to_owned()),
            }
        }
        if by.is_empty() {
            return Err(String::new());
        }
        Ok(Self { by, margin_points: MARGIN_POINTS, margin_percent: MARGIN_PERCENT })
    }

    /// The same figures, with other margins: percentage points of a share, percent of a latency.
    #[must_use]
    pub fn with_margins(self, margin_points: f64, margin_percent: f64) -> Self {
        Self { margin_points, margin_percent, ..self }
    }

    /// The margins: percentage points of a share, percent of a latency.
    pub const fn margins(&self) -> (f64, f64) {
        (self.margin_points, self.margin_percent)
    }

    /// Whether two values of a figure (shares from 0 to 1, or nanoseconds) differ by more than the
    /// margin.
    pub fn is_beyond_margin(&self, figure: &Figure, one: f64, other: f64) -> bool {
        let margin = match figure.unit {
            Unit::Share => self.margin_points / 100.0,
            Unit::Latency => one.min(other) * self.margin_percent / 100.0,
        };
        (one - other).abs() > margin
    }
}

impl Default for Objective {
    /// The share of answered requests, then the 99th percentile of latency.
    fn default() -> Self {
        Self::new(BY).expect("figures that policies are compared by")
    }
}

/// As a scenario file writes it.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ObjectiveTable {
    by: Vec<String>,
    margin_points: f64,
    margin_percent: f64,
}

impl Default for ObjectiveTable {
    fn default() -> Self {
        Self {
            by: BY.map(str::to_owned).to_vec(),
            margin_points: MARGIN_POINTS,
            margin_percent: MARGIN_PERCENT,
        }
    }
}

impl<'de> Deserialize<'de> for Objective {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = ObjectiveTable::deserialize(deserializer)?;
        Self::new(table.by.iter().map(|key| &**key))
            .map(|objective| objective.with_margins(table.margin_points, table.margin_percent))
            .map_err(|key| serde::de::Error::custom(format!("no figure `{key}` to compare by")))
    }
}

impl JsonSchema for Objective {
    fn schema_name() -> Cow<'static, str> {
        "Objective".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let keys: Vec<&str> = Figure::compared().map(|figure| figure.key).collect();
        let margin = |description: &str, default: f64| {
            json!({
                "description": description,
                "type": "number",
                "default": default,
                "minimum": 0.0,
                "maximum": 100.0,
            })
        };
        schemars::json_schema!({
            "description": "What makes one policy better than another.",
            "type": "object",
            "properties": {
                "by": {
                    "description": "The figures that decide, the most important one first. If \
                        none of them tells two policies apart, the lower cost decides.",
                    "type": "array",
                    "items": json!({ "type": "string", "enum": keys }),
                    "minItems": 1,
                    "uniqueItems": true,
                    "default": BY,
                },
                "margin_points": margin(
                    "A smaller difference of a share decides nothing, in percentage points.",
                    MARGIN_POINTS,
                ),
                "margin_percent": margin(
                    "A smaller difference of a latency decides nothing, in percent.",
                    MARGIN_PERCENT,
                ),
            },
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_known_and_named_once() {
        let keys = |objective: &Objective| -> Vec<&str> {
            objective.by().iter().map(|figure| figure.key).collect()
        };
        assert_eq!(keys(&Objective::default()), BY);
        assert_eq!(keys(&Objective::new(["p50", "mean"]).unwrap()), ["p50", "mean"]);
        for (wrong, named) in
            [(&["p98"][..], "p98"), (&["p50", "p50"], "p50"), (&["max"], "max"), (&[], "")]
        {
            assert_eq!(Objective::new(wrong.iter().copied()).unwrap_err(), named);
        }
    }

    #[test]
    fn differences_within_the_margin_are_none() {
        let objective = Objective::default();
        let [success, p99] = [objective.by()[0], objective.by()[1]];
        assert!(!objective.is_beyond_margin(success, 0.9990, 0.9994));
        assert!(objective.is_beyond_margin(success, 0.9990, 0.9996));
        assert!(!objective.is_beyond_margin(p99, 1e9, 1.009e9));
        assert!(objective.is_beyond_margin(p99, 1.02e9, 1e9));
        let strict = objective.clone().with_margins(0.0, 0.0);
        assert!(strict.is_beyond_margin(success, 0.9990, 0.9991));
        assert!(!strict.is_beyond_margin(p99, 7.0, 7.0));
    }
}
