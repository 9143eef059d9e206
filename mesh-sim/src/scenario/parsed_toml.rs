//! A parsed file that remembers where everything stands, and paths into it.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Problem;

/// The way from the top of a file to a value in it: `faults[2].groups[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// A field at the top of the file.
    pub(super) fn field(name: &str) -> Self {
        Self::default().key(name)
    }

    /// A field of the table that this leads to.
    #[must_use]
    pub(super) fn key(&self, name: &str) -> Self {
        self.with(Segment::Key(name.to_owned()))
    }

    /// An item of the array that this leads to.
    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// The field's own name, or that of the array it is an item of.
    pub(crate) fn name(&self) -> &str {
        let key = self.0.iter().rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        });
        key.unwrap_or_default()
    }

    /// As a path of TOML keys, items numbered from 0: `faults.2.groups.0`.
    pub(super) fn dotted(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Key(key) => key.clone(),
            Segment::Index(index) => index.to_string(),
        };
        self.0.iter().map(segment).collect::<Vec<_>>().join(".")
    }

    /// The value in words: a field, or an item of one.
    pub(super) fn subject(&self) -> String {
        match self.0.last() {
            Some(Segment::Index(_)) => format!("an item of `{}`", header(self.name())),
            _ => format!("`{}`", header(self.name())),
        }
    }

    /// Whether the way leads through these fields first.
    pub(crate) fn starts_with(&self, keys: &[&str]) -> bool {
        keys.len() <= self.0.len()
            && keys
                .iter()
                .zip(&self.0)
                .all(|(key, segment)| matches!(segment, Segment::Key(found) if found == key))
    }

    /// Where a field of the table that this leads to stands, in words.
    pub(super) fn place(&self) -> String {
        let keys: Vec<String> = self.0.iter().filter_map(Segment::as_key).map(header).collect();
        let header = keys.join(".");
        match self.0.split_last() {
            None => "at the top level".to_owned(),
            Some((Segment::Index(_), rest)) if rest.len() == keys.len() => {
                format!("in [[{header}]]")
            }
            Some(_) if self.0.len() == keys.len() => format!("in [{header}]"),
            Some(_) => format!("in `{header}`"),
        }
    }
}

impl Segment {
    fn as_key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as a table header writes it.
fn header(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { format!("{key:?}") }
}

/// A TOML file without syntax errors.
#[derive(Debug)]
pub(super) struct Source<'t> {
    pub(super) text: &'t str,
    pub(super) tree: DeTable<'t>,
}

impl<'t> Source<'t> {
    /// Parses `text`; every syntax error is a problem.
    pub(super) fn parse(text: &'t str) -> Result<Self, Vec<Problem>> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, tree: tree.into_inner() });
        }
        let end = text.len();
        let spans = errors.iter().map(|error| (error.span().unwrap_or(end..end), error));
        let mut spans: Vec<_> = spans.collect();
        spans.sort_by_key(|(span, _)| span.start);
        // One slip makes the parser stumble again and again, so each line reports its first.
        spans.dedup_by(|(next, _), (first, _)| {
            !text.as_bytes()[first.start..next.start].contains(&b'\n')
        });
        Err(spans.into_iter().map(|(span, error)| syntax_problem(error, span)).collect())
    }

    /// Where the value at `path` stands; of a value left out, where its nearest owner stands.
    pub(super) fn span(&self, path: &Path) -> Range<usize> {
        let Some((first, rest)) = path.0.split_first() else { return 0..0 };
        let Some(mut value) = first.as_key().and_then(|key| self.tree.get(key)) else {
            return 0..0;
        };
        for segment in rest {
            let next = match (segment, value.get_ref()) {
                (Segment::Key(key), DeValue::Table(table)) => table.get(key.as_str()),
                (Segment::Index(index), DeValue::Array(items)) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            value = next;
        }
        value.span()
    }

    /// Whether the file states a value at `path`.
    pub(super) fn states(&self, table: &Path, field: &str) -> bool {
        self.span(&table.key(field)) != self.span(table)
    }
}

fn syntax_problem(error: &toml::de::Error, span: Range<usize>) -> Problem {
    let message = error.message();
    if message.is_empty() {
        return Problem::at(span, "not valid TOML", "here");
    }
    // The parser names what it met first and what it wanted after the first comma.
    match message.split_once(", ") {
        Some((title, "expected nothing")) => {
            Problem::at(span, format!("not valid TOML: {title}"), "")
        }
        Some((title, label)) => Problem::at(span, format!("not valid TOML: {title}"), label),
        None => Problem::at(span, format!("not valid TOML: {message}"), ""),
    }
}

/// A key of a table with its span.
pub(super) type Key<'t> = Spanned<toml::de::DeString<'t>>;
/// A value with its span.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;
