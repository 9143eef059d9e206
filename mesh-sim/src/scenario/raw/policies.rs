//! The policies to compare, as a scenario file has them. The schema of their names and parameters
//! is derived from the descriptions of the built-in policies.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use mesh_core::parameter::{Parameter, ParameterKind, ParameterValue};
use mesh_core::routing::BUILT_IN;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::scenario::{UpperBound, text};

/// A policy to compare.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Policy {
    /// With its default parameters.
    Name(PolicyName),
    /// With parameters.
    Table(PolicyTable),
}

/// A built-in policy or an upper bound, by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct PolicyName(pub(crate) String);

/// A policy with parameters.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PolicyTable {
    pub(crate) name: PolicyName,
    pub(crate) label: Option<String>,
    /// Fields of the scenario that have other values in the runs of this policy, by their paths.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, SetValue>,
    /// The parameters that the file has, by name.
    #[serde(flatten)]
    pub(crate) parameters: BTreeMap<String, WrittenValue>,
}

/// The value of a parameter. The schema says which of these variants each parameter may have.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum WrittenValue {
    Count(u64),
    Number(f64),
    Word(String),
}

/// The value of a field that a policy sets. The checks of the field say whether it fits.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum SetValue {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl fmt::Display for SetValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(on) => on.fmt(f),
            Self::Whole(number) => number.fmt(f),
            // With a decimal point, so that it is read as a number again.
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<&WrittenValue> for ParameterValue {
    fn from(written: &WrittenValue) -> Self {
        match written {
            WrittenValue::Count(count) => Self::Count(*count),
            WrittenValue::Number(number) => Self::Number(*number),
            WrittenValue::Word(word) => Self::Word(word.clone()),
        }
    }
}

impl JsonSchema for PolicyName {
    fn schema_name() -> Cow<'static, str> {
        "PolicyName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = BUILT_IN.iter().map(|policy| policy.name);
        let names: Vec<&str> = names.chain(UpperBound::ALL.map(UpperBound::name)).collect();
        json_schema!({
            "description": "A policy with its default parameters.",
            "type": "string",
            "enum": names,
        })
    }
}

impl JsonSchema for PolicyTable {
    fn schema_name() -> Cow<'static, str> {
        "PolicyTable".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let built_in =
            BUILT_IN.iter().map(|policy| (policy.name, policy.summary, policy.parameters));
        let bounds = UpperBound::ALL.map(|bound| (bound.name(), bound.summary(), &[][..]));
        let tables: Vec<Value> = built_in.chain(bounds).map(table_schema).collect();
        json_schema!({ "description": "A policy with parameters.", "oneOf": tables })
    }
}

/// The schema of the table of one policy. The field `name` tells it from the tables of the others.
fn table_schema((name, summary, parameters): (&str, &str, &[Parameter])) -> Value {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), json!({ "type": "string", "const": name }));
    for parameter in parameters {
        fields.insert(parameter.name.to_owned(), parameter_schema(parameter));
    }
    let label = json!({
        "description": "Its row in the report; its name if left out.",
        "type": "string",
        "pattern": text::NAME,
    });
    fields.insert("label".to_owned(), label);
    fields.insert("set".to_owned(), set_schema());
    json!({
        "description": summary,
        "type": "object",
        "properties": fields,
        "required": ["name"],
        "additionalProperties": false,
    })
}

/// The schema of fields of the scenario with other values.
fn set_schema() -> Value {
    json!({
        "description": "Fields of the scenario that have other values in the runs of this policy, \
            by their paths as in `sweep --vary`: `\"delegation.max_failures\" = 0`. Its requests \
            and faults stay the same. A string may be any value as TOML.",
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                { "type": "string", "pattern": text::LINE },
                { "type": "number", "minimum": -1e15, "maximum": 1e15 },
                { "type": "boolean" },
            ],
        },
    })
}

fn parameter_schema(parameter: &Parameter) -> Value {
    let description = parameter.summary;
    match parameter.kind {
        ParameterKind::Count { default, min, max } => json!({
            "description": description,
            "type": "integer",
            "default": default,
            "minimum": min,
            "maximum": max,
        }),
        ParameterKind::Number { default, min, max } => json!({
            "description": description,
            "type": "number",
            "default": default,
            "minimum": min,
            "maximum": max,
        }),
        ParameterKind::Word { default, words } => {
            let word = |word: &mesh_core::parameter::Word| json!({ "description": word.summary, "type": "string", "const": word.name });
            let words: Vec<Value> = words.iter().map(word).collect();
            json!({ "description": description, "oneOf": words, "default": default })
        }
        ParameterKind::Formula { default, .. } => json!({
            "description": description,
            "type": "string",
            "default": default,
            "pattern": text::LINE,
        }),
    }
}
