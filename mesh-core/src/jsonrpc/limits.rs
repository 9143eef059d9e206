//! Limits on JSON-RPC bodies.

use serde_json::json;

use super::error::Error;
use crate::text::{self, TextError};

/// Limits on a body. Length and depth are checked before it is parsed, so that a hostile body costs
/// a single scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Greatest length of a body, in bytes.
    pub max_bytes: usize,
    /// Greatest nesting of arrays and objects. A call without params has depth 1, and in a batch it
    /// has one more.
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

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is longer than [`Limits::max_bytes`].
    #[error("the body has {bytes} bytes; at most {max} are accepted")]
    TooLong {
        /// The length of the body.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The body is nested deeper than [`Limits::max_depth`].
    #[error("the body nests deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// The batch has more elements than [`Limits::max_batch`].
    #[error("the batch has {len} elements; at most {max} are accepted")]
    TooMany {
        /// The number of elements.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The body is not text.
    #[error(transparent)]
    Text(#[from] TextError),
}

impl From<BodyError> for Error {
    /// "Parse error" for a body that is not text, "Invalid Request" with `data.limit` for the
    /// others.
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
    /// The body as text without a byte order mark, if it is within the limits on length and depth.
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
/// The answer is exact for valid JSON. For other bytes the count may be too low, but not within the
/// part that a parser reads before it gives up.
pub fn is_deeper(body: &[u8], max: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            // Brackets in a string nest nothing.
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
            // The escaped byte may be a quote, which then closes nothing.
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}
