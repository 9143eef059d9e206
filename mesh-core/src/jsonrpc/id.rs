//! JSON-RPC ids: by them a client knows which call an answer belongs to.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::members::string;

/// A call's id: a string, a number or null. It is kept as the JSON text that was received, so that
/// an answer repeats it exactly (`-0`, `1e400`, escapes). Cheap to clone.
///
/// Ids are equal if their texts are; [`Self::is_echoed_by`] compares their meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(
    /// `None`: null.
    Option<Arc<str>>,
);

impl Id {
    /// Null: the id of an answer to a call whose own id could not be read.
    pub const NULL: Self = Self(None);

    /// The id with this JSON text; `None` if it is a boolean, an array or an object.
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

    /// Whether an answer with the id `answer` answers the call with this id. The server may have
    /// decoded a string and escaped it in another way, so strings match if their characters are the
    /// same. Numbers must match digit for digit.
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
