//! What makes one policy better than another, as `[objective]` of a scenario states it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::Figure;

/// The figures that decide which policy is best: the first of them that tells two policies apart
/// decides between these two. If none does, the lower cost decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    by: Vec<&'static Figure>,
}

/// The objective of a scenario that states none.
const DEFAULT: [&str; 2] = ["success", "p99"];

impl Objective {
    /// The figures, the most important one first. There is at least one.
    pub fn by(&self) -> &[&'static Figure] {
        &self.by
    }

    /// The objective with these figures, by their keys ("p99", say).
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
        if by.is_empty() { Err(String::new()) } else { Ok(Self { by }) }
    }
}

impl Default for Objective {
    /// The share of answered requests, then the 99th percentile of latency.
    fn default() -> Self {
        Self::new(DEFAULT).expect("figures that policies are compared by")
    }
}

/// As a scenario file writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectiveTable {
    by: Vec<String>,
}

impl<'de> Deserialize<'de> for Objective {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = ObjectiveTable::deserialize(deserializer)?;
        Self::new(table.by.iter().map(|key| &**key))
            .map_err(|key| serde::de::Error::custom(format!("no figure `{key}` to compare by")))
    }
}

impl JsonSchema for Objective {
    fn schema_name() -> Cow<'static, str> {
        "Objective".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let keys: Vec<&str> = Figure::compared().map(|figure| figure.key).collect();
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
                    "default": DEFAULT,
                },
            },
            "required": ["by"],
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
        assert_eq!(keys(&Objective::default()), DEFAULT);
        assert_eq!(keys(&Objective::new(["p50", "mean"]).unwrap()), ["p50", "mean"]);
        for (wrong, named) in
            [(&["p98"][..], "p98"), (&["p50", "p50"], "p50"), (&["max"], "max"), (&[], "")]
        {
            assert_eq!(Objective::new(wrong.iter().copied()).unwrap_err(), named);
        }
    }
}
