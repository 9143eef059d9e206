//! Parses what an agent sends, as a client would that trusts nothing.

use std::collections::BTreeMap;
use std::fmt;

/// One answer.
#[derive(PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    /// The header that says whose the errors in the body are.
    pub(crate) errors: Option<&'a str>,
    /// Empty for an answer to HEAD.
    pub(crate) body: &'a [u8],
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type, errors, body } = self;
        write!(f, "{status} {content_type:?} {errors:?} {}", String::from_utf8_lossy(body))
    }
}

/// The beginning of every answer, with which no body begins.
const START: &[u8] = b"HTTP/1.";

/// Parses these bytes as answers. Panics if they are something else.
pub(crate) fn read(mut output: &[u8]) -> Vec<Answer<'_>> {
    let mut answers = Vec::new();
    while !output.is_empty() {
        let (answer, rest) = read_one(output);
        answers.push(answer);
        output = rest;
    }
    answers
}

fn read_one(output: &[u8]) -> (Answer<'_>, &[u8]) {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&output[..end]).expect("a head in ASCII");
    let rest = &output[end + 4..];
    let mut lines = head.split("\r\n");
    let status = status(lines.next().expect("a first line"));
    let mut fields = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field");
        let earlier = fields.insert(name.to_ascii_lowercase(), value);
        assert!(earlier.is_none(), "{name} occurs twice");
    }
    assert!(!fields.contains_key("transfer-encoding"), "lengths are known here");
    let length = fields.get("content-length").map_or(0, |value| value.parse().expect("a length"));
    let has_no_body = length == 0 || rest.is_empty() || rest.starts_with(START);
    let (body, rest) = if has_no_body { rest.split_at(0) } else { rest.split_at(length) };
    let field = |name| fields.get(name).copied();
    let (content_type, errors) = (field("content-type"), field("mesh-error"));
    (Answer { status, content_type, errors, body }, rest)
}

fn status(line: &str) -> u16 {
    let mut words = line.splitn(3, ' ');
    assert!(matches!(words.next(), Some("HTTP/1.1" | "HTTP/1.0")), "{line}");
    let status = words.next().expect("a status");
    assert_eq!(status.len(), 3, "{line}");
    assert!(words.next().is_some(), "a space follows the status");
    status.parse().expect("a number")
}
