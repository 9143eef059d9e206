//! Request ids.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::members::string;

/// A request's id: a string, a number or null, kept as the JSON text that came, so that an echo is
/// exact (`-0`, `1e400`, escapes). Cheap to clone.
///
/// Equality is that of the text; [`Self::is_echoed_by`] compares what it means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(
    /// `None`: null.
    Option<Arc<str>>,
);

impl Id {
    /// The id of an answer to nobody in particular.
    pub const NULL: Self = Self(None);

    /// The id that this JSON text is; `None` if it is a boolean, an array or an object.
    pub(super) fn from_json(json: &str) -> Option<Self> {
        match json.as_bytes().first()? {
            b'n' => Some(Self::NULL),
            b'"' | b'-' | b'0'..=b'9' => Some(Self(Some(json.into()))),
            _ => None,
        }
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or("null")
    }

    /// Whether it is null.
    pub const fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// Whether `answer` is this id. A peer may have decoded a string and escaped it in its own way,
    /// so strings are equal if their characters are; numbers must be digit for digit the same.
    pub fn is_echoed_by(&self, answer: &Self) -> bool {
        let same_string = || match (string(self.as_json()), string(answer.as_json())) {
            (Some(sent), Some(got)) => sent == got,
            _ => false,
        };
        self == answer || same_string()
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(Some(number.to_string().into()))
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self(Some(Value::from(text).to_string().into()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}
