//! JSON-RPC responses.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::error::Error;
use super::id::Id;

/// How a call ended: with a result, which is any JSON value, null included, or with an error.
pub type Outcome = Result<Box<RawValue>, Error>;

/// A successful outcome; an internal error if `value` can't be expressed in JSON (for example, a
/// map whose keys are not strings).
pub fn result(value: &(impl Serialize + ?Sized)) -> Outcome {
    to_raw_value(value).map_err(|_| Error::internal_error())
}

/// The answer to one call.
#[derive(Clone, Debug)]
pub struct Response {
    /// The call's id, or null if that could not be read.
    pub id: Id,
    /// How it ended.
    pub outcome: Outcome,
}

impl Response {
    /// The response object as JSON, with either `result` or `error`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_hint());
        self.write(&mut out);
        out
    }

    /// Appends the response object as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",");
        match &self.outcome {
            Ok(result) => {
                out.extend_from_slice(b"\"result\":");
                out.extend_from_slice(result.get().as_bytes());
            }
            Err(error) => {
                out.extend_from_slice(b"\"error\":");
                error.write(out);
            }
        }
        out.extend_from_slice(b",\"id\":");
        out.extend_from_slice(self.id.as_json().as_bytes());
        out.push(b'}');
    }

    /// About how many bytes [`Self::write`] will need.
    fn size_hint(&self) -> usize {
        let outcome = match &self.outcome {
            Ok(result) => result.get().len(),
            Err(error) => {
                32 + error.message.len() + error.data.as_ref().map_or(0, |d| d.get().len())
            }
        };
        48 + self.id.as_json().len() + outcome
    }
}
