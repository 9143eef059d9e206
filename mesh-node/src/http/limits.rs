//! What a server and a client put up with.

use std::time::Duration;

use mesh_core::codec::limits::ANSWER;

/// What a server puts up with, and so what one misbehaving client can cost.
///
/// | exceeded | answer |
/// |---|---|
/// | `body_bytes` | 413, connection closed |
/// | `header_bytes`, `header_count` | 431 without a body (hyper's own), connection closed |
/// | `connections` | 503, connection closed; without an answer beyond `refusals` |
/// | `header_read` | 408 if a part of a request was read, connection closed |
/// | `body_read` | 408, connection closed |
/// | `keep_alive`, `write` | connection closed without an answer |
///
/// What is no request of HTTP/1 is answered 400 without a body (hyper's own), and HTTP/2 505.
///
/// A connection carries one request at a time; pipelined requests wait unread for their turn.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes of a request line and its headers together.
    pub header_bytes: usize,
    /// Number of header fields of a request.
    pub header_count: usize,
    /// Connections open at once.
    pub connections: usize,
    /// Connections beyond `connections` that are being answered 503 at once. They are answered
    /// rather than left in the backlog, so that a caller knows to go elsewhere, and counted apart,
    /// so that a flood of them costs no more than this many sockets.
    pub refusals: usize,
    /// From a connection's opening to the first byte of its first request, and from any request's
    /// first byte to the end of its headers. Where a request begins in the same packet as the one
    /// before it ends, from the first byte after that packet, or else `keep_alive` holds.
    pub header_read: Duration,
    /// From the end of the headers to the end of the body, however steadily it trickles in.
    pub body_read: Duration,
    /// How long a connection may stay open between two requests. Must exceed the `idle` of every
    /// client's [`ClientLimits`], or calls get lost on connections that are just being closed.
    pub keep_alive: Duration,
    /// From a handler's answer to its last byte's acceptance by the network. It bounds the whole
    /// answer and not one write, or a reader that takes a byte at a time would hold it for ever. Of
    /// a streamed answer it bounds how long the client may take nothing while something is there to
    /// be sent; the time between two pieces has no limit.
    pub write: Duration,
    /// After an answer to a request that was not read to its end, how long to go on reading it:
    /// a socket closed with unread bytes is reset, and the reset may overtake the answer.
    pub linger: Duration,
    /// Whether a client that has closed its sending half may still wait for its answer, as `nc -N`
    /// does. It looks like one that has left until something is sent to it, so it is sent
    /// `100 Continue`, now and then, which every client skips and one that has left resets. With
    /// HTTP/1.0, which has no such answers, it is taken to wait. If false, it has left. In the middle
    /// of a streamed answer nothing can be asked, and such a client is always taken to have left.
    pub half_closed: bool,
    /// After the call to shut down, how long requests in flight may take to finish.
    pub drain: Duration,
}

/// The number of header fields that hyper parses without an allocation, and its default.
pub(super) const FREE_HEADER_COUNT: usize = 100;

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            header_bytes: 16 << 10,
            header_count: FREE_HEADER_COUNT,
            connections: 1024,
            refusals: 64,
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            half_closed: true,
            drain: Duration::from_secs(10),
        }
    }
}

/// What a client keeps open and accepts.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Bytes of an answer's body.
    pub body_bytes: usize,
    /// Bytes of an answer's status line and headers together.
    pub header_bytes: usize,
    /// Idle connections kept per destination; the least recently used one goes first.
    pub idle_per_destination: usize,
    /// Idle connections kept in all; the least recently used one goes first.
    pub idle_total: usize,
    /// How long opening a connection may take. A call that fails by it was never sent, and is safe
    /// to make elsewhere.
    pub connect: Duration,
    /// How long an idle connection is kept. Must be below the servers' `keep_alive`.
    pub idle: Duration,
    /// Open connections per destination, busy ones included; `None` for no limit. A call past it
    /// fails at once and never queues, so that a wait is never hidden inside the client.
    pub open_per_destination: Option<usize>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            body_bytes: ANSWER.max_bytes,
            header_bytes: 16 << 10,
            idle_per_destination: 32,
            idle_total: 1024,
            connect: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            open_per_destination: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_let_go_before_servers_do() {
        assert!(ClientLimits::default().idle < ServerLimits::default().keep_alive);
    }
}
