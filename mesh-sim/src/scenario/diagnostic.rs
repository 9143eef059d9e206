//! Problems in a scenario file, shown in the lines where they are.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// The most columns of a message. Longer lines of the file are cut around the problem.
const WIDTH: usize = 100;

/// The most problems that are shown.
const SHOWN: usize = 100;

/// One problem of a scenario file: what is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The byte range in the file; `None` if the problem concerns the file as a whole.
    pub span: Option<Range<usize>>,
    /// What is wrong, in one lowercase line.
    pub title: String,
    /// What to do about it, shown under the span; may be empty.
    pub label: String,
    /// Other places that belong to the problem, each with a remark.
    pub related: Vec<(Range<usize>, String)>,
    /// Further advice, shown below the lines of the file.
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

    /// A problem that concerns the file as a whole.
    pub(super) fn of_file(title: impl Into<String>) -> Self {
        Self { span: None, ..Self::at(0..0, title, "") }
    }

    /// Adds advice below the lines of the file.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds another place that belongs to the problem.
    #[must_use]
    pub(super) fn related(mut self, span: Range<usize>, remark: impl Into<String>) -> Self {
        self.related.push((span, remark.into()));
        self
    }
}

/// Every problem found in one scenario file, in the order of the file. `Display` shows them as
/// [`render`](Self::render) does without colour.
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

    /// A single problem, which concerns the file as a whole.
    pub(super) fn of_file(file: &str, title: impl Into<String>) -> Self {
        Self::new(file, Arc::from(""), vec![Problem::of_file(title)])
    }

    /// The problems; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The line and column of a byte of the file, both counted from 1. Columns count characters.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..floor_boundary(&self.text, byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The problems as a compiler shows them, with the lines of the file, ending in a newline.
    /// After the first 100 problems it says how many more there are.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.term_width(WIDTH);
        let shown = self.problems.iter().take(SHOWN);
        let mut messages: Vec<String> =
            shown.map(|problem| self.render_one(problem, &renderer)).collect();
        if let Some(more @ 1..) = self.problems.len().checked_sub(SHOWN) {
            messages.push(format!("and {more} more"));
        }
        // The renderer replaces the control characters of ASCII, but not these.
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

    /// Cuts a span to its first line. The whole body of a table would only distract.
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
