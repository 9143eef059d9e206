//! The structure of a file: checks it against the schema and collects everything that is wrong.

use std::ops::Range;
use std::time::Duration;

use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::diagnostic::Problem;
use super::parsed_toml::{FieldPath, ParsedToml, SpannedKey, SpannedValue};
use super::shape::{FieldShape, LowerBound, Shape, TableShape, quoted};
use super::text::{TextRule, did_you_mean};
use crate::units;

/// The longest label under a line of the file. Longer advice becomes a note below.
const LABEL: usize = 80;
/// The longest piece of the file that a title repeats, in characters.
const EXCERPT: usize = 40;

/// A field of the file that holds a well-formed duration.
#[derive(Clone, Debug)]
pub(crate) struct DurationField {
    pub(crate) path: FieldPath,
    pub(crate) span: Range<usize>,
    pub(crate) value: Duration,
}

/// What the check of a file's structure found.
#[derive(Debug, Default)]
pub(super) struct StructureFindings {
    pub(super) problems: Vec<Problem>,
    /// Every well-formed duration, so that a limit on durations needs no list of the fields that
    /// hold one.
    pub(super) durations: Vec<DurationField>,
}

/// Checks the structure of a whole file.
pub(super) fn check_structure(source: &ParsedToml<'_>, shape: &Shape) -> StructureFindings {
    let mut checker =
        StructureChecker { text: source.text, findings: StructureFindings::default() };
    match shape {
        Shape::Table(table) => {
            checker.table(&source.tree, &(0..0), &FieldPath::default(), table, None);
        }
        _ => checker.push(Problem::at(0..0, "a scenario is a table", "")),
    }
    checker.findings
}

/// The variant of a tagged table that its tag chooses.
struct Variant<'a> {
    tag: &'a str,
    name: &'a str,
    /// All variants, to say which of them have a field that this one has not.
    variants: &'a [(String, TableShape)],
}

impl Variant<'_> {
    /// The end of a message's title: " with kind = \"crash\"".
    fn with(&self) -> String {
        format!(" with {} = {:?}", self.tag, self.name)
    }

    /// Says which variants have a field; `None` if none has.
    fn owners_of(&self, field: &str) -> Option<String> {
        let owners = self.variants.iter().filter(|(_, fields)| fields.field(field).is_some());
        let owners: Vec<&str> = owners.map(|(name, _)| name.as_str()).collect();
        (!owners.is_empty())
            .then(|| format!("`{field}` goes with {} = {}", self.tag, quoted(&owners)))
    }
}

/// Goes through a file's values together with the shapes that they must have.
struct StructureChecker<'a> {
    text: &'a str,
    findings: StructureFindings,
}

