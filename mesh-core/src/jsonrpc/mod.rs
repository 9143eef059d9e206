//! JSON-RPC 2.0 (jsonrpc.org/specification, 2013-01-04): bodies in, bodies out, without any I/O.
//!
//! A server hands a body to [`parse`], obtains an outcome for each of [`Incoming::calls`] by
//! itself, at once or later, and gets the body of its answer from [`Incoming::answer`]. A client
//! builds a body with [`request`] and reads the answer with [`parse_response`].
//!
//! ```
//! use mesh_core::jsonrpc::{self, Error, Limits};
//!
//! let body = br#"[{"jsonrpc":"2.0","method":"ping","id":7}, {"jsonrpc":"2.0","method":"note"}]"#;
//! let answer = jsonrpc::parse(body, &Limits::default()).answer_with(|call| match &*call.method {
//!     "ping" => jsonrpc::result(&"pong"),
//!     _ => Err(Error::method_not_found()),
//! });
//! assert_eq!(answer.unwrap(), br#"[{"jsonrpc":"2.0","result":"pong","id":7}]"#);
//! ```
//!
//! Where the specification leaves a choice:
//! - An invalid request is answered with its own id if it has exactly one `id` member of a valid
//!   type, and with null otherwise.
//! - A request is invalid if one of its members occurs twice. Members that the specification does
//!   not define are ignored.
//! - Methods that begin with `rpc.` are reserved: they are answered with "Method not found" here
//!   and are not among [`Incoming::calls`].
//! - Answers in a batch keep the order of the calls.
//! - Errors found here carry `data.reason`, a sentence for people, and `data.limit`, the name of
//!   the limit if one was exceeded.

mod client;
mod error;
mod id;
mod incoming;
mod limits;
mod members;
mod response;

pub use client::{RequestError, ResponseError, notification, parse_response, request};
pub use error::Error;
pub use id::Id;
pub use incoming::{Call, Incoming, parse};
pub use limits::{BodyError, Limits, is_deeper};
pub use response::{Outcome, Response, result};

#[cfg(test)]
mod tests;
