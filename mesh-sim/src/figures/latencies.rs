//! A table of values, one for each figure of the latencies.

use std::array;
use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use super::{FIGURES, Figure, Unit, sentence};

/// How many of [`FIGURES`] are figures of the latencies.
const COUNT: usize = {
    let (mut count, mut row) = (0, 0);
    while row < FIGURES.len() {
        count += matches!(FIGURES[row].unit, Unit::Latency) as usize;
        row += 1;
    }
    count
};

/// One value for each figure of the latencies: nanoseconds as `u64` in memory, milliseconds as
/// `f64` in files. In JSON it is an object with the figures' keys, in the order of [`FIGURES`].
///
/// The record of a run holds the whole distribution of latencies. Where there are many runs, these
/// few values are all that is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies<T>([T; COUNT]);

impl<T> Latencies<T> {
    /// Calls `value` for each figure in turn.
    pub fn from_fn(value: impl FnMut(&'static Figure) -> T) -> Self {
        let mut values = Figure::latencies().map(value);
        Self(array::from_fn(|_| values.next().expect("one value for each figure")))
    }

    /// The same figures with other values.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Latencies<U> {
        Latencies(self.0.map(change))
    }

    /// The values alone, in the order of [`FIGURES`].
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.0.into_iter()
    }
}

impl<T: Copy> Latencies<T> {
    /// The value of one figure; `None` if it is not a figure of the latencies.
    pub fn get(&self, figure: &Figure) -> Option<T> {
        self.iter().find(|(known, _)| *known == figure).map(|(_, value)| value)
    }

    /// The value of the figure with this key (`p99_9`, say); `None` if there is no such figure.
    pub fn named(&self, key: &str) -> Option<T> {
        self.iter().find(|(figure, _)| figure.key == key).map(|(_, value)| value)
    }

    /// Every figure with its value, in the order of [`FIGURES`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static Figure, T)> {
        Figure::latencies().zip(self.0)
    }
}

impl<T: Copy + Serialize> Serialize for Latencies<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(figure, value)| (figure.key, value)))
    }
}

impl<'de, T: Copy + Deserialize<'de>> Deserialize<'de> for Latencies<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = BTreeMap::<String, T>::deserialize(deserializer)?;
        let mut found = Vec::new();
        for figure in Figure::latencies() {
            let value = values.remove(figure.key);
            found.push(value.ok_or_else(|| D::Error::missing_field(figure.key))?);
        }
        if let Some(unknown) = values.keys().next() {
            return Err(D::Error::custom(format!("unknown field `{unknown}`")));
        }
        let mut found = found.into_iter();
        Ok(Self::from_fn(|_| found.next().expect("one value for each figure")))
    }
}

impl JsonSchema for Latencies<f64> {
    fn schema_name() -> Cow<'static, str> {
        "LatencyMs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = |figure: &Figure| {
            let description = format!("{}.", sentence(figure.meaning));
            json!({ "description": description, "type": "number", "format": "double" })
        };
        let properties: serde_json::Map<_, _> =
            Figure::latencies().map(|figure| (figure.key.to_owned(), number(figure))).collect();
        let required: Vec<&str> = Figure::latencies().map(|figure| figure.key).collect();
        schemars::json_schema!({
            "description": "A distribution of latencies, in milliseconds.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "required": required,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let mut number = 0;
        let latencies = Latencies::from_fn(|_| {
            number += 1;
            number
        });
        let text = serde_json::to_string(&latencies).unwrap();
        assert!(text.starts_with(r#"{"mean":1,"min":2,"p50":3,"#), "{text}");
        assert_eq!(serde_json::from_str::<Latencies<u64>>(&text).unwrap(), latencies);
        let reason = |text: &str| serde_json::from_str::<Latencies<u64>>(text).unwrap_err();
        let missing = reason(&text.replace(r#""min":2,"#, "")).to_string();
        assert!(missing.contains("missing field `min`"), "{missing}");
        let unknown = reason(&text.replace("{", r#"{"p12":9,"#)).to_string();
        assert!(unknown.contains("unknown field `p12`"), "{unknown}");
        let max = Figure::latencies().last().unwrap();
        assert_eq!(latencies.map(|value| value * 2).get(max), Some(2 * number));
    }
}
