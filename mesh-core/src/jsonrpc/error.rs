//! JSON-RPC error objects.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// A JSON-RPC error object: the answer to a call that has no result.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong, for programs. The specification reserves -32768 to -32000, and leaves
    /// -32099 to -32000 of these to implementations.
    pub code: i64,
    /// What went wrong, for people: a short sentence.
    pub message: Cow<'static, str>,
    /// Details: any JSON value.
    pub data: Option<Box<RawValue>>,
}

impl Error {
    /// The body is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON is not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The method does not take these params.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server failed.
    pub const INTERNAL_ERROR: i64 = -32603;

    /// An error without data.
    pub const fn new(code: i64, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), data: None }
    }

    /// [`Self::PARSE_ERROR`], with the reason as data.
    pub fn parse_error(reason: &str) -> Self {
        Self::new(Self::PARSE_ERROR, "Parse error").because(reason)
    }

    /// [`Self::INVALID_REQUEST`], with the reason as data.
    pub fn invalid_request(reason: &str) -> Self {
        Self::new(Self::INVALID_REQUEST, "Invalid Request").because(reason)
    }

    /// [`Self::METHOD_NOT_FOUND`].
    pub const fn method_not_found() -> Self {
        Self::new(Self::METHOD_NOT_FOUND, "Method not found")
    }

    /// [`Self::INVALID_PARAMS`], with the reason as data.
    pub fn invalid_params(reason: &str) -> Self {
        Self::new(Self::INVALID_PARAMS, "Invalid params").because(reason)
    }

    /// [`Self::INTERNAL_ERROR`], without details: a caller should not see the inside of a server.
    pub const fn internal_error() -> Self {
        Self::new(Self::INTERNAL_ERROR, "Internal error")
    }

    /// The same error with this data; without data if `data` can't be expressed in JSON.
    #[must_use]
    pub fn with_data(mut self, data: &(impl Serialize + ?Sized)) -> Self {
        self.data = to_raw_value(data).ok();
        self
    }

    fn because(self, reason: &str) -> Self {
        self.with_data(&json!({ "reason": reason }))
    }

    /// Appends the error object as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"code\":");
        out.extend_from_slice(self.code.to_string().as_bytes());
        out.extend_from_slice(b",\"message\":");
        out.extend_from_slice(Value::from(&*self.message).to_string().as_bytes());
        if let Some(data) = &self.data {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data.get().as_bytes());
        }
        out.push(b'}');
    }
}

impl PartialEq for Error {
    /// Data is compared as JSON text, so equal values that are written differently are not equal.
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
            && self.message == other.message
            && self.data.as_deref().map(RawValue::get) == other.data.as_deref().map(RawValue::get)
    }
}

impl Eq for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON-RPC error {}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
