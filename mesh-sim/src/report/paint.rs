//! Makes what matters stand out in the text for a terminal: headings, the best figures, verdicts
//! and the answer.
//!
//! The tables are laid out as plain text, so that a file and a terminal get the same; this only
//! adds colours. It knows the text by its form: a row of headings begins with `policy`, the best
//! figures have a `*`, verdicts stand at the end of a line, and the answer is the sentence that
//! names a winner.

use std::fmt::Write as _;

use crate::judge::Verdict;

const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How an answer begins, after the name of a policy if it begins with a blank.
const ANSWERS: [&str; 4] = [" wins", " is ahead", "No clear winner", "Take "];
/// Words at the end of a line that say how a policy was judged.
const VERDICTS: [(Verdict, &str); 3] =
    [(Verdict::Pass, GREEN), (Verdict::Missed, RED), (Verdict::Violated, RED)];

/// The text with escape sequences for a terminal.
pub fn painted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        out.push_str(&painted_line(line));
        out.push_str(end);
    }
    out
}

fn painted_line(line: &str) -> String {
    let words = line.trim_start();
    if words.starts_with("policy  ") {
        return format!("{BOLD}{line}{PLAIN}");
    }
    if let Some(end) = answer_end(line) {
        return format!("{BOLD}{}{PLAIN}{}", &line[..end], &line[end..]);
    }
    let verdict = VERDICTS.iter().find_map(|(verdict, colour)| {
        let word = verdict.word();
        Some((line.strip_suffix(word).filter(|rest| rest.ends_with("  "))?, word, colour))
    });
    match verdict {
        Some((rest, word, colour)) => format!("{}{colour}{word}{PLAIN}", with_best(rest)),
        None => with_best(line),
    }
}

/// Where an answer's most important words end; `None` if the line begins no answer.
fn answer_end(line: &str) -> Option<usize> {
    let stands_first = |words: &&str| {
        let at = line.find(words)?;
        // One word before, the policy's label, and nothing else.
        let label = line[..at].trim();
        let is_answer = match words.starts_with(' ') {
            true => !label.is_empty() && !label.contains(' '),
            false => label.is_empty(),
        };
        is_answer.then_some(at)
    };
    let at = ANSWERS.iter().find_map(stands_first)?;
    let rest = &line[at..];
    Some(at + rest.find([':', '.', ';']).unwrap_or(rest.len()))
}

/// The line with the figures in bold that have a `*`. A figure may have a unit: `1.08 s*`.
fn with_best(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(star) = rest.find('*') {
        let is_figure = rest[..star].ends_with(|c: char| c.is_alphanumeric());
        // Columns are two blanks apart, or one after the room for a mark.
        let number = rest[..star].rfind(|c: char| c.is_ascii_digit());
        let begin = number.map(|digit| rest[..digit].rfind(' ').map_or(0, |blank| blank + 1));
        match begin.filter(|_| is_figure) {
            Some(begin) => {
                let _ = write!(out, "{}{BOLD}{}{PLAIN}", &rest[..begin], &rest[begin..=star]);
            }
            None => out.push_str(&rest[..=star]),
        }
        rest = &rest[star + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_best_figures_verdicts_and_answers_stand_out() {
        let text = " policy   sent   ok %     p50  verdict
 quick   6,248  99.83* 111 ms*  pass
 slow    6,248  98.46  172 ms  missed
 quick wins: p99 9 ms, 4 % below slow [1, 2].
 written to *.hgrm
";
        let expected = "\
\x1b[1m policy   sent   ok %     p50  verdict\x1b[0m
 quick   6,248  \x1b[1m99.83*\x1b[0m \x1b[1m111 ms*\x1b[0m  \x1b[32mpass\x1b[0m
 slow    6,248  98.46  172 ms  \x1b[31mmissed\x1b[0m
\x1b[1m quick wins\x1b[0m: p99 9 ms, 4 % below slow [1, 2].
 written to *.hgrm
";
        assert_eq!(painted(text), expected);
    }

    #[test]
    fn painting_adds_nothing_but_colours() {
        for text in ["", "a", "\u{b5} *\n* 3 s*", " No clear winner between a and b.\n", "Take x"] {
            let mut plain = painted(text);
            for code in [BOLD, GREEN, RED, PLAIN] {
                plain = plain.replace(code, "");
            }
            assert_eq!(plain, text);
        }
        assert!(painted(" Take pull; it wins.").starts_with("\x1b[1m Take pull\x1b[0m;"));
        assert!(!painted("the one that wins: none").contains('\x1b'));
    }
}
