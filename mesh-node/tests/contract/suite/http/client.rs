//! What the HTTP client promises.

use std::io;
use std::net::SocketAddr;

use super::*;

fn limits() -> ClientLimits {
    ClientLimits::default()
}

async fn echo_server<N: Net>(net: &N) -> Running {
    Running::start(net, ServerLimits::default(), echo).await
}

pub(crate) async fn many_calls_reuse_one_connection<N: Net>(net: N) {
    let server = echo_server(&net).await;
    let client = Client::new(net, limits());
    for _ in 0..100 {
        assert_answered(post(&client, &server.address, "[1]").await, "[1]");
    }
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 1 });
    assert_eq!(server.stop().await.connections, 1);
}

/// Sends `count` requests at once, which leaves as many idle connections if the client keeps them.
async fn request_at_once<N: Net>(client: &Client<N>, address: &str, count: usize) {
    let requests: Vec<_> = (0..count)
        .map(|_| {
            let (client, address) = (client.clone(), address.to_owned());
            tokio::spawn(async move { post(&client, &address, "1").await })
        })
        .collect();
    for request in requests {
        assert_answered(request.await.expect("no panic"), "1");
    }
}

pub(crate) async fn idle_connections_per_destination_are_capped<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits::default(), rendezvous(4)).await;
    let client = Client::new(net, ClientLimits { idle_per_destination: 2, ..limits() });
    request_at_once(&client, &server.address, 4).await;
    assert_eq!(client.connections(), ConnectionCounts { open: 2, idle: 2 });
    assert_eq!(server.stop().await.connections, 4);
}

pub(crate) async fn idle_connections_in_all_are_capped<N: Net>(net: N) {
    let (a, b, c) = (echo_server(&net).await, echo_server(&net).await, echo_server(&net).await);
    let client = Client::new(net, ClientLimits { idle_total: 2, ..limits() });
    for server in [&a, &b, &a, &c, &a, &b] {
        assert_answered(post(&client, &server.address, "1").await, "1");
    }
    assert_eq!(client.connections(), ConnectionCounts { open: 2, idle: 2 });
    // The request to c pushed out b, the least recently used one.
    let opened = [a.stop().await, b.stop().await, c.stop().await].map(|served| served.connections);
    assert_eq!(opened, [1, 2, 1]);
}

pub(crate) async fn idle_connections_close_in_time<N: Net>(net: N) {
    let server = echo_server(&net).await;
    let client = Client::new(net, ClientLimits { idle: AFTER_SHORT, ..limits() });
    for _ in 0..4 {
        assert_answered(post(&client, &server.address, "1").await, "1");
        sleep(SHORT * 2).await;
    }
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 1 }, "each use counts anew");
    sleep(AFTER_SHORT * 2).await;
    assert_eq!(client.connections(), ConnectionCounts::default());
    assert_answered(post(&client, &server.address, "1").await, "1");
    assert_eq!(server.stop().await.connections, 2);
}

pub(crate) async fn a_timeout_discards_the_connection<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits::default(), stall).await;
    let client = Client::new(net, limits());
    assert_answered(post(&client, &server.address, "1").await, "1");
    let error = post_within(&client, &server.address, "/never", SHORT).await.expect_err("too slow");
    assert!(matches!(error, HttpError::Timeout { sent: true }), "{error:?}");
    assert!(!error.never_sent());
    assert_eq!(client.connections(), ConnectionCounts::default());
    assert_answered(post(&client, &server.address, "1").await, "1");
    assert_eq!(server.stop().await.connections, 2);
}

pub(crate) async fn a_timeout_discards_older_idle_connections<N: Net>(net: N) {
    let barrier = rendezvous(3);
    let handler = move |request: Request| {
        let barrier = barrier.clone();
        async move {
            match request.path() {
                "/never" | "/now" => stall(request).await,
                _ => barrier.handle(request).await,
            }
        }
    };
    let server = Running::start(&net, ServerLimits::default(), handler).await;
    let client = Client::new(net, limits());
    request_at_once(&client, &server.address, 3).await;
    assert_eq!(client.connections(), ConnectionCounts { open: 3, idle: 3 });
    sleep(SHORT).await;
    let never = post_within(&client, &server.address, "/never", SHORT * 3);
    let now = async {
        sleep(SHORT).await;
        post_within(&client, &server.address, "/now", LONG).await
    };
    let (never, now) = tokio::join!(never, now);
    assert!(matches!(never, Err(HttpError::Timeout { sent: true })), "{never:?}");
    assert_answered(now, "{}");
    // Of the two idle connections, the one that was used after the request began is kept.
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 1 });
    assert_eq!(server.stop().await.connections, 3);
}

pub(crate) async fn a_request_over_a_connection_that_the_server_closed_is_repeated<N: Net>(net: N) {
    let limits_of_server = ServerLimits { keep_alive: SHORT, ..ServerLimits::default() };
    let server = Running::start(&net, limits_of_server, echo).await;
    let client = Client::new(net, limits());
    for _ in 0..3 {
        assert_answered(post(&client, &server.address, "1").await, "1");
        sleep(AFTER_SHORT).await;
        assert_eq!(client.connections(), ConnectionCounts::default());
    }
    assert_eq!(server.stop().await.connections, 3);
}

