//! HTTP/1.1 over any [`Net`](crate::Net): small JSON messages, strict limits.
//!
//! [`serve`] answers requests with a [`Handler`]: an `async` closure, or a [`Service`] with a table
//! of routes behind its [`RequestChecks`]. A [`Client`] calls peers over a pool of kept-alive connections.
//! Requests are read whole; answers are whole or streams. Neither side reads a wall
//! clock nor depends on the order of a hash map, so both are deterministic on a paused
//! single-threaded runtime.

mod checks;
mod client;
mod handler;
mod limits;
mod media;
mod read_body;
mod request;
mod response;
mod routes;
mod server;

pub use bytes::Bytes;
pub use checks::{RequestCheck, RequestChecks};
pub use client::{Answer, Client, ConnectionCounts, HttpError, StreamedAnswer};
pub use handler::Handler;
pub use hyper::{HeaderMap, Method, StatusCode, Uri, header};
pub use limits::{ClientLimits, ServerLimits};
pub use request::{Head, Request};
pub use response::{BodyStream, Response, ResponseBody};
pub use routes::{Route, RoutedService, Service};
pub use server::{Served, serve};
