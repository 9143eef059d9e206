//! The frame of a page: what it says first, and its sections.

use std::fmt::Write as _;

use super::escape;

/// The style sheet, which every page has in itself.
pub(crate) const STYLE: &str = include_str!("style.css");

/// A page while it is made: a title, the answer, and sections in the order in which they are added.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    title: String,
    lead: String,
    answer: Option<String>,
    sections: Vec<(String, String)>,
}

impl Document {
    /// A page with this title, and a line below it that says what it is about.
    pub(crate) fn new(title: &str, lead: &str) -> Self {
        let (title, lead) = (title.to_owned(), lead.to_owned());
        Self { title, lead, answer: None, sections: Vec::new() }
    }

    /// The sentence that a reader wants to know first; `None` if there is none.
    pub(crate) fn answer(&mut self, answer: Option<String>) {
        self.answer = answer;
    }

    /// Adds a section: its title, a note on how to read it (as text), and its content (as HTML).
    pub(crate) fn section(&mut self, title: &str, text: &str, content: &str) {
        self.sections.push((title.to_owned(), format!("{}{content}", note(text))));
    }

    /// The page.
    pub(crate) fn render(&self) -> String {
        let (title, lead) = (escape(&self.title), escape(&self.lead));
        let answer = self.answer.as_deref().map(escape);
        let answer = answer.map(|answer| format!("<p class=\"answer\">{answer}</p>\n"));
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} - Agentic Mesh</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n{}<p class=\"lead\">{lead}</p>\n{}</header>\n",
            answer.unwrap_or_default(),
            self.contents()
        );
        for (number, (title, content)) in self.sections.iter().enumerate() {
            let _ = write!(
                out,
                "<section id=\"part-{number}\">\n<h2>{}</h2>\n{content}</section>\n",
                escape(title)
            );
        }
        out + "</body>\n</html>\n"
    }

    /// Links to the sections.
    fn contents(&self) -> String {
        let links = self.sections.iter().enumerate();
        let links: Vec<String> = links
            .map(|(number, (title, _))| format!("<a href=\"#part-{number}\">{}</a>", escape(title)))
            .collect();
        if links.len() < 4 { String::new() } else { format!("<nav>{}</nav>\n", links.join(" ")) }
    }
}

/// A paragraph that says how to read what follows; nothing if the text is empty.
pub(crate) fn note(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("<p class=\"soft\">{}</p>\n", escape(text)),
    }
}

/// A list of terms with what is to be said of each. Neighbours with the same term have it once.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let mut out = "<dl>\n".to_owned();
    let mut last = "";
    for (term, fact) in facts {
        let shown = if *term == last { "" } else { term };
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(shown), escape(fact));
        last = term;
    }
    out + "</dl>\n"
}

/// A content that shows when a reader asks for it.
pub(crate) fn folded(summary: &str, content: &str) -> String {
    format!("<details><summary>{}</summary>\n{content}</details>\n", escape(summary))
}

/// A table that may be wider than the screen, and then scrolls on its own.
pub(crate) fn scroll(table: &str) -> String {
    format!("<div class=\"scroll\" tabindex=\"0\">{table}</div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_stands_before_everything_else() {
        let mut page = Document::new("a & b", "two things");
        page.answer(Some("a wins".to_owned()));
        for title in ["Verdict", "Why", "More", "<Rest>"] {
            page.section(title, "how to read", "<p>content</p>");
        }
        let html = page.render();
        let place = |part: &str| html.find(part).unwrap_or_else(|| panic!("no {part}"));
        assert!(place("a &amp; b</h1>") < place("a wins") && place("a wins") < place("two things"));
        assert!(place("<a href=\"#part-3\">&lt;Rest&gt;</a>") < place("id=\"part-3\""));
        assert!(html.ends_with("</html>\n"));
    }

    #[test]
    fn a_term_that_repeats_is_said_once() {
        let list = facts(&[("site", "a".to_owned()), ("site", "b".to_owned())]);
        assert_eq!(list.matches("<dt>site</dt>").count(), 1);
        assert!(list.contains("<dt></dt><dd>b</dd>"));
    }
}
