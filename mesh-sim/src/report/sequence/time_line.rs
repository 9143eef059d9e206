//! The time line of a failure for the terminal.

use crate::format;
use crate::replay::{FailureStory, StoryLine, seconds_text};

/// The columns of a terminal that lines may fill.
pub(super) const COLUMNS: usize = 80;
/// The greatest width of the column that says where something happened.
const MAX_PLACE: usize = 26;
/// What stands before the line of the failure; the other lines have spaces there.
const MARK: &str = ">> ";

/// The failure, what the story is about, and the time line, with the failure as its last line.
pub(super) fn render(story: &FailureStory) -> String {
    let mut out = paragraph(" ", &story.failure);
    if let Some(about) = &story.about {
        out.push_str(&paragraph(" ", about));
    }
    out.push_str(&paragraph(" ", &left_out(story)));
    let decimals = story.decimals();
    let lines = story.lines();
    let end = StoryLine {
        at: story.failed_at,
        place: "FAILED".to_owned(),
        words: story.failure.clone(),
        is_fault: false,
    };
    let marked = || lines.iter().map(|line| ("   ", line)).chain([(MARK, &end)]);
    let times = marked().map(|(_, line)| seconds_text(line.at, decimals).len());
    let places = marked().map(|(_, line)| line.place.chars().count());
    let time = times.max().unwrap_or_default();
    let place = places.max().unwrap_or_default().min(MAX_PLACE);
    for (mark, line) in marked() {
        let (at, host) = (seconds_text(line.at, decimals), format::ellipsis(&line.place, place));
        out.push_str(&paragraph(&format!("{mark}{at:>time$}  {host:<place$}  "), &line.words));
    }
    out
}

/// How many events and faults are not in the time line, in a sentence; empty if all are.
pub(super) fn left_out(story: &FailureStory) -> String {
    let events = (story.left_out, "event");
    let faults = (story.faults_left_out, "earlier fault");
    let counts = [events, faults].into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, noun)| format::counted(count, noun)).collect();
    match &counts[..] {
        [] => String::new(),
        _ => format!("Left out: {}.", counts.join(", ")),
    }
}

/// `text` after `first`, broken between words, with the later lines below the start of the text.
/// Empty for an empty text.
pub(super) fn paragraph(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut out = String::new();
    for (number, line) in wrap(text, COLUMNS.saturating_sub(indent)).iter().enumerate() {
        match number {
            0 => out.push_str(first),
            _ => out.push_str(&" ".repeat(indent)),
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The words of a text in lines of at most `width` characters. A longer word is broken.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut left = 0;
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(width.max(1)) {
            match lines.last_mut() {
                Some(line) if part.len() < left => {
                    line.push(' ');
                    line.extend(part);
                    left -= part.len() + 1;
                }
                _ => {
                    lines.push(part.iter().collect());
                    left = width - part.len();
                }
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sequence::story_example::partition;

    #[test]
    fn the_time_line_tells_faults_and_ends_with_the_failure() {
        let text = render(&partition());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], " Request 812 shows it: it failed after 5.00 s (timed out).");
        assert_eq!(
            lines[2..5],
            [
                "   20.000 s  fault               partition, in effect since 20 s: agent-1 |",
                "                                 registry, agent-3",
                "   24.100 s  client -> agent-3   sends request 812; arrives after 2.00 ms",
            ]
        );
        let lost = "sends the job; LOST: the link is cut";
        assert_eq!(lines[5], format!("   24.102 s  agent-3 -> agent-1  {lost}"));
        assert!(
            lines.iter().rev().nth(1).is_some_and(|line| line.starts_with(">> 29.100 s  FAILED"))
        );
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let mut story = partition();
        story.failure = "long ".repeat(100) + &"x".repeat(200) + "\n\u{1b}[31m";
        story.events[1].words = "y".repeat(90);
        story.events[0].host = "a-very-long-name-of-an-agent-that-nobody-would-type".into();
        (story.left_out, story.faults_left_out) = (1_234, 1);
        let text = render(&story);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        assert!(text.contains("Left out: 1,234 events, 1 earlier fault."), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }

    #[test]
    fn words_are_broken_only_if_they_must_be() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh i", 4), ["abcd", "efgh", "i"]);
        assert_eq!(wrap("", 4), [""; 0]);
    }
}