pub(crate) async fn a_connection_that_the_server_ends_is_not_kept<N: Net>(net: N) {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1";
    let address = raw_server(&net, answer).await;
    let client = Client::new(net, limits());
    for _ in 0..3 {
        assert_answered(post(&client, &address, "2").await, "1");
        assert_eq!(client.connections().idle, 0);
    }
}

pub(crate) async fn open_connections_per_destination_can_be_capped<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits::default(), stall).await;
    let client = Client::new(net, ClientLimits { open_per_destination: Some(1), ..limits() });
    let (first, second) = tokio::join!(
        post_within(&client, &server.address, "/never", AFTER_SHORT),
        post_within(&client, &server.address, "/", LONG),
    );
    assert!(matches!(first, Err(HttpError::Timeout { sent: true })), "{first:?}");
    let second = second.expect_err("one too many");
    assert!(matches!(second, HttpError::TooManyOpen { limit: 1, .. }), "{second:?}");
    assert!(second.never_sent());
    assert_answered(post(&client, &server.address, "1").await, "1");
    server.stop().await;
}

/// A network on which opening a connection never ends.
#[derive(Clone)]
struct BlackHole<N>(N);

impl<N: Net> Net for BlackHole<N> {
    type Stream = N::Stream;
    type Listener = N::Listener;

    async fn bind(&self, addr: &str) -> io::Result<Self::Listener> {
        self.0.bind(addr).await
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        N::accept(listener).await
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        N::local_addr(listener)
    }

    async fn connect(&self, _: &str) -> io::Result<Self::Stream> {
        std::future::pending().await
    }
}

pub(crate) async fn a_connect_that_hangs_was_never_sent<N: Net>(net: N) {
    let client = Client::new(BlackHole(net), limits());
    let error = post_within(&client, "127.0.0.1:9", "/", SHORT).await.expect_err("no connection");
    assert!(matches!(error, HttpError::Timeout { sent: false }), "{error:?}");
    assert!(error.never_sent());
    assert_eq!(client.connections(), ConnectionCounts::default());
}

pub(crate) async fn nobody_there_was_never_sent<N: Net>(net: N) {
    let server = echo_server(&net).await;
    let address = server.address.clone();
    server.stop().await;
    let client = Client::new(net, limits());
    let error = post(&client, &address, "1").await.expect_err("nobody listens");
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert!(error.never_sent());
    assert_eq!(client.connections(), ConnectionCounts::default());
}

pub(crate) async fn a_connection_lost_after_sending_is_broken<N: Net>(net: N) {
    for answer in
        ["", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"]
    {
        let address = raw_server(&net, answer).await;
        let client = Client::new(net.clone(), limits());
        let error = post(&client, &address, "1").await.expect_err("half an answer");
        assert!(matches!(error, HttpError::Broken(_)), "{answer:?}: {error:?}");
        assert!(!error.never_sent());
        assert_eq!(client.connections(), ConnectionCounts::default());
    }
}

pub(crate) async fn an_answer_that_is_not_http_is_told_apart<N: Net>(net: N) {
    let address = raw_server(&net, "220 mail.example ESMTP\r\n\r\n").await;
    let client = Client::new(net, limits());
    let error = post(&client, &address, "1").await.expect_err("not HTTP");
    assert!(matches!(error, HttpError::BadResponse(_)), "{error:?}");
    assert_eq!(client.connections(), ConnectionCounts::default());
}

pub(crate) async fn a_large_answer_is_refused<N: Net>(net: N) {
    let declared = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n01234567890";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                   8\r\n01234567\r\n3\r\n890\r\n0\r\n\r\n";
    for answer in [declared, chunked] {
        let address = raw_server(&net, answer).await;
        let client = Client::new(net.clone(), ClientLimits { body_bytes: 10, ..limits() });
        let error = post(&client, &address, "1").await.expect_err("a byte too many");
        assert!(matches!(error, HttpError::TooLarge { limit: 10 }), "{error:?}");
        assert_eq!(client.connections(), ConnectionCounts::default());
        let client = Client::new(net.clone(), ClientLimits { body_bytes: 11, ..limits() });
        assert_answered(post(&client, &address, "1").await, "01234567890");
    }
}

pub(crate) async fn what_is_not_a_request_is_refused<N: Net>(net: N) {
    let client = Client::new(net, limits());
    for (destination, path) in
        [("host:1", "rpc"), ("host:1", ""), ("ho\nst:1", "/"), ("h:1", "/ /")]
    {
        let error = post_within(&client, destination, path, LONG).await.expect_err("no request");
        assert!(matches!(error, HttpError::Invalid { .. }), "{error:?}");
        assert!(error.never_sent());
    }
}

pub(crate) async fn dropping_the_client_closes_its_connections<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { connections: 1, ..Default::default() }, echo);
    let server = server.await;
    for _ in 0..3 {
        let client = Client::new(net.clone(), limits());
        assert_answered(post(&client, &server.address, "1").await, "1");
        drop(client);
        sleep(SHORT).await;
    }
    assert_eq!(server.stop().await, Served { connections: 3, ..Served::default() });
}
