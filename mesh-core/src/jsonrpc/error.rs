//! Error objects.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// A JSON-RPC error object.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong, for programs. -32768 to -32000 belong to the specification, of which
    /// -32099 to -32000 are the implementation's.
    pub code: i64,
    /// What went wrong, for people: a short sentence.
    pub message: Cow<'static, str>,
    /// More about it; any JSON value.
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

    /// [`Self::INTERNAL_ERROR`], with nothing that a stranger should not see.
    pub const fn internal_error() -> Self {
        Self::new(Self::INTERNAL_ERROR, "Internal error")
    }

    /// The same error with this data; without any if `data` has no JSON form.
    #[must_use]
    pub fn with_data(mut self, data: &(impl Serialize + ?Sized)) -> Self {
        self.data = to_raw_value(data).ok();
        self
    }

    fn because(self, reason: &str) -> Self {
        self.with_data(&json!({ "reason": reason }))
    }

    /// Appends the error object.
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
    /// Data is compared as text.
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
