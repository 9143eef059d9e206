//! Shapes: the JSON Schema compiled into the form that files are checked against.
//!
//! The compiler knows every keyword that may stand in our schema, and refuses all others. So a new
//! field can't bring a constraint that is not enforced.

use serde_json::{Map, Value};

use super::text::{RULES, TextRule};

/// What a value of a scenario file must look like.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A table that has only these fields.
    Table(TableShape),
    /// A table whose field `tag` says which of the variants it is. Without that field, it is one of
    /// the `untagged` tables.
    Tagged { tag: String, variants: Vec<(String, TableShape)>, untagged: Vec<TableShape> },
    /// A table with any fields, all of one shape.
    Map(Box<Shape>),
    /// An array.
    Array { items: Box<Shape>, min: u64, max: u64, unique: bool },
    /// A string that keeps a rule.
    Text(TextRule),
    /// One of these strings.
    Words(Vec<String>),
    /// A whole number from `min` to `max`, both included.
    Integer { min: i128, max: i128 },
    /// A finite number.
    Number { min: LowerBound, max: f64 },
    /// `true` or `false`.
    Boolean,
    /// A value of one of these shapes. No two of them have the same TOML type, so the type of the
    /// value says which one it must be.
    Either(Vec<Shape>),
}

/// A lower bound of a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum LowerBound {
    /// The number must be at least this.
    From(f64),
    /// The number must be more than this.
    Above(f64),
}

/// The fields of a table.
#[derive(Clone, Debug)]
pub(super) struct TableShape {
    pub(super) fields: Vec<FieldShape>,
}

/// A field of a table, with the shape of its values.
#[derive(Clone, Debug)]
pub(super) struct FieldShape {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) required: bool,
    /// What the field means, from the schema.
    pub(super) description: String,
}

impl TableShape {
    pub(super) fn field(&self, name: &str) -> Option<&FieldShape> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|field| field.name.as_str()).collect()
    }

    /// The fields in braces: `{ at, rate }`.
    pub(super) fn describe(&self) -> String {
        format!("{{ {} }}", self.names().join(", "))
    }
}

/// A part of a schema that the compiler does not know how to enforce.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no way to enforce {what} in {schema}")]
pub(super) struct CompileError {
    what: String,
    schema: String,
}

/// Keywords that only explain and constrain nothing.
const ANNOTATIONS: [&str; 5] = ["title", "description", "default", "examples", "$schema"];

/// Compiles a whole schema.
pub(super) fn compile(root: &Value) -> Result<Shape, CompileError> {
    Compiler { defs: root.get("$defs").unwrap_or(&Value::Null) }.shape(root)
}

struct Compiler<'a> {
    defs: &'a Value,
}