impl StructureChecker<'_> {
    fn push(&mut self, problem: Problem) {
        self.findings.problems.push(problem);
    }

    /// Checks a value against its shape, and what is in the value against the shapes within.
    fn value(&mut self, value: &SpannedValue<'_>, path: &FieldPath, shape: &Shape) {
        match (shape, value.get_ref()) {
            (Shape::Table(fields), DeValue::Table(table)) => {
                self.table(table, &value.span(), path, fields, None);
            }
            (Shape::Tagged { tag, variants, untagged }, DeValue::Table(table)) => {
                let span = value.span();
                match nearest(table, tag, untagged) {
                    Some(fields) => self.untagged(table, &span, path, fields, shape),
                    None => self.tagged(table, &span, path, tag, variants),
                }
            }
            (Shape::Map(shape), DeValue::Table(table)) => {
                for (key, value) in table {
                    self.value(value, &path.key(key.get_ref()), shape);
                }
            }
            (Shape::Array { items, min, max, unique }, DeValue::Array(array)) => {
                self.length(array.len() as u64, value.span(), path, (*min, *max));
                for (position, item) in array.iter().enumerate() {
                    self.value(item, &path.index(position), items);
                }
                if *unique {
                    self.unique(array, path);
                }
            }
            (Shape::Text(rule), DeValue::String(text)) => self.text(text, value, path, rule),
            (Shape::Words(words), DeValue::String(text)) => self.word(text, value, path, words),
            (Shape::Integer { min, max }, DeValue::Integer(integer)) => {
                let fits = whole(integer).is_some_and(|n| (*min..=*max).contains(&n));
                self.range(fits, value, path, shape);
            }
            (Shape::Number { min, max }, DeValue::Integer(integer)) => {
                let number = whole(integer).map(|integer| integer as f64);
                self.range(number.is_some_and(|n| within(n, *min, *max)), value, path, shape);
            }
            (Shape::Number { min, max }, DeValue::Float(float)) => {
                self.range(float_fits(float, *min, *max), value, path, shape);
            }
            (Shape::Boolean, DeValue::Boolean(_)) => {}
            (Shape::Either(shapes), found) => {
                match shapes.iter().find(|shape| takes(shape, found)) {
                    Some(shape) => self.value(value, path, shape),
                    None => self.wrong_type(value, path, shape),
                }
            }
            _ => self.wrong_type(value, path, shape),
        }
    }

    /// Checks the fields of a table. `variant` is given for a tagged table.
    fn table(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        path: &FieldPath,
        fields: &TableShape,
        variant: Option<&Variant<'_>>,
    ) {
        for (key, value) in table {
            match fields.field(key.get_ref()) {
                Some(field) => self.value(value, &path.key(&field.name), &field.shape),
                None => self.unknown_field(key, path, &fields.names(), variant),
            }
        }
        let missing =
            |field: &&FieldShape| field.required && !table.contains_key(field.name.as_str());
        let with = variant.map(Variant::with).unwrap_or_default();
        for field in fields.fields.iter().filter(missing) {
            let name = &field.name;
            let title = format!("missing field `{name}` {}{with}", path.place());
            let problem = Problem::at(span.clone(), title, format!("`{name}` belongs here"));
            let meaning = format!("{name}: {}", field.description);
            self.push(problem.note(meaning).note(format!("allowed: {}", field.shape.describe())));
        }
    }

    fn tagged(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        path: &FieldPath,
        tag: &str,
        variants: &[(String, TableShape)],
    ) {
        let words: Vec<String> = variants.iter().map(|(name, _)| name.clone()).collect();
        let Some(value) = table.get(tag) else {
            let title = format!("missing field `{tag}` {}", path.place());
            self.push(
                Problem::at(span.clone(), title, format!("`{tag}` belongs here"))
                    .note(format!("allowed: {}", Shape::Words(words).describe())),
            );
            return;
        };
        let DeValue::String(found) = value.get_ref() else {
            self.wrong_type(value, &path.key(tag), &Shape::Words(words));
            return;
        };
        match variants.iter().find(|(name, _)| name == found) {
            Some((name, fields)) => {
                self.table(table, span, path, fields, Some(&Variant { tag, name, variants }));
            }
            None => self.word(found, value, &path.key(tag), &words),
        }
    }

    /// Checks a table that has no tag. If it is wrong, a note says what else it could be.
    fn untagged(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        path: &FieldPath,
        fields: &TableShape,
        shape: &Shape,
    ) {
        let before = self.findings.problems.len();
        self.table(table, span, path, fields, None);
        if let Some(problem) = self.findings.problems.get_mut(before) {
            problem.notes.push(format!("expected {}", shape.describe()));
        }
    }

    fn unknown_field(
        &mut self,
        key: &SpannedKey<'_>,
        path: &FieldPath,
        names: &[&str],
        variant: Option<&Variant<'_>>,
    ) {
        let name = key.get_ref();
        let with = variant.map(Variant::with).unwrap_or_default();
        let title = format!(
            "unknown field `{}` {}{with}",
            excerpt(&name.escape_debug().to_string()),
            path.place()
        );
        let hint = did_you_mean(name, names.iter().copied(), '`');
        let fields = format!("fields here: {}", names.join(", "));
        let problem = labelled(key.span(), title, &hint, &fields);
        let owners = variant.and_then(|variant| variant.owners_of(name));
        self.push(owners.into_iter().fold(problem, Problem::note));
    }

    fn wrong_type(&mut self, value: &SpannedValue<'_>, path: &FieldPath, shape: &Shape) {
        let found = type_name(value.get_ref());
        let title = format!("{} can't be {found}", path.subject());
        self.push(labelled(value.span(), title, "", &format!("expected {}", shape.describe())));
    }

    fn range(&mut self, fits: bool, value: &SpannedValue<'_>, path: &FieldPath, shape: &Shape) {
        if !fits {
            let found = excerpt(self.text.get(value.span()).unwrap_or_default());
            let title = format!("{found} is out of range for {}", path.subject());
            self.push(labelled(value.span(), title, "", &format!("expected {}", shape.describe())));
        }
    }

    fn word(&mut self, found: &str, value: &SpannedValue<'_>, path: &FieldPath, words: &[String]) {
        if words.iter().any(|word| word == found) {
            return;
        }
        let title = format!("unknown value {:?} for {}", excerpt(found), path.subject());
        let hint = did_you_mean(found, words.iter().map(String::as_str), '"');
        self.push(labelled(value.span(), title, &hint, &format!("allowed: {}", quoted(words))));
    }

    fn text(&mut self, found: &str, value: &SpannedValue<'_>, path: &FieldPath, rule: &TextRule) {
        if let Err(reason) = (rule.check)(found) {
            let title = format!("{:?} is not valid for {}", excerpt(found), path.subject());
            let problem = Problem::at(value.span(), title, reason);
            self.push(problem.note(format!("expected {}", rule.what)));
        } else if rule.pattern == units::DURATION_PATTERN {
            let parsed = units::parse_duration(found);
            self.findings.durations.extend(parsed.ok().map(|duration| DurationField {
                path: path.clone(),
                span: value.span(),
                value: duration,
            }));
        }
    }

    /// Checks the length of an array.
    fn length(&mut self, len: u64, span: Range<usize>, path: &FieldPath, (min, max): (u64, u64)) {
        if (min..=max).contains(&len) {
            return;
        }
        let title = format!("`{}` can't have {len} {}", path.name(), plural(len));
        let label = match (min, max) {
            (min, max) if min == max => format!("expected {min}"),
            (min, _) if len < min => format!("expected at least {min}"),
            (_, max) => format!("expected at most {max}"),
        };
        self.push(Problem::at(span, title, label));
    }

    /// Checks that no number stands twice in an array.
    fn unique(&mut self, array: &toml::de::DeArray<'_>, path: &FieldPath) {
        let mut seen = std::collections::BTreeMap::new();
        for item in array {
            let text = match item.get_ref() {
                DeValue::Integer(integer) => whole(integer).map(|number| number.to_string()),
                DeValue::String(word) => Some(word.to_string()),
                _ => None,
            };
            let Some(text) = text else { continue };
            if let Some(first) = seen.insert(text.clone(), item.span()) {
                let title = format!("{text} is listed twice in `{}`", path.name());
                let problem = Problem::at(item.span(), title, "each may be listed only once");
                self.push(problem.related(first, "first here"));
            }
        }
    }
}

