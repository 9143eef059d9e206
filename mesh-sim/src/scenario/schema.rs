//! The JSON Schema of scenario files, generated from the types in `raw`.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::raw;

/// The JSON Schema (draft 2020-12) of scenario files, for editors. Files are checked against this
/// very schema, so editor and checks always agree about fields, types, bounds and defaults.
pub fn json_schema() -> Value {
    let schema = generator().into_root_schema_for::<raw::Scenario>();
    // Serialising puts the keywords in a readable order; `Schema::to_value` does not.
    serde_json::to_value(schema).expect("a schema is made of JSON")
}

/// [`json_schema`] as text, as in the file `scenarios/schema.json`, with a final newline.
pub fn json_schema_text() -> String {
    format!("{:#}\n", json_schema())
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with_transform(FlattenTagged)
        .with_transform(ClosedTables)
        .with_transform(ForToml)
        .into_generator()
}

/// Moves the fields beside a flattened enum into each of the enum's variants, and closes the
/// variants. Editors then offer exactly the fields that go with each variant.
#[derive(Clone)]
struct FlattenTagged;

impl Transform for FlattenTagged {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if !object.contains_key("properties") {
            return;
        }
        // An enum with a variant that has no tag comes as `anyOf`. Closed variants exclude each other.
        if let Some(variants) = object.remove("anyOf") {
            object.insert("oneOf".to_owned(), variants);
        }
        if !object.contains_key("oneOf") {
            return;
        }
        let shared = object.remove("properties").unwrap_or_default();
        let required = object.remove("required").unwrap_or_else(|| json!([]));
        object.remove("type");
        for variant in object.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
            extend(&mut variant["properties"], &shared);
            extend(&mut variant["required"], &required);
            variant["additionalProperties"] = Value::Bool(false);
        }
    }
}

fn extend(target: &mut Value, more: &Value) {
    match (target, more) {
        (Value::Object(target), Value::Object(more)) => target.extend(more.clone()),
        (Value::Array(target), Value::Array(more)) => target.extend(more.iter().cloned()),
        _ => {}
    }
}

/// Closes the tables of settings: no other fields are allowed. Their types can't say so themselves,
/// because several of them are flattened into one table.
#[derive(Clone)]
struct ClosedTables;

impl Transform for ClosedTables {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if object.contains_key("properties") {
            object.entry("additionalProperties").or_insert(Value::Bool(false));
        }
    }
}

/// Removes what makes no sense for TOML: null, which TOML doesn't have, and `format`, which repeats
/// what the bounds say.
#[derive(Clone)]
struct ForToml;

impl Transform for ForToml {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(object) = schema.as_object_mut() {
            object.remove("format");
            drop_null_type(object);
            drop_null_branch(object);
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
        }
        transform_subschemas(self, schema);
    }
}

/// `"type": ["string", "null"]` becomes `"type": "string"`.
fn drop_null_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
}

/// `"anyOf": [X, {"type": "null"}]` becomes X. The description beside it stays.
fn drop_null_branch(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else { return };
    branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (keyword, value) in only {
            object.entry(keyword).or_insert(value);
        }
    }
}
