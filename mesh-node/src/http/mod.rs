//! HTTP/1.1 over any [`Net`](crate::Net): small JSON messages, whole bodies, strict limits.
//!
//! [`serve`] answers requests with a [`Handler`]; a [`Client`] calls peers over a pool of
//! kept-alive connections. Neither reads a wall clock nor depends on the order of a hash map, so
//! both are deterministic on a paused single-threaded runtime.

mod body;
mod client;
mod limits;
mod media;
mod message;
mod server;

pub use bytes::Bytes;
pub use client::{Answer, CallError, Client, Connections};
pub use hyper::{HeaderMap, Method, StatusCode, Uri, header};
pub use limits::{ClientLimits, ServerLimits};
pub use message::{Handler, Request, Response, Verb};
pub use server::{Served, serve};
