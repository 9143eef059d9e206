//! Problems in a scenario file, shown where they are.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Columns that a message may take; longer source lines are cut around the problem.
const WIDTH: usize = 100;

/// Most problems that are shown; a file with more is not a scenario.
const SHOWN: usize = 100;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Byte range in the file; `None` if the problem is the file itself.
    pub span: Option<Range<usize>>,
    /// What is wrong, in one lowercase line.
    pub title: String,
    /// What to do about it, shown under the span.
    pub label: String,
    /// Other places that the problem is about, each with a remark.
    pub related: Vec<(Range<usize>, String)>,
    /// What else helps, below the snippet.
    pub notes: Vec<String>,
}

impl Problem {
    /// A problem at `span`.
    pub(crate) fn at(
        span: Range<usize>,
        title: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            span: Some(span),
            title: title.into(),
            label: label.into(),
            related: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A problem of the whole file.
    pub(super) fn of_file(title: impl Into<String>) -> Self {
        Self { span: None, ..Self::at(0..0, title, "") }
    }

    /// Adds a line below the snippet.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Points at another place too.
    #[must_use]
    pub(super) fn related(mut self, span: Range<usize>, remark: impl Into<String>) -> Self {
        self.related.push((span, remark.into()));
        self
    }
}

/// Every problem found in one scenario file, in file order. `Display` renders without colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    text: Arc<str>,
    problems: Vec<Problem>,
}

impl Diagnostics {
    /// Problems at places in `text`.
    pub(super) fn new(file: &str, text: Arc<str>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        Self { file: file.to_owned(), text, problems }
    }

    /// One problem of the file as a whole.
    pub(super) fn of_file(file: &str, title: impl Into<String>) -> Self {
        Self::new(file, Arc::from(""), vec![Problem::of_file(title)])
    }

    /// The problems; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Line and column of a byte of the file, both from 1; columns count characters.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..floor_boundary(&self.text, byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The messages as a compiler shows them, one after the other, ending in a newline. After
    /// the first 100 it says how many more there are.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.term_width(WIDTH);
        let shown = self.problems.iter().take(SHOWN);
        let mut messages: Vec<String> =
            shown.map(|problem| self.render_one(problem, &renderer)).collect();
        if let Some(more @ 1..) = self.problems.len().checked_sub(SHOWN) {
            messages.push(format!("and {more} more"));
        }
        // The renderer replaces the older control characters of the source, but not these.
        let is_control = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
        messages.join("\n\n").replace(is_control, "\u{fffd}") + "\n"
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(&*problem.title);
        let Some(span) = &problem.span else {
            let origin = annotate_snippets::Origin::path(&*self.file);
            return renderer.render(&[title.element(origin)]);
        };
        let primary = AnnotationKind::Primary.span(self.one_line(span)).label(&*problem.label);
        let related = problem.related.iter().map(|(span, remark)| {
            AnnotationKind::Context.span(self.one_line(span)).label(&**remark)
        });
        let snippet =
            Snippet::source(&*self.text).path(&*self.file).annotation(primary).annotations(related);
        let notes = problem.notes.iter().map(|note| Level::NOTE.message(&**note));
        let group: Group<'_> = title.element(snippet).elements(notes);
        renderer.render(&[group])
    }

    /// Cuts a span to its first line: a table's whole body is noise.
    fn one_line(&self, span: &Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.text, span.start);
        let end = floor_boundary(&self.text, span.end).max(start);
        let line = self.text[start..end].find(['\r', '\n']).unwrap_or(end - start);
        start..start + line
    }
}

/// The last character boundary at or before `byte`.
fn floor_boundary(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