impl Compiler<'_> {
    fn shape(&self, schema: &Value) -> Result<Shape, CompileError> {
        let object =
            schema.as_object().ok_or_else(|| refuse("a schema of true or false", schema))?;
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            allow_only(object, &["$ref"])?;
            let name = reference.trim_start_matches("#/$defs/");
            let target = self.defs.get(name).ok_or_else(|| refuse(reference, schema))?;
            return self.shape(target);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = object.get(keyword).and_then(Value::as_array) {
                allow_only(object, &[keyword])?;
                return self.branches(branches, schema);
            }
        }
        match object.get("type").and_then(Value::as_str) {
            Some("object") => self.object(object),
            Some("array") => self.array(object),
            Some("string") => string(object),
            Some("integer") => integer(object),
            Some("number") => number(object),
            Some("boolean") => allow_only(object, &["type"]).map(|()| Shape::Boolean),
            _ => Err(refuse("this type", schema)),
        }
    }

    fn object(&self, object: &Map<String, Value>) -> Result<Shape, CompileError> {
        match object.get("additionalProperties") {
            Some(Value::Bool(false)) => self.table(object).map(Shape::Table),
            Some(items @ Value::Object(_)) => {
                allow_only(object, &["type", "additionalProperties"])?;
                Ok(Shape::Map(Box::new(self.shape(items)?)))
            }
            _ => Err(refuse("a table open to any field", object)),
        }
    }

    fn table(&self, object: &Map<String, Value>) -> Result<TableShape, CompileError> {
        allow_only(object, &["type", "properties", "required", "additionalProperties", "$defs"])?;
        let required: Vec<&str> = strings(object.get("required"));
        let properties = object.get("properties").and_then(Value::as_object);
        let mut fields = Vec::new();
        for (name, schema) in properties.into_iter().flatten() {
            fields.push(FieldShape {
                name: name.clone(),
                shape: self.shape(schema)?,
                required: required.contains(&name.as_str()),
                description: schema["description"].as_str().unwrap_or_default().to_owned(),
            });
        }
        Ok(TableShape { fields })
    }

    fn array(&self, object: &Map<String, Value>) -> Result<Shape, CompileError> {
        allow_only(object, &["type", "items", "minItems", "maxItems", "uniqueItems"])?;
        let bound = |keyword| object.get(keyword).and_then(Value::as_u64);
        let items = object.get("items").ok_or_else(|| refuse("items of any kind", object))?;
        let items = self.shape(items)?;
        let unique = object.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
        if unique && !matches!(items, Shape::Integer { .. } | Shape::Words(_)) {
            return Err(refuse("unique items that are neither integers nor words", object));
        }
        Ok(Shape::Array {
            items: Box::new(items),
            min: bound("minItems").unwrap_or(0),
            max: bound("maxItems").unwrap_or(u64::MAX),
            unique,
        })
    }

    /// The shape of `oneOf` or `anyOf`: the variants of a tagged table, words, or values of
    /// different types.
    fn branches(&self, branches: &[Value], schema: &Value) -> Result<Shape, CompileError> {
        if let Some(tag) = branches.first().and_then(tag_of) {
            return self.tagged(tag, branches, schema);
        }
        let shapes = branches.iter().map(|branch| self.shape(branch));
        self.either(shapes.collect::<Result<_, _>>()?, schema)
    }

    /// The shape of words, or of values of different types.
    fn either(&self, shapes: Vec<Shape>, schema: &Value) -> Result<Shape, CompileError> {
        if let [_] = &shapes[..] {
            return Ok(shapes[0].clone());
        }
        if shapes.iter().all(|shape| matches!(shape, Shape::Words(_))) {
            let words = shapes.into_iter().flat_map(|shape| match shape {
                Shape::Words(words) => words,
                _ => Vec::new(),
            });
            return Ok(Shape::Words(words.collect()));
        }
        for (position, shape) in shapes.iter().enumerate() {
            if shapes[..position].iter().any(|earlier| earlier.toml_type() == shape.toml_type()) {
                return Err(refuse("alternatives of one type", schema));
            }
        }
        Ok(Shape::Either(shapes))
    }

    /// The shape of a tagged table, or of values of other types. Tables without the tag are told
    /// apart by a field that only one of them has, and that it must have.
    fn tagged(&self, tag: &str, branches: &[Value], schema: &Value) -> Result<Shape, CompileError> {
        let (mut variants, mut untagged, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for branch in branches {
            let value = branch["properties"][tag]["const"].as_str();
            match (self.shape(branch)?, value) {
                (Shape::Table(table), Some(value)) => variants.push((value.to_owned(), table)),
                (Shape::Table(table), None) => untagged.push(table),
                (other, _) => others.push(other),
            }
        }
        let is_like_another = |(position, table): (usize, &TableShape)| {
            let mut rest = untagged.iter().enumerate().filter(|(other, _)| *other != position);
            let mut others: Vec<&str> =
                rest.by_ref().flat_map(|(_, other)| other.names()).collect();
            others.push(tag);
            !table.fields.iter().any(|field| field.required && !others.contains(&&*field.name))
        };
        if untagged.iter().enumerate().any(is_like_another) {
            return Err(refuse("tables that no field tells apart", schema));
        }
        others.push(Shape::Tagged { tag: tag.to_owned(), variants, untagged });
        self.either(others, schema)
    }
}

impl Shape {
    /// The TOML type of the values of this shape.
    pub(super) fn toml_type(&self) -> &'static str {
        match self {
            Self::Table(_) | Self::Tagged { .. } | Self::Map(_) => "table",
            Self::Array { .. } => "array",
            Self::Text(_) | Self::Words(_) => "string",
            // An integer is also a valid number, so the type does not tell the two apart.
            Self::Integer { .. } | Self::Number { .. } => "number",
            Self::Boolean => "boolean",
            Self::Either(_) => "several",
        }
    }

    /// The allowed values in words, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Map(_) => "a table".to_owned(),
            Self::Table(table) => format!("a table {}", table.describe()),
            Self::Tagged { tag, variants, untagged } => {
                let words: Vec<&str> = variants.iter().map(|(name, _)| name.as_str()).collect();
                let tagged = format!("a table with {tag} = one of {}", quoted(&words));
                let tables = untagged.iter().map(|table| format!(", or {}", table.describe()));
                tagged + &tables.collect::<String>()
            }
            Self::Array { items, min, max, .. } if min == max => {
                format!("an array of {min}, each {}", items.describe())
            }
            Self::Array { items, .. } => format!("an array, each item {}", items.describe()),
            Self::Text(rule) => rule.what.to_owned(),
            Self::Words(words) => match words.as_slice() {
                [only] => format!("{only:?}"),
                words => format!("one of {}", quoted(words)),
            },
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min: LowerBound::From(min), max } => {
                format!("a number from {min} to {max}")
            }
            Self::Number { min: LowerBound::Above(min), max } => {
                format!("a number above {min}, at most {max}")
            }
            Self::Boolean => "true or false".to_owned(),
            Self::Either(shapes) => {
                let mut said: Vec<String> = Vec::new();
                for shape in shapes {
                    said.push(match shape {
                        Self::Array { items, .. } if said.contains(&items.describe()) => {
                            "an array of such".to_owned()
                        }
                        shape => shape.describe(),
                    });
                }
                said.join(", or ")
            }
        }
    }
}

