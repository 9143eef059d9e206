//! HTTP/1.1 over any [`Net`](crate::Net), for small JSON messages and with strict limits.
//!
//! A server is [`serve`] with a [`Handler`]: an `async` closure, or a [`Service`], whose paths are
//! in a table of routes behind its [`RequestChecks`]. A [`Client`] sends requests to any number of
//! destinations and keeps their connections open for the next ones. Requests are read whole; the
//! body of an answer is whole or a stream. Neither side reads a wall clock or depends on the order
//! of a hash map, so both are deterministic on a paused single-threaded runtime.
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_node::http::{
//!     Bytes, Client, ClientLimits, Method, Request, Response, ServerLimits, StatusCode, serve,
//! };
//! use mesh_node::{Net, TokioNet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TokioNet.bind("127.0.0.1:0").await?;
//! let address = TokioNet::local_addr(&listener)?.to_string();
//! let echo = |request: Request| async move { Response::json(StatusCode::OK, request.body) };
//! let until_the_end = std::future::pending();
//! tokio::spawn(serve::<TokioNet, _>(listener, echo, ServerLimits::default(), until_the_end));
//!
//! let client = Client::new(TokioNet, ClientLimits::default());
//! let body = Bytes::from("[1, 2]");
//! let timeout = Duration::from_secs(5);
//! let answer = client.request(&address, Method::POST, "/", body.clone(), timeout).await?;
//! assert_eq!((answer.status, answer.body), (StatusCode::OK, body));
//! # Ok(())
//! # }
//! ```

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
