//! Varied fields: which, and the values that each takes in turn.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Key, Table, TableLike, Value, value};

/// A field of the scenario and the values that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vary {
    /// The way to the field: `workload.rate`, `agents.0.count` (items count from 0).
    pub path: String,
    /// The values, as TOML or, where they are none, as the text of a string.
    pub values: Vec<String>,
}

/// Fields that a sweep sets by other means, and how.
const RESERVED: [(&str, &str); 3] = [
    ("seeds", "say which with --seeds"),
    ("engine", "say which with --engine, one sweep for each"),
    ("name", "it names the results"),
];

impl FromStr for Vary {
    type Err = String;

    /// Reads `path=a,b,c`. Commas inside brackets, braces and quotes do not separate.
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, values) = text
            .split_once('=')
            .ok_or("expected a field and its values, like workload.rate=100,200,400")?;
        let path = path.trim();
        let keys = keys(path)?;
        if let Some((field, advice)) = RESERVED.iter().find(|(field, _)| keys[0] == *field) {
            return Err(format!("`{field}` can't be varied: {advice}"));
        }
        let values: Vec<String> = split(values).into_iter().map(str::to_owned).collect();
        if let Some(twice) = values.iter().enumerate().find(|(at, v)| values[..*at].contains(v)) {
            return Err(format!("the value {} is there twice", twice.1));
        }
        if values.iter().any(String::is_empty) {
            return Err("a value is missing".to_owned());
        }
        Ok(Self { path: path.to_owned(), values })
    }
}

/// The parts between top-level commas, without the space around them.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut escaped, mut start) = (0usize, None, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some('"'), _) if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn keys(path: &str) -> Result<Vec<String>, String> {
    let keys = Key::parse(path)
        .map_err(|_| format!("expected a path, like agents.0.count; found {path:?}"))?;
    Ok(keys.iter().map(|key| key.get().to_owned()).collect())
}

/// The scenario file `text` with each field at its value. The rest of the text stays as it is, so
/// that problems are shown in lines that the author knows.
///
/// # Errors
/// Says which path leads nowhere. Whether fields and values are right, the loader says.
pub(super) fn set(text: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|_| "not valid TOML".to_owned())?;
    for (path, new) in fields {
        let new = new.parse::<Value>().unwrap_or_else(|_| Value::from(*new));
        let keys = keys(path)?;
        set_in_table(document.as_table_mut(), &keys, new)
            .map_err(|reason| format!("{path}: {reason}"))?;
    }
    Ok(document.to_string())
}

fn set_in_table(table: &mut dyn TableLike, keys: &[String], new: Value) -> Result<(), String> {
    let [key, rest @ ..] = keys else { return Err("the path ends too early".to_owned()) };
    if rest.is_empty() {
        let decor = table.get(key).and_then(Item::as_value).map(|old| old.decor().clone());
        let mut new = value(new);
        if let (Some(new), Some(decor)) = (new.as_value_mut(), decor) {
            *new.decor_mut() = decor;
        }
        table.insert(key, new);
        return Ok(());
    }
    if !table.contains_key(key) {
        if index(&rest[0]).is_some() {
            return Err(format!("the file has no `{key}`"));
        }
        table.insert(key, Item::Table(Table::new()));
    }
    match table.get_mut(key) {
        Some(item) => set_in_item(item, key, rest, new),
        None => Err(format!("the file has no `{key}`")),
    }
}

fn set_in_item(item: &mut Item, name: &str, keys: &[String], new: Value) -> Result<(), String> {
    match item {
        Item::ArrayOfTables(tables) => {
            let at = position(name, &keys[0], ArrayOfTables::len(tables))?;
            match tables.get_mut(at) {
                Some(table) => set_in_table(table, &keys[1..], new),
                None => Err(format!("`{name}` has no item {at}")),
            }
        }
        Item::Value(found) => set_in_value(found, name, keys, new),
        Item::Table(table) => set_in_table(table, keys, new),
        Item::None => Err(format!("the file has no `{name}`")),
    }
}

