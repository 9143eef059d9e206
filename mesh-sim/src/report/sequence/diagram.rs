//! The sequence diagram of a failure for the terminal.

use std::fmt::Write as _;

use mesh_core::Timestamp;

use super::rows::{RowKind, rows};
use super::time_line::{COLUMNS, paragraph};
use crate::format;
use crate::replay::{FailureStory, MessageFate, StoryMessage, seconds_text};

/// The most lifelines that fit side by side, with labels between them.
const MAX_HOSTS: usize = 5;
/// The greatest distance between two lifelines.
const MAX_GAP: usize = 22;

/// The diagram; a line that says where it is if its hosts don't fit, and nothing if there is only
/// one host.
pub(super) fn render(story: &FailureStory) -> String {
    match story.hosts.len() {
        0 | 1 => String::new(),
        count if count > MAX_HOSTS => {
            format!("\n {count} hosts take part: too many for a diagram here. The page has it.\n")
        }
        _ => Diagram::new(story).render(),
    }
}

struct Diagram<'a> {
    story: &'a FailureStory,
    decimals: usize,
    /// The width of the column of times.
    time_width: usize,
    gap: usize,
    out: String,
}

/// One line of the diagram: the characters to the right of the times.
type Canvas = Vec<char>;

impl<'a> Diagram<'a> {
    fn new(story: &'a FailureStory) -> Self {
        let decimals = story.decimals();
        let time_width = seconds_text(story.failed_at, decimals).len();
        let room = COLUMNS - 3 - time_width - 2;
        let gap = (room / story.hosts.len()).min(MAX_GAP);
        Self { story, decimals, time_width, gap, out: String::new() }
    }

    fn render(mut self) -> String {
        self.out.push('\n');
        self.header();
        let mut last = None;
        for (at, kind) in rows(self.story) {
            let lines = match kind {
                RowKind::Events => self.events(at),
                RowKind::FaultBegins(index) => vec![self.fault(at, index, "begins")],
                RowKind::FaultEnds(index) => vec![self.fault(at, index, "ends")],
                RowKind::Failure => vec![self.failure(at)],
            };
            for line in lines {
                let mark = if kind == RowKind::Failure { ">> " } else { "   " };
                // A time that stands in the line above is not said again.
                let time = match last == Some(at) && kind == RowKind::Events {
                    true => String::new(),
                    false => seconds_text(at, self.decimals),
                };
                last = Some(at);
                let line: String = line.into_iter().collect();
                let width = self.time_width;
                let _ = writeln!(self.out, "{mark}{time:>width$}  {}", line.trim_end());
            }
        }
        let key = "An arrow stands at the time of sending. --x is lost, --? is not there yet; a \
                   lifeline with colons is under a fault.";
        self.out.push_str(&paragraph(" ", key));
        self.out
    }

    fn header(&mut self) {
        let indent = " ".repeat(3 + self.time_width + 2);
        let names = self.story.hosts.iter().map(|name| {
            let width = self.gap - 1;
            format!("{:<width$} ", format::ellipsis(name, width))
        });
        let names: String = names.collect();
        let _ = writeln!(self.out, "{indent}{}", names.trim_end());
    }

    /// The lines of what happens at a time: a line for each note and each message.
    fn events(&self, at: Timestamp) -> Vec<Canvas> {
        let mut lines = Vec::new();
        for event in &self.story.events {
            let Some(from) = self.column(&event.host) else { continue };
            if event.at == at && !event.note.is_empty() {
                let mut line = self.lifelines(at);
                // A note may reach across other lifelines, but not beyond the edge.
                put(&mut line, from, &format!("* {} ", event.note));
                lines.push(line);
            }
            if let Some(message) = event.message.as_ref().filter(|message| message.sent == at)
                && let Some(to) = self.column(&message.to)
            {
                lines.push(self.arrow(at, from, to, message));
            }
        }
        lines
    }

