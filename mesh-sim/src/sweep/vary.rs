//! Varied fields of a scenario, and the values that they take in turn.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ranges::values_of;
use crate::format::counted;
use crate::scenario::{keys, whole_path};

/// Fields of the scenario that a sweep varies together, and the values that they take in turn.
///
/// It is read from text: `workload.rate=100,200,400`, or, for several fields,
/// `agents.0.count,workload.rate=8:100,16:200`. `lin(1,9,3)` and `log(1,100,3)` stand for three
/// values with equal steps or ratios.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vary {
    /// The way to each field, key by key: `workload.rate`, or `agents.0.count` (items of lists are
    /// numbered from 0). If no other field ends so, the last part is enough: `rate`.
    pub fields: Vec<String>,
    /// What the fields are set to in turn: each item has one value per field, as TOML. A text that
    /// is not TOML is the value of a string.
    pub values: Vec<Vec<String>>,
}

/// Fields that can't be varied, because a sweep sets them in another way, and what to do instead.
const RESERVED: [(&str, &str); 3] = [
    ("seeds", "say which with --seeds"),
    ("engine", "say which with --engine, one sweep for each"),
    ("name", "it names the results"),
];

impl FromStr for Vary {
    type Err = String;

    /// Reads `field=a,b,c` or `field,field=a:b,c:d`. A comma or colon inside brackets, braces,
    /// parentheses or quotes separates nothing.
    fn from_str(text: &str) -> Result<Self, String> {
        let (fields, values) = text
            .split_once('=')
            .ok_or("expected a field and its values, like workload.rate=100,200,400")?;
        let fields: Vec<String> = fields.split(',').map(|path| path.trim().to_owned()).collect();
        let mut rows = Vec::new();
        for item in split(values, ',') {
            // A single field may have a colon in its value.
            let parts = if fields.len() == 1 { vec![item] } else { split(item, ':') };
            rows.extend(together(&parts)?);
        }
        let vary = Self { fields, values: rows };
        vary.check().map(|()| vary)
    }
}

/// The values that an item stands for, given the parts of the item: one row, or several if the
/// parts are ranges, which must be equally long.
fn together(parts: &[&str]) -> Result<Vec<Vec<String>>, String> {
    let columns: Vec<Vec<String>> =
        parts.iter().map(|part| values_of(part)).collect::<Result<_, _>>()?;
    let rows = columns.first().map_or(0, Vec::len);
    if columns.iter().any(|column| column.len() != rows) {
        return Err(format!("{} has ranges of different lengths", parts.join(":")));
    }
    let row = |at: usize| columns.iter().map(|column| column[at].clone()).collect();
    Ok((0..rows).map(row).collect())
}

impl Vary {
    /// One field with a single value.
    pub(crate) fn fixed(field: &str, value: &str) -> Self {
        Self { fields: vec![field.to_owned()], values: vec![vec![value.to_owned()]] }
    }

    /// The values of one of the fields, given by its position.
    pub(super) fn values_of(&self, position: usize) -> impl Iterator<Item = &String> {
        self.values.iter().filter_map(move |row| row.get(position))
    }

    /// Gives the fields their whole paths in a scenario with this text, and checks everything.
    pub(super) fn complete(&mut self, scenario: &str) -> Result<(), String> {
        for field in &mut self.fields {
            *field = whole_path(field, scenario)?;
        }
        self.check()
    }

    /// Checks the fields and their values, because they may also come from the file of a part.
    pub(super) fn check(&self) -> Result<(), String> {
        for field in &self.fields {
            let keys = keys(field)?;
            if let Some((field, advice)) = RESERVED.iter().find(|(field, _)| keys[0] == *field) {
                return Err(format!("`{field}` can't be varied: {advice}"));
            }
        }
        let values = &self.values;
        if values.is_empty() || values.iter().flatten().any(String::is_empty) {
            return Err("a value is missing".to_owned());
        }
        if let Some(row) = values.iter().find(|row| row.len() != self.fields.len()) {
            let expected = counted(self.fields.len(), "value");
            return Err(format!("expected {expected} with colons between, not {}", row.join(":")));
        }
        if let Some((_, twice)) =
            values.iter().enumerate().find(|(at, v)| values[..*at].contains(v))
        {
            return Err(format!("the value {} is there twice", twice.join(":")));
        }
        Ok(())
    }
}

/// The parts between top-level separators, without the space around them.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quote, mut escaped, mut start) = (0usize, None, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match (quote, c) {
            // As in TOML, a backslash escapes only in double quotes.
            (Some('"'), _) if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth = depth.saturating_sub(1),
            (None, c) if c == separator && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_by_commas_outside_of_brackets_and_quotes() {
        let vary = |text: &str| text.parse::<Vary>().map(|vary| vary.values.concat());
        assert_eq!(vary("workload.rate=100, 200").unwrap(), ["100", "200"]);
        assert_eq!(vary("a=[1,2],{b=1,c=2}").unwrap(), ["[1,2]", "{b=1,c=2}"]);
        assert_eq!(vary(r#"a="x,\",y",'z,'"#).unwrap(), [r#""x,\",y""#, "'z,'"]);
        assert_eq!(vary("a=x:y").unwrap(), ["x:y"]);
        for wrong in ["a", "a=", "a=1,,2", "a=1,1", "a b=1", "=1", "seeds=1", "engine=turmoil"] {
            assert!(vary(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_are_varied_together() {
        let vary = |text: &str| text.parse::<Vary>();
        let two = vary("agents.0.count,workload.rate=8:100, 16:[1,2:3],lin(24,32,2):1,2:3");
        assert_eq!(two.unwrap_err(), "lin(24,32,2):1 has ranges of different lengths");
        let two = vary("a.0.b,c=8:100, 16:[1,2:3],lin(24,32,2):log(1,4,2)").unwrap();
        assert_eq!(two.fields, ["a.0.b", "c"]);
        assert_eq!(two.values, [["8", "100"], ["16", "[1,2:3]"], ["24", "1"], ["32", "4"]]);
        let short = vary("a,b=1:2,3").unwrap_err();
        assert_eq!(short, "expected 2 values with colons between, not 3");
        for wrong in ["a,b=1:2,1:2", "a,seeds=1:2", "a,=1:2", "a,b=1:", "a,b=1:2:3"] {
            assert!(vary(wrong).is_err(), "{wrong}");
        }
    }
}
