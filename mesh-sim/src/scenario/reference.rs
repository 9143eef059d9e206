//! The reference of scenario files in Markdown, made from the words of their JSON Schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

const INTRODUCTION: &str = "\
# Scenario files: every field

A scenario is a TOML file. This page is made from the same schema by which files are checked and editors complete them
([scenarios/schema.json](../scenarios/schema.json)), so it is what `mesh-sim check` says. `mesh-sim init` writes a file to begin with;
[fleet.md](fleet.md), [workload.md](workload.md), [places.md](places.md) and [engines.md](engines.md#kinds-of-faults) explain what belongs together.

A field without a default is left out unless it is **required**.
";

/// The reference as `docs/scenario.md` has it.
pub fn reference(schema: &Value) -> String {
    let mut page = ReferencePage { schema, out: INTRODUCTION.to_owned(), done: BTreeSet::new() };
    page.section("The file", schema);
    page.out
}

/// A page that is being written.
struct ReferencePage<'a> {
    schema: &'a Value,
    out: String,
    /// The definitions that have a section.
    done: BTreeSet<String>,
}

impl<'a> ReferencePage<'a> {
    /// A section about a table, then those about the tables in it.
    fn section(&mut self, title: &str, table: &'a Value) {
        let _ = write!(self.out, "\n## {title}\n");
        self.paragraph(table);
        match alternatives(table) {
            Some(all) => self.alternatives(all),
            None => self.fields(properties(table), table),
        }
        let mut inner = Vec::new();
        references(table, &mut inner);
        for name in inner {
            let definition = &self.schema["$defs"][&name];
            if has_fields(definition) && self.done.insert(name.clone()) {
                self.section(&name, definition);
            }
        }
    }

    fn paragraph(&mut self, of: &Value) {
        let words = description(of);
        if !words.is_empty() {
            let _ = write!(self.out, "\n{words}\n");
        }
    }

    /// A table that may have one of several forms: first the fields that all of them have.
    fn alternatives(&mut self, all: &'a [Value]) {
        let tables: Vec<&Value> = all.iter().filter(|form| !properties(form).is_empty()).collect();
        let is_shared = |name: &String, field: &Value| {
            tables.len() > 1
                && tables.iter().all(|table| properties(table).get(name) == Some(field))
        };
        for form in all {
            let own: Map<String, Value> = properties(form)
                .into_iter()
                .filter(|(name, field)| !is_shared(name, field))
                .collect();
            match tag(&own) {
                Some(tag) => {
                    let _ = write!(self.out, "\n### `{tag}`\n");
                }
                None if own.is_empty() => {
                    let _ = write!(self.out, "\n### {}\n", self.kind(form));
                }
                None => {
                    let names: Vec<String> = own.keys().map(|name| format!("`{name}`")).collect();
                    let _ = write!(self.out, "\n### With {}\n", names.join(", "));
                }
            }
            self.paragraph(form);
            let without_tag = own.into_iter().filter(|(_, field)| field["const"].is_null());
            self.fields(without_tag.collect(), form);
        }
        let Some(first) = tables.first() else { return };
        let shared: Map<String, Value> =
            properties(first).into_iter().filter(|(name, field)| is_shared(name, field)).collect();
        if !shared.is_empty() {
            self.out.push_str("\n### All of them\n");
            self.fields(shared, first);
        }
    }

    /// The fields as a table.
    fn fields(&mut self, fields: Map<String, Value>, of: &Value) {
        if fields.is_empty() {
            return;
        }
        self.out.push_str("\n| field | value | default | meaning |\n|---|---|---|---|\n");
        let required: Vec<&str> =
            of["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in fields {
            let default = match &field["default"] {
                Value::Null if required.contains(&&*name) => "**required**".to_owned(),
                // That of a table is made of the defaults of its fields.
                Value::Null | Value::Object(_) => String::new(),
                value => format!("`{value}`"),
            };
            let kind = self.kind(&field);
            let words = description(&field).replace('|', "\\|");
            let _ = writeln!(self.out, "| `{name}` | {kind} | {default} | {words} |");
        }
    }