/// The table without a tag that has most of the fields of `table`; `None` if the tag is there or
/// every table must have it.
fn nearest<'s>(
    table: &DeTable<'_>,
    tag: &str,
    untagged: &'s [TableShape],
) -> Option<&'s TableShape> {
    let shared = |fields: &&TableShape| {
        table.keys().filter(|key| fields.field(key.get_ref()).is_some()).count()
    };
    // Of several, `max_by_key` takes the last, but the first is the most usual one.
    let nearest = untagged.iter().rev().max_by_key(shared);
    nearest.filter(|_| !table.contains_key(tag))
}

/// A problem with advice: a hint and a list, both under the line of the file if they are short;
/// otherwise the list becomes a note.
fn labelled(span: Range<usize>, title: String, hint: &str, list: &str) -> Problem {
    if hint.len() + list.len() <= LABEL {
        return Problem::at(span, title, format!("{hint}{list}"));
    }
    Problem::at(span, title, hint.trim_end()).note(list)
}

/// Whether a value has the TOML type of a shape.
fn takes(shape: &Shape, found: &DeValue<'_>) -> bool {
    let found = match found {
        DeValue::Integer(_) | DeValue::Float(_) => "number",
        other => other.type_str(),
    };
    shape.toml_type() == found
}

/// The number that an integer of the file stands for, whatever its radix; `None` if it is too
/// large.
fn whole(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn float_fits(float: &DeFloat<'_>, min: LowerBound, max: f64) -> bool {
    float.as_str().parse().is_ok_and(|number: f64| number.is_finite() && within(number, min, max))
}

fn within(number: f64, min: LowerBound, max: f64) -> bool {
    let above = match min {
        LowerBound::From(min) => number >= min,
        LowerBound::Above(min) => number > min,
    };
    above && number <= max
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number without quotes",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "item" } else { "items" }
}

/// The beginning of a text, short enough for a title.
fn excerpt(text: &str) -> String {
    if text.chars().count() <= EXCERPT {
        return text.to_owned();
    }
    text.chars().take(EXCERPT).chain(['.', '.', '.']).collect()
}
