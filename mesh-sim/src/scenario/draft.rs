//! Drafts: a scenario file as a tree of data that programs edit and write again.
//!
//! A draft that was edited passes the same checks as a file that a person wrote.

use std::time::Duration;

use toml::{Table, Value};

use super::ScenarioFile;
use super::diagnostic::Diagnostics;
use crate::faults::{Fault, FaultKind, RandomFault};
use crate::host_names::host_ranges;
use crate::units::{format_duration, parse_duration};

/// A scenario file that is being edited: a TOML table, changed by paths of keys.
///
/// Nothing is checked until [`Draft::check`] is called. A draft loses the comments of its file;
/// where these matter, the text is edited in place instead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft(Table);

impl Draft {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// If the text is not TOML.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        text.parse().map(Self)
    }

    /// The whole tree.
    #[cfg(feature = "reports")]
    pub(super) const fn tree(&self) -> &Table {
        &self.0
    }

    /// The value at a path of keys.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |value, key| value.get(key))
    }

    /// The duration at a path of keys; `None` if there is no well-formed duration.
    pub fn duration(&self, path: &[&str]) -> Option<Duration> {
        parse_duration(self.get(path)?.as_str()?).ok()
    }

    /// Sets the value at a path of keys. Tables on the path are made if they are missing.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        if let Some((last, way)) = path.split_last()
            && let Some(table) = self.table(way)
        {
            table.insert((*last).to_owned(), value.into());
        }
    }

    /// Sets a duration at a path of keys.
    pub fn set_duration(&mut self, path: &[&str], value: Duration) {
        self.set(path, format_duration(value));
    }

    /// Sets a number at a path of keys; an integer if the number is whole.
    pub fn set_number(&mut self, path: &[&str], value: f64) {
        match value.fract() == 0.0 && value.abs() < 1e15 {
            true => self.set(path, value as i64),
            false => self.set(path, value),
        }
    }

    /// Removes the value at a path of keys, so that the default holds. Returns what was there.
    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, way) = path.split_last()?;
        let is_there = way.is_empty() || self.get(way).is_some();
        if is_there { self.table(way)?.remove(*last) } else { None }
    }

    /// Sets a list at a path of keys; removes the field if the list is empty.
    pub fn set_list(&mut self, path: &[&str], items: Vec<Value>) {
        match items.is_empty() {
            true => drop(self.remove(path)),
            false => self.set(path, items),
        }
    }

    /// Replaces all faults.
    pub fn set_faults(&mut self, faults: &[Fault]) {
        self.set_list(&["faults"], faults.iter().map(|fault| table_of(fault).into()).collect());
    }

    /// Adds faults that come at random.
    pub fn add_random_faults(&mut self, faults: &[RandomFault]) {
        let all = self.get(&["faults"]).and_then(Value::as_array).cloned().unwrap_or_default();
        let tables = faults.iter().map(|fault| table_of_random(fault).into());
        self.set_list(&["faults"], all.into_iter().chain(tables).collect());
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        // Writing can't fail: a tree of strings, numbers, lists and tables is always valid TOML.
        toml::to_string(&self.0).unwrap_or_default()
    }

    /// Checks the draft as a scenario file; `file` is its name in messages.
    ///
    /// # Errors
    /// As [`ScenarioFile::read`].
    pub fn check(&self, file: &str) -> Result<ScenarioFile, Diagnostics> {
        ScenarioFile::parse(&self.text(), file)
    }

    /// The table at a path of keys, made if it is missing; `None` if a value on the path is no
    /// table.
    fn table(&mut self, path: &[&str]) -> Option<&mut Table> {
        path.iter().try_fold(&mut self.0, |table, key| {
            table.entry(*key).or_insert_with(|| Table::new().into()).as_table_mut()
        })
    }
}

/// The fault as a table of a scenario file.
fn table_of(fault: &Fault) -> Table {
    let lasts = fault.lasts.map(|lasts| ("for", lasts));
    table_of_kind(&fault.kind, [("at", fault.at)].into_iter().chain(lasts))
}

fn table_of_random(fault: &RandomFault) -> Table {
    table_of_kind(&fault.kind, [("every", fault.every), ("repair", fault.repair)].into_iter())
}

/// A fault with these times as a table of a scenario file.
fn table_of_kind(kind: &FaultKind, times: impl Iterator<Item = (&'static str, Duration)>) -> Table {
    let mut table = Table::new();
    table.insert("kind".to_owned(), kind.name().into());
    table.extend(times.map(|(field, time)| (field.to_owned(), format_duration(time).into())));
    let kind = kind.map_hosts(&mut |_, names| host_ranges(names));
    // This can't fail: parameters are strings, numbers, booleans and lists of strings.
    table.extend(Table::try_from(&kind).unwrap_or_default());
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const FULL: &str = include_str!("../../tests/scenarios/valid/full.toml");

    #[test]
    fn what_is_written_means_the_same() {
        let lossy = "[[faults]]\nkind = 'loss'\nat = '1s'\nfor = '1s'\nratio = 0.25\n\
                     between = ['agent-1', ['odd', 'registry']]\n";
        let random = "[[faults]]\nkind = 'hold'\nevery = '9s'\nrepair = '1s'\n\
                      between = ['agent-1', 'registry']\n";
        let full = format!("{FULL}\n{lossy}{random}");
        let original = Scenario::parse(&full, "full.toml").unwrap();
        let mut draft = Draft::parse(&full).unwrap();
        draft.set_faults(&original.faults);
        draft.add_random_faults(&original.random_faults);
        let mut written = draft.check("written.toml").unwrap().scenario;
        written.sha256.clone_from(&original.sha256);
        assert_eq!(written, original);
    }

    #[test]
    fn edits_reach_tables_that_are_not_there() {
        let mut draft = Draft::parse("name = 'x'").unwrap();
        draft.set_duration(&["registry", "ttl"], Duration::from_millis(1500));
        draft.set_number(&["workload", "rate"], 2.0);
        assert_eq!(draft.duration(&["registry", "ttl"]), Some(Duration::from_millis(1500)));
        assert_eq!(draft.get(&["workload", "rate"]), Some(&Value::Integer(2)));
        assert!(draft.remove(&["network", "links"]).is_none());
        assert!(draft.get(&["network"]).is_none());
    }
}
