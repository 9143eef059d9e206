//! Any text is read as a scenario or refused with messages, and never causes a panic.

use mesh_sim::scenario::{EngineKind, Scenario, ScenarioFile};
use proptest::prelude::*;

use super::corpus;

/// Reads the text and renders what comes out.
fn read(text: &str) {
    match ScenarioFile::parse(text, "any.toml") {
        Ok(loaded) => drop(loaded.check_engine(EngineKind::Turmoil)),
        Err(diagnostics) => {
            assert!(!diagnostics.problems().is_empty());
            assert!(!diagnostics.render(true).is_empty());
            let message = diagnostics.render(false);
            assert!(message.contains("any.toml"));
            // A file can't play tricks on the terminal.
            let control = message.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(control, None, "{message:?}");
        }
    }
}

fn files() -> Vec<String> {
    ["valid", "invalid"].iter().flat_map(|part| corpus(part)).map(|(_, text)| text).collect()
}

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}|(.|\n|\r){0,200}") {
        read(&text);
    }

    #[test]
    fn any_text_that_looks_like_toml(
        lines in prop::collection::vec(
            "\\[{0,2}[a-z_.]{0,9}\\]{0,2}|[a-z_]{1,9} ?= ?[\\[{\"0-9a-z.,=é\\]} ]{0,12}",
            0..12,
        ),
    ) {
        read(&lines.join("\n"));
    }

    #[test]
    fn a_real_file_with_a_piece_replaced(
        file in prop::sample::select(files()),
        at: prop::sample::Index,
        len in 0usize..20,
        piece in "([\\[\\]{}\"'=,.#*a-z0-9é\n\r\t\u{1b}-]|u001b){0,6}",
    ) {
        let mut chars: Vec<char> = file.chars().collect();
        let start = at.index(chars.len() + 1);
        let end = (start + len).min(chars.len());
        chars.splice(start..end, piece.chars());
        read(&chars.into_iter().collect::<String>());
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("seeds = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Scenario::parse(&deep, "deep.toml").is_err());
}

#[test]
fn escapes_are_shown_and_not_sent_to_the_terminal() {
    read(r#"name = "\u001b[2J""#);
    read("\"\\u001b[2J\" = 1");
    read("expect = { \"\\u001b[2J\" = 1, '\u{7f}' = { max = 1 } }");
    read("x = \u{1b}[2J");
    read("\u{9b}2J = 1");
}

#[test]
fn a_hundred_messages_are_enough() {
    let text: String = (0..1_000).map(|number| format!("x{number} = 1\n")).collect();
    let diagnostics = Scenario::parse(&text, "x.toml").expect_err("no such fields");
    assert!(diagnostics.problems().len() > 1_000);
    assert!(diagnostics.to_string().ends_with(" more\n"), "{diagnostics}");
    assert_eq!(diagnostics.to_string().matches("error: ").count(), 100);
}

#[test]
fn numbers_beyond_every_type_are_out_of_range() {
    let huge = "9".repeat(60);
    for number in [huge.clone(), format!("-{huge}"), format!("{huge}.5"), "1e999".to_owned()] {
        let text = format!("[delegation]\nmax_attempts = {number}\nretry_floor = {number}\n");
        let message = Scenario::parse(&text, "huge.toml").expect_err("huge").to_string();
        assert!(message.contains("is out of range for `retry_floor`"), "{message}");
        assert!(message.contains("`max_attempts`"), "{message}");
    }
}
