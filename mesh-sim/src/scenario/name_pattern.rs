//! Patterns of names: "agent-1..3", "*-eu-*".

/// A pattern that stands for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamePattern<'a> {
    /// One name.
    Exact(&'a str),
    /// Names with any text, or none, in the place of each star.
    Wildcard(&'a str),
    /// Names with a number of a range between two texts, which may have stars.
    Range(NumberedNames<'a>),
}

/// Names with a number from `first` to `last`, both included, between the texts `head` and `tail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberedNames<'a> {
    pub(super) head: &'a str,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) tail: &'a str,
}

impl<'a> NamePattern<'a> {
    pub(super) fn parse(pattern: &'a str) -> Self {
        match NumberedNames::parse(pattern) {
            Some(range) => Self::Range(range),
            None if pattern.contains('*') => Self::Wildcard(pattern),
            None => Self::Exact(pattern),
        }
    }
}

impl<'a> NumberedNames<'a> {
    /// Splits `agent-1..3` into its parts; `None` if it is no range.
    fn parse(pattern: &'a str) -> Option<Self> {
        let (before, after) = pattern.split_once("..")?;
        let head = before.trim_end_matches(|c: char| c.is_ascii_digit());
        let tail = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let first = before[head.len()..].parse().ok()?;
        let last = after[..after.len() - tail.len()].parse().ok()?;
        // A name has no two dots, so a pattern with two ranges stands for none.
        (!tail.contains("..")).then_some(Self { head, first, last, tail })
    }

    pub(super) fn has_stars(&self) -> bool {
        self.head.contains('*') || self.tail.contains('*')
    }

    /// The text with this number.
    pub(super) fn with(&self, number: u32) -> String {
        format!("{}{number}{}", self.head, self.tail)
    }

    /// The number of the range that a name has in its place; `None` if the name is not meant.
    pub(super) fn number_in(&self, name: &str) -> Option<u32> {
        let is_digit = |at: usize| name.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let starts = (0..name.len()).filter(|&at| is_digit(at) && (at == 0 || !is_digit(at - 1)));
        starts.into_iter().find_map(|start| {
            let end = (start..).find(|&at| !is_digit(at))?;
            let digits = &name[start..end];
            let number: u32 = digits.parse().ok()?;
            let is_plain = digits.len() == 1 || !digits.starts_with('0');
            let is_meant = is_plain
                && (self.first..=self.last).contains(&number)
                && matches(self.head, &name[..start])
                && matches(self.tail, &name[end..]);
            is_meant.then_some(number)
        })
    }
}

/// Whether a text is the same as a pattern, with any text in the place of each star.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let Some((middle, last)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in
            [("*", ""), ("a*", "a"), ("*-eu-*", "gpu-eu-1"), ("a*b*c", "abbc"), ("**a", "aa")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*a", "a"), ("*-eu-*", "gpu-eu"), ("a*b*b", "ab"), ("a", "ab")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_range_stands_anywhere() {
        let number = |pattern: &str, name: &str| match NamePattern::parse(pattern) {
            NamePattern::Range(range) => range.number_in(name),
            _ => None,
        };
        assert_eq!(number("gpu1..4-*", "gpu3-us"), Some(3));
        assert_eq!(number("*-1..20", "a-1-12"), Some(12));
        // A number is never cut in two.
        assert_eq!(number("*1..3", "a12"), None);
        assert_eq!(number("a-1..3", "a-01"), None);
        assert_eq!(NamePattern::parse("a1..2b3..4"), NamePattern::Exact("a1..2b3..4"));
    }

    proptest! {
        #[test]
        fn stars_mean_what_they_mean_in_a_regular_expression(
            pattern in "[ab*]{0,6}",
            text in "[ab]{0,8}",
        ) {
            let expression = format!("^{}$", pattern.replace('*', ".*"));
            let schema = serde_json::json!({ "type": "string", "pattern": expression });
            let expected = jsonschema::is_valid(&schema, &serde_json::json!(text));
            prop_assert_eq!(matches(&pattern, &text), expected);
        }
    }
}
