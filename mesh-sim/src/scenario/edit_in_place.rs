//! Changing fields of a scenario file in its text.
//!
//! The rest of the text stays as its author wrote it, with its comments, so that problems are shown
//! in lines that the author knows. [`Draft`](super::Draft) is for files that a program writes.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Key, Table, TableLike, Value, value};

/// Splits a path like `agents.0.count` into its keys.
///
/// # Errors
/// If it is no path: says what a path looks like.
pub(crate) fn keys(path: &str) -> Result<Vec<String>, String> {
    let keys = Key::parse(path)
        .map_err(|_| format!("expected a path, like agents.0.count; found {path:?}"))?;
    Ok(keys.iter().map(|key| key.get().to_owned()).collect())
}

/// The text of a scenario file with each of `fields` (path and value) set.
///
/// # Errors
/// If the file has nothing at a path: says which part of it is missing. Whether the fields and
/// values are right is not checked here but when the new text is parsed.
pub(crate) fn set_fields(text: &str, fields: &[(&str, &str)]) -> Result<String, String> {
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
        return Err(format!("`{name}` has no item {at}: it has {len}, numbered from 0"));
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
        let text = set_fields(FILE, fields).unwrap();
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
        let reason = |path| set_fields(FILE, &[(path, "1")]).unwrap_err();
        assert_eq!(
            reason("agents.2.count"),
            "agents.2.count: `agents` has no item 2: it has 2, numbered from 0"
        );
        assert!(reason("agents.count").ends_with("say which item, from 0 to 1"));
        assert!(reason("policies.0.choices").contains("`0` is \"random\", which has no fields"));
        assert!(reason("faults.0.at").ends_with("the file has no `faults`"));
        assert!(reason("agents.0").ends_with("the path ends too early"));
    }
}
