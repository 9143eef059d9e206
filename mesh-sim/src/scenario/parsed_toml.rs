//! A parsed TOML file that knows where each value stands in the text, and paths to values.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Problem;

/// The path from the top of a file to a value in it: `faults[2].groups[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldPath(Vec<PathSegment>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathSegment {
    Key(String),
    Index(usize),
}

impl FieldPath {
    /// The path to a field at the top of the file.
    pub(super) fn field(name: &str) -> Self {
        Self::default().key(name)
    }

    /// The path to a field of the table at this path.
    #[must_use]
    pub(super) fn key(&self, name: &str) -> Self {
        self.with(PathSegment::Key(name.to_owned()))
    }

    /// The path to an item of the array at this path.
    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(PathSegment::Index(index))
    }

    fn with(&self, segment: PathSegment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// The name of the field; for an item of an array, that of the array.
    pub(crate) fn name(&self) -> &str {
        let key = self.0.iter().rev().find_map(|segment| match segment {
            PathSegment::Key(key) => Some(key.as_str()),
            PathSegment::Index(_) => None,
        });
        key.unwrap_or_default()
    }

    /// The path as TOML keys with dots, items numbered from 0: `faults.2.groups.0`.
    pub(super) fn dotted(&self) -> String {
        let segment = |segment: &PathSegment| match segment {
            PathSegment::Key(key) => key.clone(),
            PathSegment::Index(index) => index.to_string(),
        };
        self.0.iter().map(segment).collect::<Vec<_>>().join(".")
    }

    /// The value in words, as the subject of a message: "`rate`", or "an item of `groups`".
    pub(super) fn subject(&self) -> String {
        match self.0.last() {
            Some(PathSegment::Index(_)) => format!("an item of `{}`", header(self.name())),
            _ => format!("`{}`", header(self.name())),
        }
    }

    /// Whether a field of this name is on the path.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|segment| matches!(segment, PathSegment::Key(key) if key == name))
    }

    /// Whether the path begins with these fields.
    pub(crate) fn starts_with(&self, keys: &[&str]) -> bool {
        keys.len() <= self.0.len()
            && keys
                .iter()
                .zip(&self.0)
                .all(|(key, segment)| matches!(segment, PathSegment::Key(found) if found == key))
    }

    /// Where the fields of the table at this path stand, in words: "in [registry]".
    pub(super) fn place(&self) -> String {
        let keys: Vec<String> = self.0.iter().filter_map(PathSegment::as_key).map(header).collect();
        let header = keys.join(".");
        match self.0.split_last() {
            None => "at the top level".to_owned(),
            Some((PathSegment::Index(_), rest)) if rest.len() == keys.len() => {
                format!("in [[{header}]]")
            }
            Some(_) if self.0.len() == keys.len() => format!("in [{header}]"),
            Some(_) => format!("in `{header}`"),
        }
    }
}

impl PathSegment {
    fn as_key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                PathSegment::Key(key) if position == 0 => f.write_str(key)?,
                PathSegment::Key(key) => write!(f, ".{key}")?,
                PathSegment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as it stands in a table header, quoted if it must be.
fn header(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { format!("{key:?}") }
}

/// A TOML file without syntax errors: its text, and its values with their spans in the text.
#[derive(Debug)]
pub(super) struct ParsedToml<'t> {
    pub(super) text: &'t str,
    pub(super) tree: DeTable<'t>,
}

impl<'t> ParsedToml<'t> {
    /// Parses `text`.
    ///
    /// # Errors
    /// Every syntax error as a problem, but only the first of each line.
    pub(super) fn parse(text: &'t str) -> Result<Self, Vec<Problem>> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, tree: tree.into_inner() });
        }
        let end = text.len();
        let spans = errors.iter().map(|error| (error.span().unwrap_or(end..end), error));
        let mut spans: Vec<_> = spans.collect();
        spans.sort_by_key(|(span, _)| span.start);
        // One mistake makes the parser report several errors, so only the first of a line is shown.
        spans.dedup_by(|(next, _), (first, _)| {
            !text.as_bytes()[first.start..next.start].contains(&b'\n')
        });
        Err(spans.into_iter().map(|(span, error)| syntax_problem(error, span)).collect())
    }

    /// The span of the value at `path`. If it is left out, the span of the innermost value on the
    /// path that is there.
    pub(super) fn span(&self, path: &FieldPath) -> Range<usize> {
        let Some((first, rest)) = path.0.split_first() else { return 0..0 };
        let Some(mut value) = first.as_key().and_then(|key| self.tree.get(key)) else {
            return 0..0;
        };
        for segment in rest {
            let next = match (segment, value.get_ref()) {
                (PathSegment::Key(key), DeValue::Table(table)) => table.get(key.as_str()),
                (PathSegment::Index(index), DeValue::Array(items)) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            value = next;
        }
        value.span()
    }

    /// Whether the file has a value for a field of the table at a path.
    pub(super) fn states(&self, table: &FieldPath, field: &str) -> bool {
        self.span(&table.key(field)) != self.span(table)
    }
}

fn syntax_problem(error: &toml::de::Error, span: Range<usize>) -> Problem {
    let message = error.message();
    if message.is_empty() {
        return Problem::at(span, "not valid TOML", "here");
    }
    // In a message of the parser, what it found comes before the first comma, what it expected
    // after it.
    match message.split_once(", ") {
        Some((title, "expected nothing")) => {
            Problem::at(span, format!("not valid TOML: {title}"), "")
        }
        Some((title, label)) => Problem::at(span, format!("not valid TOML: {title}"), label),
        None => Problem::at(span, format!("not valid TOML: {message}"), ""),
    }
}

/// A key of a table with its span.
pub(super) type SpannedKey<'t> = Spanned<toml::de::DeString<'t>>;
/// A value with its span.
pub(super) type SpannedValue<'t> = Spanned<DeValue<'t>>;