/// The words in quotes, separated by commas: `"a", "b"`.
pub(super) fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{:?}", word.as_ref())).collect();
    words.join(", ")
}

/// The name of the property of a variant that has only one possible value.
fn tag_of(branch: &Value) -> Option<&str> {
    let properties = branch.get("properties")?.as_object()?;
    let (tag, _) = properties.iter().find(|(_, schema)| schema.get("const").is_some())?;
    Some(tag)
}

fn string(object: &Map<String, Value>) -> Result<Shape, CompileError> {
    allow_only(object, &["type", "pattern", "enum", "const"])?;
    let mut words = strings(object.get("enum"));
    words.extend(object.get("const").and_then(Value::as_str));
    if !words.is_empty() {
        return Ok(Shape::Words(words.into_iter().map(str::to_owned).collect()));
    }
    let pattern = object.get("pattern").and_then(Value::as_str);
    let rule = RULES.iter().find(|rule| Some(rule.pattern) == pattern);
    rule.map(|rule| Shape::Text(*rule)).ok_or_else(|| refuse("a string without a rule", object))
}

fn integer(object: &Map<String, Value>) -> Result<Shape, CompileError> {
    allow_only(object, &["type", "minimum", "maximum"])?;
    let bound = |keyword: &str| {
        let bound = object.get(keyword).and_then(Value::as_number).and_then(|n| n.as_i128());
        bound.ok_or_else(|| refuse(&format!("an integer without {keyword}"), object))
    };
    Ok(Shape::Integer { min: bound("minimum")?, max: bound("maximum")? })
}

fn number(object: &Map<String, Value>) -> Result<Shape, CompileError> {
    allow_only(object, &["type", "minimum", "exclusiveMinimum", "maximum"])?;
    let bound = |keyword: &str| object.get(keyword).and_then(Value::as_f64);
    let min = bound("exclusiveMinimum").map(LowerBound::Above);
    match (min.or_else(|| bound("minimum").map(LowerBound::From)), bound("maximum")) {
        (Some(min), Some(max)) => Ok(Shape::Number { min, max }),
        _ => Err(refuse("a number without bounds", object)),
    }
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn allow_only(object: &Map<String, Value>, keywords: &[&str]) -> Result<(), CompileError> {
    let known = |keyword: &str| keywords.contains(&keyword) || ANNOTATIONS.contains(&keyword);
    match object.keys().find(|keyword| !known(keyword)) {
        Some(keyword) => Err(refuse(&format!("`{keyword}`"), object)),
        None => Ok(()),
    }
}

fn refuse(what: &str, schema: &(impl serde::Serialize + ?Sized)) -> CompileError {
    let schema = serde_json::to_string(schema).unwrap_or_default();
    CompileError { what: what.to_owned(), schema }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_keyword_of_the_scenario_schema_is_enforced() {
        if let Err(error) = compile(&super::super::json_schema()) {
            panic!("{error}");
        }
    }

    fn untagged(fields: &[&str], required: &[&str]) -> Value {
        let fields: Map<String, Value> =
            fields.iter().map(|name| ((*name).to_owned(), json!({ "type": "boolean" }))).collect();
        json!({ "type": "object", "properties": fields, "required": required,
            "additionalProperties": false })
    }

    fn tagged(tag: &str) -> Value {
        let mut table = untagged(&[], &[tag]);
        table["properties"][tag] = json!({ "type": "string", "const": "x" });
        table
    }

    #[test]
    fn tables_without_the_tag_are_told_apart_by_a_field() {
        let (some, other) = (untagged(&["a", "b"], &["a"]), untagged(&["c", "b"], &["c"]));
        let shape = compile(&json!({ "oneOf": [tagged("kind"), some, other] })).unwrap();
        assert!(shape.describe().ends_with("one of \"x\", or { a, b }, or { c, b }"));
    }

    #[test]
    fn a_constraint_that_nobody_enforces_is_refused() {
        let unknown = [
            json!({ "type": "string", "pattern": "^a$" }),
            json!({ "type": "string" }),
            json!({ "type": "integer", "minimum": 0 }),
            json!({ "type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 3 }),
            json!({ "type": "number", "minimum": 0, "maximum": 9, "exclusiveMaximum": 3 }),
            json!({ "type": "array", "items": true }),
            json!({ "type": "array", "items": { "type": "boolean" }, "contains": {} }),
            json!({ "type": "array", "items": { "type": "boolean" }, "uniqueItems": true }),
            json!({ "type": "object", "properties": {} }),
            json!({ "type": ["boolean", "null"] }),
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "boolean" }] }),
            json!({ "oneOf": [tagged("kind"), untagged(&["a"], &["a"]), untagged(&["a"], &[])] }),
            json!({ "oneOf": [tagged("kind"), untagged(&["a", "kind"], &["kind"])] }),
            json!({ "not": {} }),
            json!({ "$ref": "#/$defs/Nowhere" }),
        ];
        for schema in unknown {
            assert!(compile(&schema).is_err(), "{schema}");
        }
    }
}
