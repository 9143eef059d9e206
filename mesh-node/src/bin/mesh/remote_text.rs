//! Text of other programs that is shown on this one's terminal.

use serde_json::Value;

/// The text with its control characters written out (`\u{1b}`), so that an agent or a job can't
/// command the terminal. Line feeds and tabs stay.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// JSON for a reader, with a line feed at its end. What JSON need not escape and terminals still
/// take for commands (U+007F to U+009F) is escaped as well.
pub(super) fn json_text(value: &Value) -> String {
    let mut out = String::new();
    for c in format!("{value:#}\n").chars() {
        match c {
            '\u{7f}'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(harmless("a\tb\nç"), "a\tb\nç");
        assert_eq!(harmless("\x1b[2J\r\u{9b}x"), "\\u{1b}[2J\\r\\u{9b}x");
        let value = Value::from("\x1b\u{9b}\u{7f}");
        assert_eq!(json_text(&value), "\"\\u001b\\u009b\\u007f\"\n");
        assert_eq!(serde_json::from_str::<Value>(&json_text(&value)).unwrap(), value);
    }
}
