//! Varied fields of a scenario, and the values that each takes in turn.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::scenario::keys;

/// A field of the scenario that a sweep varies, and the values that it takes in turn. It is read
/// from text like `workload.rate=100,200,400`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vary {
    /// The way to the field, key by key: `workload.rate`, or `agents.0.count` (items of lists are
    /// numbered from 0).
    pub path: String,
    /// The values as TOML. A text that is not TOML is the value of a string.
    pub values: Vec<String>,
}

/// Fields that can't be varied, because a sweep sets them in another way, and what to do instead.
const RESERVED: [(&str, &str); 3] = [
    ("seeds", "say which with --seeds"),
    ("engine", "say which with --engine, one sweep for each"),
    ("name", "it names the results"),
];

impl FromStr for Vary {
    type Err = String;

    /// Reads `path=a,b,c`. A comma inside brackets, braces or quotes does not separate values.
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, values) = text
            .split_once('=')
            .ok_or("expected a field and its values, like workload.rate=100,200,400")?;
        let path = path.trim();
        let values: Vec<String> = split(values).into_iter().map(str::to_owned).collect();
        let vary = Self { path: path.to_owned(), values };
        vary.check().map(|()| vary)
    }
}

impl Vary {
    /// Checks the field and its values, because they may also come from the file of a part.
    pub(super) fn check(&self) -> Result<(), String> {
        let keys = keys(&self.path)?;
        if let Some((field, advice)) = RESERVED.iter().find(|(field, _)| keys[0] == *field) {
            return Err(format!("`{field}` can't be varied: {advice}"));
        }
        let values = &self.values;
        if let Some(twice) = values.iter().enumerate().find(|(at, v)| values[..*at].contains(v)) {
            return Err(format!("the value {} is there twice", twice.1));
        }
        if values.is_empty() || values.iter().any(String::is_empty) {
            return Err("a value is missing".to_owned());
        }
        Ok(())
    }
}

/// The parts between top-level commas, without the space around them.
fn split(text: &str) -> Vec<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
