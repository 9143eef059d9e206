//! Finding the fields of a scenario by the last part of their paths.

use std::collections::BTreeSet;

use mesh_core::text::closest;
use toml::{Table, Value};
use toml_edit::Key;

use super::draft::Draft;
use super::edit_in_place::keys;
use super::file::SHAPE;
use super::shape::Shape;

/// The most fields that an error names.
const MOST_NAMED: usize = 8;

/// The whole path of the field that `asked` names: a path from the top of the file, or the last
/// part of one, such as `rate` for `workload.rate`. `text` is the text of the scenario. Of lists it
/// has only those items that the text has.
///
/// # Errors
/// If no field or several ones are called so: names those that may be meant.
pub(crate) fn whole_path(asked: &str, text: &str) -> Result<String, String> {
    let wanted = keys(asked)?;
    if let Shape::Table(top) = &*SHAPE
        && top.field(&wanted[0]).is_some()
    {
        return Ok(asked.to_owned());
    }
    let mut paths = BTreeSet::new();
    let draft = Draft::parse(text).unwrap_or_default();
    add_written(draft.tree(), &[], &mut paths);
    add_possible(&SHAPE, &[], &mut paths);
    let mut named = paths.iter().filter(|path| path.ends_with(&wanted)).map(|path| dotted(path));
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => {
            let all: Vec<String> = [first, second].into_iter().chain(named).collect();
            let more = if all.len() > MOST_NAMED { " ..." } else { "" };
            let all = all[..all.len().min(MOST_NAMED)].join(", ");
            Err(format!("`{asked}` may be any of {all}{more}: name the whole path"))
        }
        (None, _) => {
            let last = |path: &Vec<String>| path.last().cloned().unwrap_or_default();
            let names: Vec<String> = paths.iter().map(last).collect();
            let near = closest(asked, names.iter().map(String::as_str));
            let path = near.and_then(|near| paths.iter().find(|path| last(path) == near));
            let hint = path.map(|path| format!("; did you mean {}?", dotted(path)));
            Err(format!("no field is called `{asked}`{}", hint.unwrap_or_default()))
        }
    }
}

/// Adds the paths of all fields that are written in a table.
fn add_written(table: &Table, above: &[String], paths: &mut BTreeSet<Vec<String>>) {
    for (key, value) in table {
        let path = [above, std::slice::from_ref(key)].concat();
        add_written_value(value, &path, paths);
        paths.insert(path);
    }
}

fn add_written_value(value: &Value, path: &[String], paths: &mut BTreeSet<Vec<String>>) {
    match value {
        Value::Table(table) => add_written(table, path, paths),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                add_written_value(item, &[path, &[at.to_string()]].concat(), paths);
            }
        }
        _ => {}
    }
}

/// Adds the paths of fields that may be written: those of tables that every scenario may have once.
fn add_possible(shape: &Shape, above: &[String], paths: &mut BTreeSet<Vec<String>>) {
    let Shape::Table(table) = shape else { return };
    for field in &table.fields {
        let path = [above, std::slice::from_ref(&field.name)].concat();
        add_possible(&field.shape, &path, paths);
        paths.insert(path);
    }
}

/// A path as it is written in TOML.
fn dotted(path: &[String]) -> String {
    path.iter().map(|key| Key::new(key).to_string()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
policies = ['random', { name = 'power_of_two', choices = 2 }]
workload = { rate = 1, demand = { kind = 'exponential', mean = '1ms' } }
expect = { '*' = { min_success = 1 } }
[[agents]]
name = 'a'
cores = 2
[[agents]]
name = 'b'
cores = 4
";

    #[test]
    fn the_last_part_of_a_path_is_enough_if_there_is_only_one() {
        let path = |asked| whole_path(asked, TEXT);
        for (asked, whole) in [
            ("rate", "workload.rate"),
            ("demand.mean", "workload.demand.mean"),
            ("choices", "policies.1.choices"),
            ("min_success", "expect.\"*\".min_success"),
            // It is not written, but may be.
            ("ttl", "registry.ttl"),
            ("agents.0.cores", "agents.0.cores"),
            ("duration", "duration"),
        ] {
            assert_eq!(path(asked), Ok(whole.to_owned()));
        }
        let several = "`cores` may be any of agents.0.cores, agents.1.cores: name the whole path";
        assert_eq!(path("cores"), Err(several.to_owned()));
        let near = "no field is called `raet`; did you mean workload.rate?";
        assert_eq!(path("raet"), Err(near.to_owned()));
        assert_eq!(path("xyzzy"), Err("no field is called `xyzzy`".to_owned()));
    }
}
