//! What a body may cost before anything is parsed.

use serde_json::json;

use super::error::Error;
use crate::text::{self, TextError};

/// Bounds on a body; checked before it is parsed, so that a hostile one costs a single scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Greatest length of a body, in bytes.
    pub max_bytes: usize,
    /// Greatest nesting of arrays and objects; a call without params has depth 1, and a batch adds
    /// one to that of its calls.
    pub max_depth: usize,
    /// Greatest number of elements in a batch.
    pub max_batch: usize,
}

impl Default for Limits {
    /// 1 MiB, 64 levels, 100 calls.
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 64, max_batch: 100 }
    }
}

/// Why a body was turned away unparsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than [`Limits::max_bytes`].
    #[error("the body has {bytes} bytes; at most {max} are accepted")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Nested deeper than [`Limits::max_depth`].
    #[error("the body nests deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// More elements than [`Limits::max_batch`].
    #[error("the batch has {len} elements; at most {max} are accepted")]
    TooMany {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Not text.
    #[error(transparent)]
    Text(#[from] TextError),
}

impl From<BodyError> for Error {
    /// "Parse error" for what is not text, "Invalid Request" with `data.limit` for the rest.
    fn from(error: BodyError) -> Self {
        let reason = error.to_string();
        let (limit, max) = match error {
            BodyError::TooLong { max, .. } => ("max_bytes", max),
            BodyError::TooDeep { max } => ("max_depth", max),
            BodyError::TooMany { max, .. } => ("max_batch", max),
            BodyError::Text(_) => return Self::parse_error(&reason),
        };
        Self::invalid_request(&reason)
            .with_data(&json!({ "reason": reason, "limit": limit, "max": max }))
    }
}

impl Limits {
    /// The body as text without a byte order mark, if it is short and flat enough to be parsed.
    pub(super) fn admit<'a>(&self, body: &'a [u8]) -> Result<&'a str, BodyError> {
        if body.len() > self.max_bytes {
            return Err(BodyError::TooLong { bytes: body.len(), max: self.max_bytes });
        }
        let text = text::read(body)?;
        if is_deeper(body, self.max_depth) {
            return Err(BodyError::TooDeep { max: self.max_depth });
        }
        Ok(text)
    }
}

/// Whether arrays and objects nest deeper than `max`.
///
/// Exact for valid JSON. In other bytes it may count too little, but never within the prefix that a
/// parser accepts before it gives up.
pub fn is_deeper(body: &[u8], max: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' if depth == max => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Moves past the closing quote of a string whose opening quote has been read.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}
