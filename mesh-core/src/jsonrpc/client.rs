//! The client's side: writing a call, and reading the answer to it.

use serde::Serialize;
use serde_json::Value;

use super::error::Error;
use super::id::Id;
use super::limits::{BodyError, Limits};
use super::members::{Member, members};
use super::response::Outcome;

/// Why params can't be written into a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The params can't be expressed in JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The params are a string, a number or a boolean, which the specification does not allow.
    #[error("params must be an array, an object or null for none")]
    Params,
}

/// Why a body is not a JSON-RPC response to the call that was made.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// The body exceeds a limit, or is not text.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not a JSON object.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The body is a JSON object, but not a response.
    #[error("the response is malformed: {0}")]
    Malformed(&'static str),
    /// The body is the response to another call.
    #[error("the response has the id {got} instead of {expected}")]
    Id {
        /// The id of the call.
        expected: Id,
        /// The id of the response.
        got: Id,
    },
}

/// The body of a call. Params that serialise to null are left out.
///
/// # Errors
/// If the params can't be expressed in JSON, or are a string, a number or a boolean.
pub fn request(
    method: &str,
    params: &(impl Serialize + ?Sized),
    id: &Id,
) -> Result<Vec<u8>, RequestError> {
    let mut out = open(method, params)?;
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id.as_json().as_bytes());
    out.push(b'}');
    Ok(out)
}

/// The body of a notification: a call that gets no answer.
///
/// # Errors
/// As [`request`].
pub fn notification(
    method: &str,
    params: &(impl Serialize + ?Sized),
) -> Result<Vec<u8>, RequestError> {
    let mut out = open(method, params)?;
    out.push(b'}');
    Ok(out)
}

/// A request object without its id and its closing brace.
fn open(method: &str, params: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, RequestError> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":");
    out.extend_from_slice(Value::from(method).to_string().as_bytes());
    let end_of_method = out.len();
    out.extend_from_slice(b",\"params\":");
    let start = out.len();
    serde_json::to_writer(&mut out, params)?;
    match &out[start..] {
        // No params: takes the member's name out again.
        b"null" => out.truncate(end_of_method),
        [b'[' | b'{', ..] => {}
        _ => return Err(RequestError::Params),
    }
    Ok(out)
}

/// Reads the answer to the call with the id `expected`.
///
/// # Errors
/// If the body is not what the specification calls a response, or answers another call. An error
/// with the id null counts as an answer to this call, because a server sends it when it could not
/// read the id. Of `result` and `error`, one that is null beside the other one counts as absent.
pub fn parse_response(
    body: &[u8],
    limits: &Limits,
    expected: &Id,
) -> Result<Outcome, ResponseError> {
    let text = limits.admit(body)?;
    let [version, result, error, id] = members(text, ["jsonrpc", "result", "error", "id"])?;
    if version.string().as_deref() != Some("2.0") {
        return Err(ResponseError::Malformed("`jsonrpc` must be \"2.0\""));
    }
    // Many servers write both members, with null in the one that doesn't apply.
    let outcome = match (result, error) {
        (Member::Once(result), Member::Once(error)) if error.get() == "null" => {
            Ok(result.to_owned())
        }
        (Member::Once(result), Member::Once(error)) if result.get() == "null" => {
            Err(read_error(error.get())?)
        }
        (Member::Once(result), Member::Absent) => Ok(result.to_owned()),
        (Member::Absent, Member::Once(error)) => Err(read_error(error.get())?),
        _ => return Err(ResponseError::Malformed("needs one `result` or one `error`")),
    };
    let got = id
        .json()
        .and_then(Id::from_json)
        .ok_or(ResponseError::Malformed("`id` must be one string, number or null"))?;
    // An error with the id null comes from a server that could not read the id.
    if expected.is_echoed_by(&got) || (outcome.is_err() && got.is_null()) {
        return Ok(outcome);
    }
    Err(ResponseError::Id { expected: expected.clone(), got })
}

fn read_error(json: &str) -> Result<Error, ResponseError> {
    let [code, message, data] = members(json, ["code", "message", "data"])?;
    let code = code
        .json()
        .and_then(|json| serde_json::from_str(json).ok())
        .ok_or(ResponseError::Malformed("`error.code` must be an integer"))?;
    let message = message
        .string()
        .ok_or(ResponseError::Malformed("`error.message` must be a string"))?
        .into_owned()
        .into();
    let data = match data {
        Member::Absent => None,
        Member::Once(raw) => Some(raw.to_owned()),
        Member::Repeated => {
            return Err(ResponseError::Malformed("`error.data` occurs more than once"));
        }
    };
    Ok(Error { code, message, data })
}