    /// An arrow from one column to another, with its label in the middle.
    fn arrow(&self, at: Timestamp, from: usize, to: usize, message: &StoryMessage) -> Canvas {
        let mut line = self.lifelines(at);
        let (end, is_whole) = match message.fate {
            MessageFate::Lost(_) => ('x', false),
            MessageFate::UnderWay => ('?', false),
            MessageFate::TooLate | MessageFate::Arrived(_) | MessageFate::ArrivedSometime => {
                (if to > from { '>' } else { '<' }, true)
            }
        };
        let (low, high) = (from.min(to) + 1, from.max(to) - 1);
        // An arrow that ends on its way leaves a gap before the receiver.
        let short = if is_whole { 0 } else { 3.min(high - low) };
        let (low, high) = if to > from { (low, high - short) } else { (low + short, high) };
        line[low..=high].fill('-');
        line[if to > from { high } else { low }] = end;
        let room = (high - low).saturating_sub(2);
        let label = format::ellipsis(&message.label, room);
        let start = low + 1 + (room - label.chars().count()) / 2;
        put(&mut line, start, &label);
        line
    }

    fn fault(&self, at: Timestamp, index: usize, verb: &str) -> Canvas {
        let fault = &self.story.faults[index];
        let mut line = self.lifelines(at);
        let text = format!("== {} {verb}: {} ", fault.label, fault.detail);
        let text = format::ellipsis(&text, line.len() - 2);
        let end = text.chars().count();
        put(&mut line, 0, &text);
        line[end..].fill('=');
        line
    }

    fn failure(&self, at: Timestamp) -> Canvas {
        let mut line = self.lifelines(at);
        let host = self.story.failed_host.as_ref().and_then(|host| self.column(host));
        put(&mut line, host.unwrap_or_default(), "### FAILED");
        line
    }

    /// The lifelines alone, as they are just after a time.
    fn lifelines(&self, at: Timestamp) -> Canvas {
        let mut line = vec![' '; COLUMNS - 3 - self.time_width - 2];
        for (index, host) in self.story.hosts.iter().enumerate() {
            let mut active = self.story.faults.iter().filter(|f| f.from <= at && at < f.until);
            let is_hit = active.any(|fault| fault.side_of(host).is_some());
            line[index * self.gap] = if is_hit { ':' } else { '|' };
        }
        line
    }

    fn column(&self, host: &str) -> Option<usize> {
        let index = self.story.hosts.iter().position(|name| **name == *host)?;
        Some(index * self.gap)
    }
}

/// Writes a text over a line. What is beyond the end of the line is cut off.
fn put(line: &mut Canvas, start: usize, text: &str) {
    let room = line.len().saturating_sub(start);
    let text = format::ellipsis(text, room);
    let safe = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    for (place, c) in line[start..].iter_mut().zip(safe) {
        *place = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sequence::story_example::partition;

    #[test]
    fn arrows_show_what_became_of_messages() {
        let text = render(&partition());
        let expected = [
            "             client          agent-3         agent-1         agent-2",
            "   20.000 s  == partition begins: agent-1 | registry, agent-3 ==================",
            "   24.100 s  |-request 812-->:               :               |",
            "   24.102 s  |               :----job----x   :               |",
            "   24.302 s  |               * no answer     :               |",
            "             |               :--------job, attempt 2-------->|",
            "   24.304 s  |               :               :               * starts",
            "   25.000 s  == process crash begins: agent-2 ==================================",
            "             |               :               :               * crashes",
            "   28.000 s  == process crash ends: agent-2 ====================================",
            "   29.100 s  * gives up      :               :               |",
            ">> 29.100 s  ### FAILED      :               :               |",
        ];
        let lines: Vec<&str> = text.lines().skip(1).take(expected.len()).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_diagram_fits_a_terminal_or_says_that_it_does_not() {
        let mut story = partition();
        story.hosts.push("registry".into());
        story.events[2].note = "x".repeat(99);
        let text = render(&story);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        story.hosts.push("agent-4".into());
        assert!(render(&story).contains("6 hosts take part: too many"), "{}", render(&story));
        story.hosts.truncate(1);
        assert_eq!(render(&story), "");
    }
}
