//! Rules for the strings of a scenario file, and suggestions for mistyped ones.
//!
//! Each rule exists twice: as a regular expression in the JSON Schema, for editors, and as a
//! function, which checks a file and says what is wrong. A property test makes sure that both
//! accept the same strings.

use mesh_core::skills::MAX_SKILL_BYTES;
use mesh_core::text::closest;

use crate::units;

/// A rule for the strings of some fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextRule {
    /// A regular expression (ECMA 262), anchored at both ends.
    pub(super) pattern: &'static str,
    /// What a string that keeps the rule is, with its article.
    pub(super) what: &'static str,
    /// Checks a string; the error says why it does not keep the rule.
    pub(super) check: fn(&str) -> Result<(), String>,
}

/// A scenario's name, which is also the name of a directory.
pub(super) const SCENARIO_NAME: &str = "^[a-z0-9][a-z0-9-]{0,63}$";
/// An agent's name or a policy's label. Registry and file systems allow no other characters.
pub(super) const NAME: &str = "^[A-Za-z0-9._-]{1,64}$";
/// The name of a skill, as the registry allows it.
pub(super) const SKILL: &str = "^[A-Za-z0-9._:/-]{1,64}$";
/// A host pattern: a name in which numbers may be ranges and any part a star, or a site.
pub(super) const HOST_PATTERN: &str = "^(site:)?[A-Za-z0-9._*-]+$";
/// One line of text.
pub(super) const LINE: &str = "^[^\\x00-\\x1f\\x7f-\\x9f]+$";
/// Lines of text.
pub(super) const LINES: &str = "^[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]+$";

/// Every rule.
pub(super) const RULES: [TextRule; 7] = [
    TextRule { pattern: units::DURATION_PATTERN, what: DURATION, check: check_duration },
    TextRule {
        pattern: SCENARIO_NAME,
        what: "a name of up to 64 lower-case letters, digits and hyphens",
        check: check_scenario_name,
    },
    TextRule {
        pattern: NAME,
        what: "a name of up to 64 letters, digits, dots, underscores and hyphens",
        check: check_name,
    },
    TextRule {
        pattern: SKILL,
        what: "a skill: up to 64 letters, digits and any of . _ : / -",
        check: check_skill,
    },
    TextRule {
        pattern: HOST_PATTERN,
        what: r#"hosts, like "agent-1", "agent-1..3", "*-eu-*", "site:eu", "registry" or "client""#,
        check: check_host_pattern,
    },
    TextRule { pattern: LINE, what: "one line of text", check: check_line },
    TextRule { pattern: LINES, what: "lines of text", check: check_lines },
];

const DURATION: &str = r#"a quoted duration with its unit, like "250us", "5ms", "1.5s" or "2m""#;

fn check_duration(text: &str) -> Result<(), String> {
    units::parse_duration(text).map(drop).map_err(|error| error.to_string())
}

fn check_scenario_name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.starts_with('-') {
        return Err("it starts with a hyphen".to_owned());
    }
    check_word(text, allowed, 64)
}

/// A scenario's name for a file with this stem: it keeps the rule, and is as close as that allows.
pub(super) fn scenario_name(stem: &str) -> String {
    let hyphenated = stem.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let name = hyphenated.trim_matches('-').chars().take(64).collect::<String>();
    if name.is_empty() { "scenario".to_owned() } else { name }
}

fn check_name(text: &str) -> Result<(), String> {
    check_word(text, is_name_char, 64)
}

fn check_skill(text: &str) -> Result<(), String> {
    check_word(text, |c| is_name_char(c) || matches!(c, ':' | '/'), MAX_SKILL_BYTES)
}

fn check_host_pattern(text: &str) -> Result<(), String> {
    let names = text.strip_prefix("site:").unwrap_or(text);
    check_word(names, |c| c == '*' || is_name_char(c), usize::MAX)
}

fn check_line(text: &str) -> Result<(), String> {
    check_word(text, |c| !c.is_control(), usize::MAX)
}

fn check_lines(text: &str) -> Result<(), String> {
    check_word(text, |c| c == '\n' || !c.is_control(), usize::MAX)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn check_word(text: &str, allowed: impl Fn(char) -> bool, max: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some(c) = text.chars().find(|&c| !allowed(c)) {
        return Err(format!("it contains {c:?}"));
    }
    if text.len() > max {
        return Err(format!("it has {} characters", text.len()));
    }
    Ok(())
}

/// `did you mean ...? ` with the closest candidate in `quote`s; empty if no candidate is close.
pub(super) fn did_you_mean<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    quote: char,
) -> String {
    closest(text, candidates)
        .map(|candidate| format!("did you mean {quote}{candidate}{quote}? "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_why_a_name_is_refused() {
        assert_eq!(check_name("a b"), Err("it contains ' '".to_owned()));
        assert_eq!(check_name(""), Err("it is empty".to_owned()));
        assert_eq!(check_name(&"x".repeat(65)), Err("it has 65 characters".to_owned()));
        assert_eq!(check_scenario_name("-a"), Err("it starts with a hyphen".to_owned()));
    }

    proptest! {
        #[test]
        fn patterns_and_checks_agree(
            text in prop_oneof![".{0,8}", "(site:)?[-a-zA-Z0-9._*]{0,8}", "[a-z0-9-]{60,70}",
                "\\PC*[\n\r\t]?"],
        ) {
            for rule in RULES {
                let schema = serde_json::json!({ "type": "string", "pattern": rule.pattern });
                let matches = jsonschema::is_valid(&schema, &serde_json::json!(text));
                prop_assert_eq!((rule.check)(&text).is_ok(), matches, "{:?} {:?}", rule, text);
            }
        }
    }
}
