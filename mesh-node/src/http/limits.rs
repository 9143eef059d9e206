//! The limits of servers and clients, with the answer that exceeding each of them gets.

use std::time::Duration;

use mesh_core::codec::limits::ANSWER;

/// The limits of a server, which bound what one misbehaving client can cost.
///
/// | limit | what exceeding it leads to |
/// |---|---|
/// | `body_bytes` | 413, connection closed |
/// | `header_bytes`, `header_count` | 431 without a body (hyper's own), connection closed |
/// | `connections` | 503, connection closed; beyond `refusals` closed without an answer |
/// | `header_read` | 408 if a part of a request was read, connection closed |
/// | `body_read` | 408, connection closed |
/// | `keep_alive`, `write` | connection closed without an answer |
///
/// Bytes that are no HTTP/1 request get 400 without a body (hyper's own answer), HTTP/2 gets 505.
///
/// A connection carries one request at a time; pipelined requests wait unread for their turn.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// The most bytes of a request's body.
    pub body_bytes: usize,
    /// The most bytes of a request line and its headers together.
    pub header_bytes: usize,
    /// The most header fields of a request.
    pub header_count: usize,
    /// The most connections that are served at once.
    pub connections: usize,
    /// How many connections beyond `connections` may be in the middle of being answered 503. Such a
    /// connection is answered, rather than left in the backlog, so that its client knows to go
    /// elsewhere. They have a limit of their own so that a flood of them costs no more than this
    /// many sockets.
    pub refusals: usize,
    /// How long the head of a request may take: from the opening of a connection to the first byte
    /// of its first request, and from a request's first byte to the end of its headers.
    ///
    /// If a request begins in the same packet in which the one before it ends, the time counts from
    /// the first byte after that packet. Until such a byte comes, `keep_alive` holds.
    pub header_read: Duration,
    /// How long a body may take from the end of the headers to its end, however steadily it
    /// trickles in.
    pub body_read: Duration,
    /// How long a connection may stay open between two requests. Must exceed the `idle` of every
    /// client's [`ClientLimits`], because a request that goes out over a connection which is just
    /// being closed gets lost.
    pub keep_alive: Duration,
    /// How long an answer may take from the handler to the acceptance of its last byte by the
    /// network. It bounds the whole answer and not each write, because a client that takes a byte
    /// at a time could hold the answer for ever.
    ///
    /// Of a streamed answer it bounds how long the client may take nothing while bytes wait to be
    /// sent. The time between two pieces has no limit.
    pub write: Duration,
    /// How long the server goes on reading after it has answered a request that it did not read to
    /// its end. A socket that is closed with unread bytes is reset, and the reset may overtake the
    /// answer.
    pub linger: Duration,
    /// Whether a client that has closed its sending half, as `nc -N` does, may still wait for its
    /// answer. If false, such a client counts as gone.
    ///
    /// Such a client looks like one that has left, until something is sent to it. So `100 Continue`
    /// is sent to it now and then: every client skips that, and the socket of one that has left
    /// answers with a reset. HTTP/1.0 has no such answer, so there the client is taken to wait. In
    /// the middle of a streamed answer nothing can be sent in between, so there it is taken to have
    /// left.
    pub half_closed: bool,
    /// How long requests under way may go on after the server was told to shut down.
    pub drain: Duration,
}

/// The number of header fields that hyper parses without an allocation, which is also its default.
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

/// The limits of a client: what it accepts in answers, and which connections it keeps open.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// The most bytes of an answer's body.
    pub body_bytes: usize,
    /// The most bytes of an answer's status line and headers together.
    pub header_bytes: usize,
    /// The most idle connections kept for one destination. Of more, the least recently used is
    /// closed.
    pub idle_per_destination: usize,
    /// The most idle connections kept in all. Of more, the least recently used is closed.
    pub idle_total: usize,
    /// How long opening a connection may take. A request that fails by this limit was never sent,
    /// so it is safe to send elsewhere.
    pub connect: Duration,
    /// How long an idle connection is kept. Must be below the `keep_alive` of every server.
    pub idle: Duration,
    /// The most open connections to one destination, busy ones included; `None` for no limit. A
    /// request beyond it fails at once and never queues, so that no wait is hidden inside the
    /// client.
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