    /// What a value is, in a few words.
    fn kind(&self, of: &Value) -> String {
        if let Some(name) = reference_name(of) {
            let definition = &self.schema["$defs"][name];
            return match has_fields(definition) {
                true => format!("[{name}](#{})", name.to_lowercase()),
                false => self.kind(definition),
            };
        }
        if let Some(all) = alternatives(of) {
            let kinds: Vec<String> = all.iter().map(|form| self.kind(form)).collect();
            return kinds.join(", ");
        }
        if !of["const"].is_null() {
            return format!("`{}`", of["const"]);
        }
        if let Some(values) = of["enum"].as_array() {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            return values.join(", ");
        }
        match of["type"].as_str().unwrap_or_default() {
            "array" => format!("list of {}{}", self.kind(&of["items"]), length(of)),
            "object" if of["additionalProperties"].is_object() => {
                format!("table of {}", self.kind(&of["additionalProperties"]))
            }
            "object" => "table".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            number @ ("integer" | "number") => format!("{number}{}", bounds(of)),
            _ => text_kind(of),
        }
    }
}

/// A text with an example, if there is one.
fn text_kind(of: &Value) -> String {
    match of["examples"].as_array().and_then(|examples| examples.first()) {
        Some(example) => format!("text, like `{example}`"),
        None => "text".to_owned(),
    }
}

/// The words about a value, in one line. Examples in Rust are for those who read the sources.
fn description(of: &Value) -> String {
    let words = of["description"].as_str().unwrap_or_default();
    let words = words.split("```").next().unwrap_or_default();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn properties(of: &Value) -> Map<String, Value> {
    of["properties"].as_object().cloned().unwrap_or_default()
}

/// The forms that a value may have.
fn alternatives(of: &Value) -> Option<&[Value]> {
    ["oneOf", "anyOf"].iter().find_map(|word| of[*word].as_array()).map(|all| &**all)
}

/// Whether a definition has fields, at least in one of its forms.
fn has_fields(definition: &Value) -> bool {
    let own = !properties(definition).is_empty();
    own || alternatives(definition).into_iter().flatten().any(|form| !properties(form).is_empty())
}

fn reference_name(of: &Value) -> Option<&str> {
    of["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The field that tells the forms of a table apart: `kind = "partition"`, say.
fn tag(fields: &Map<String, Value>) -> Option<String> {
    let tag = fields.iter().find(|(_, field)| !field["const"].is_null());
    tag.map(|(name, field)| format!("{name} = {}", field["const"]))
}

/// The names of the definitions that a value refers to, in their order.
fn references(of: &Value, found: &mut Vec<String>) {
    match of {
        Value::Object(fields) => {
            if let Some(name) = reference_name(of) {
                found.push(name.to_owned());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// How many items a list may have, if that is limited on both sides.
fn length(of: &Value) -> String {
    match (&of["minItems"], &of["maxItems"]) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, most) => format!(" (at most {most})"),
        (least, Value::Null) => format!(" (at least {least})"),
        (least, most) if least == most => format!(" ({least} items)"),
        (least, most) => format!(" ({least} to {most})"),
    }
}

/// The bounds of a number.
fn bounds(of: &Value) -> String {
    let above = &of["exclusiveMinimum"];
    match (&of["minimum"], above, &of["maximum"]) {
        (Value::Null, Value::Null, Value::Null) => String::new(),
        (Value::Null, Value::Null, most) => format!(", at most {most}"),
        (Value::Null, above, Value::Null) => format!(" above {above}"),
        (Value::Null, above, most) => format!(" above {above}, at most {most}"),
        (least, _, Value::Null) => format!(" from {least}"),
        (least, _, most) => format!(" from {least} to {most}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::json_schema;

    #[test]
    fn the_committed_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenario.md");
        let text = reference(&json_schema());
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "docs/scenario.md has drifted; run the tests with UPDATE_SCHEMAS=1 to renew it"
        );
    }

    #[test]
    fn every_definition_with_fields_has_a_section_and_every_link_a_target() {
        let schema = json_schema();
        let text = reference(&schema);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            let has_section = text.contains(&format!("\n## {name}\n"));
            assert_eq!(has_section, has_fields(definition), "{name}");
        }
        for link in text.split("](#").skip(1) {
            let target = link.split(')').next().unwrap();
            let is_there = text.lines().any(|line| line.to_lowercase() == format!("## {target}"));
            assert!(is_there, "{target}");
        }
    }
}