fn set_in_value(found: &mut Value, name: &str, keys: &[String], new: Value) -> Result<(), String> {
    let Some(key) = keys.first() else {
        let decor = found.decor().clone();
        *found = new;
        *found.decor_mut() = decor;
        return Ok(());
    };
    match found {
        Value::Array(items) => {
            let at = position(name, key, items.len())?;
            match items.get_mut(at) {
                Some(item) => set_in_value(item, key, &keys[1..], new),
                None => Err(format!("`{name}` has no item {at}")),
            }
        }
        Value::InlineTable(table) => set_in_table(table, keys, new),
        other => Err(format!(
            "`{name}` is {}, which has no fields; write it as a table to vary one",
            other.to_string().trim()
        )),
    }
}

fn index(key: &str) -> Option<usize> {
    key.parse().ok()
}

fn position(name: &str, key: &str, len: usize) -> Result<usize, String> {
    let Some(at) = index(key) else {
        return Err(format!("`{name}` is a list: say which item, from 0 to {}", len - 1));
    };
    if at >= len {
        return Err(format!("`{name}` has {len} items, numbered from 0: there is no {at}"));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# What it is.
policies = [\"random\", { name = \"power_of_two\" }] # two
[workload]
rate = 10 # requests/s
demand = { kind = \"exponential\", mean = \"20ms\" }
[[agents]]
name = \"a\"
[[agents]]
name = \"b\"
count = 2
[[network.links]]
from = \"a\"
";

    fn changed(fields: &[(&str, &str)]) -> Vec<String> {
        let text = set(FILE, fields).unwrap();
        let new: Vec<_> = text.lines().filter(|line| !FILE.lines().any(|l| l == *line)).collect();
        new.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn fields_are_set_in_place() {
        assert_eq!(changed(&[("workload.rate", "400")]), ["rate = 400 # requests/s"]);
        assert_eq!(changed(&[("agents.1.count", "8")]), ["count = 8"]);
        assert_eq!(changed(&[("agents.0.count", "8")]), ["count = 8"]);
        assert_eq!(changed(&[("workload.deadline", "1s")]), ["deadline = \"1s\""]);
        assert_eq!(changed(&[("registry.ttl", "1s")]), ["", "[registry]", "ttl = \"1s\""]);
        assert_eq!(
            changed(&[("workload.demand.mean", "5ms"), ("workload.rate", "0.5")]),
            ["rate = 0.5 # requests/s", "demand = { kind = \"exponential\", mean = \"5ms\" }"]
        );
        assert_eq!(
            changed(&[("policies.1.choices", "3")]),
            ["policies = [\"random\", { name = \"power_of_two\" , choices = 3 }] # two"]
        );
        assert_eq!(
            changed(&[("policies.0", "weighted")]),
            ["policies = [\"weighted\", { name = \"power_of_two\" }] # two"]
        );
        assert_eq!(changed(&[("network.links.0.from", "['a', 'b']")]), ["from = ['a', 'b']"]);
    }

    #[test]
    fn a_path_that_leads_nowhere_says_why() {
        let reason = |path| set(FILE, &[(path, "1")]).unwrap_err();
        assert_eq!(
            reason("agents.2.count"),
            "agents.2.count: `agents` has 2 items, numbered from 0: there is no 2"
        );
        assert!(reason("agents.count").ends_with("say which item, from 0 to 1"));
        assert!(reason("policies.0.choices").contains("`0` is \"random\", which has no fields"));
        assert!(reason("faults.0.at").ends_with("the file has no `faults`"));
        assert!(reason("agents.0").ends_with("the path ends too early"));
    }

    #[test]
    fn values_are_separated_by_commas_outside_of_brackets_and_quotes() {
        let vary = |text: &str| text.parse::<Vary>().map(|vary| vary.values);
        assert_eq!(vary("workload.rate=100, 200").unwrap(), ["100", "200"]);
        assert_eq!(vary("a=[1,2],{b=1,c=2}").unwrap(), ["[1,2]", "{b=1,c=2}"]);
        assert_eq!(vary(r#"a="x,\",y",'z,'"#).unwrap(), [r#""x,\",y""#, "'z,'"]);
        for wrong in ["a", "a=", "a=1,,2", "a=1,1", "a b=1", "=1", "seeds=1", "engine=turmoil"] {
            assert!(vary(wrong).is_err(), "{wrong}");
        }
    }
}
