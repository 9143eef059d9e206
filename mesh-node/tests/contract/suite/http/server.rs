//! What the HTTP server promises.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[track_caller]
fn assert_status(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer:?}");
    assert!(answer.contains("connection: close"), "{answer:?}");
}

/// Sends these bytes, and expects an answer with this status and then the end of the connection.
async fn expect_refusal<N: Net>(net: &N, limits: ServerLimits, bytes: &str, status: &str) {
    let server = Running::start(net, limits, echo).await;
    let mut stream = raw(net, &server.address, bytes).await;
    assert_status(&rest(&mut stream).await, status);
    drop(stream);
    // The server still serves others.
    let client = Client::new(net.clone(), ClientLimits::default());
    assert_answered(post(&client, &server.address, "1").await, "1");
    server.stop().await;
}

pub(crate) async fn an_answer_is_the_same_bytes_every_time<N: Net>(net: N) {
    let server = Running::start(&net, limits(), echo).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let mut stream = raw(&net, &server.address, request).await;
    assert_eq!(
        rest(&mut stream).await,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: 2\r\n\r\n{}"
    );
    server.stop().await;
}

pub(crate) async fn pipelined_requests_are_answered_in_order<N: Net>(net: N) {
    let path = |request: Request| async move {
        sleep(Duration::from_millis(request.path().len() as u64)).await;
        Response::text(StatusCode::OK, request.path().to_owned())
    };
    let server = Running::start(&net, limits(), path).await;
    let request = "GET /first HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nconnection: close\r\n\r\n";
    let mut stream = raw(&net, &server.address, request).await;
    let answers = rest(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers:?}");
    assert!(answers.find("/first") < answers.find("/2"), "{answers:?}");
    server.stop().await;
}

pub(crate) async fn a_large_body_is_refused<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { body_bytes: 1 << 16, ..limits() }, echo).await;
    let client = Client::new(net, ClientLimits::default());
    let send = async |bytes| {
        let body = Bytes::from(vec![b' '; bytes]);
        client
            .request(&server.address, Method::POST, "/", body, LONG)
            .await
            .expect("an answer")
            .status
    };
    assert_eq!(send(1 << 16).await, StatusCode::OK);
    // Much of it is still on its way when the answer comes.
    assert_eq!(send(4 << 20).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send((1 << 16) + 1).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send(1).await, StatusCode::OK);
    server.stop().await;
}

pub(crate) async fn a_large_chunked_body_is_refused<N: Net>(net: N) {
    let request = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                   8\r\n01234567\r\n8\r\n01234567\r\n";
    expect_refusal(&net, ServerLimits { body_bytes: 10, ..limits() }, request, "413").await;
}

pub(crate) async fn a_large_body_is_refused_before_it_is_sent<N: Net>(net: N) {
    let request = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 11\r\n\r\n";
    expect_refusal(&net, ServerLimits { body_bytes: 10, ..limits() }, request, "413").await;
}

pub(crate) async fn a_refused_body_does_not_reset_its_sender<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { body_bytes: 10, ..limits() }, echo).await;
    let head = "POST / HTTP/1.1\r\ncontent-length: 3000\r\n\r\n";
    let mut stream = raw(&net, &server.address, head).await;
    for _ in 0..3 {
        sleep(SHORT).await;
        stream.write_all(&[b' '; 1000]).await.expect("the server reads on");
    }
    assert_status(&rest(&mut stream).await, "413");
    server.stop().await;
}

pub(crate) async fn large_headers_are_refused<N: Net>(net: N) {
    let limits = ServerLimits { header_bytes: 1024, ..limits() };
    let whole = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(1024));
    expect_refusal(&net, limits.clone(), &whole, "431").await;
    let endless = format!("GET / HTTP/1.1\r\na: {}", "a".repeat(1024));
    expect_refusal(&net, limits, &endless, "431").await;
}

pub(crate) async fn many_headers_are_refused<N: Net>(net: N) {
    for header_count in [4, limits().header_count] {
        let request = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(header_count + 1));
        expect_refusal(&net, ServerLimits { header_count, ..limits() }, &request, "431").await;
    }
}

pub(crate) async fn slow_headers_are_cut_off<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { header_read: AFTER_SHORT, ..limits() }, echo);
    let server = server.await;
    let mut stream = raw(&net, &server.address, "GET / HTTP/1.1\r\n").await;
    // Each byte comes soon after the one before; the head as a whole takes too long.
    let trickle = async {
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let write = async {
            for _ in 0..20 {
                sleep(SHORT / 2).await;
                let _ = writer.write_all(b"a: b\r\n").await;
            }
        };
        let (answer, ()) = tokio::join!(rest(&mut reader), write);
        answer
    };
    assert_status(&trickle.await, "408");
    server.stop().await;
}

pub(crate) async fn a_slow_body_is_cut_off<N: Net>(net: N) {
    let request = "POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n1";
    expect_refusal(&net, ServerLimits { body_read: SHORT, ..limits() }, request, "408").await;
}

pub(crate) async fn silence_is_cut_off_without_an_answer<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { header_read: SHORT, ..limits() }, echo).await;
    let mut stream = raw(&net, &server.address, "").await;
    assert_eq!(rest(&mut stream).await, "");
    server.stop().await;
}

pub(crate) async fn an_idle_connection_is_closed_without_an_answer<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { keep_alive: SHORT, ..limits() }, echo).await;
    let mut stream = raw(&net, &server.address, GET).await;
    let answer = rest(&mut stream).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer:?}");
    assert!(!answer.contains("connection: close"), "{answer:?}");
    server.stop().await;
}

pub(crate) async fn a_slow_handler_is_not_cut_off<N: Net>(net: N) {
    let slow = |request: Request| async move {
        sleep(AFTER_SHORT).await;
        echo(request).await
    };
    let limits = ServerLimits {
        header_read: SHORT,
        body_read: SHORT,
        keep_alive: SHORT,
        write: SHORT,
        ..limits()
    };
    let server = Running::start(&net, limits, slow).await;
    let client = Client::new(net, ClientLimits::default());
    assert_answered(post(&client, &server.address, "1").await, "1");
    server.stop().await;
}

pub(crate) async fn connections_beyond_the_cap_are_told_so<N: Net>(net: N) {
    let server = Running::start(&net, ServerLimits { connections: 1, ..limits() }, echo).await;
    let only = raw(&net, &server.address, "GET").await;
    let client = Client::new(net, ClientLimits::default());
    let (status, body) = post(&client, &server.address, "1").await.expect("an answer");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, r#"{"error":"too many connections are open"}"#);
    drop(only);
    sleep(SHORT).await;
    assert_answered(post(&client, &server.address, "1").await, "1");
    assert_eq!(server.stop().await, Served { connections: 2, refused: 1, ..Served::default() });
}

pub(crate) async fn a_flood_beyond_the_cap_is_just_closed<N: Net>(net: N) {
    let limits = ServerLimits { connections: 1, refusals: 1, linger: SECOND, ..limits() };
    let server = Running::start(&net, limits, echo).await;
    let _only = raw(&net, &server.address, "GET").await;
    // Takes the only place among the connections that are answered 503.
    let _second = raw(&net, &server.address, "").await;
    sleep(SHORT).await;
    let mut third = net.connect(&server.address).await.expect("a connection");
    assert_eq!(rest(&mut third).await, "");
    drop(_only);
    assert_eq!(server.stop().await.refused, 2);
}

pub(crate) async fn shutdown_finishes_what_is_in_flight<N: Net>(net: N) {
    let slow = |request: Request| async move {
        if request.path() == "/slow" {
            sleep(AFTER_SHORT).await;
        }
        echo(request).await
    };
    let server = Running::start(&net, limits(), slow).await;
    let address = server.address.clone();
    let client = Client::new(net.clone(), ClientLimits::default());
    let mut idle = raw(&net, &address, GET).await;
    let mut fresh = raw(&net, &address, "").await;
    let in_flight = post_within(&client, &address, "/slow", LONG);
    let stopping = async {
        sleep(SHORT).await;
        let late = Client::new(net.clone(), ClientLimits::default());
        let stop = tokio::spawn(server.stop());
        assert_eq!(rest(&mut idle).await.matches("HTTP/1.1 200").count(), 1);
        assert_eq!(rest(&mut fresh).await, "");
        assert!(!stop.is_finished(), "idle connections do not wait for busy ones");
        let error = post(&late, &address, "1").await.expect_err("no longer listening");
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
        stop.await.expect("no panic")
    };
    let (answer, served) = tokio::join!(in_flight, stopping);
    assert_answered(answer, "{}");
    assert_eq!(served, Served { connections: 3, ..Served::default() });
}

pub(crate) async fn shutdown_cuts_off_what_outlasts_the_drain<N: Net>(net: N) {
    let handler = Cancellable::default();
    let limits = ServerLimits { drain: SHORT, ..limits() };
    let server = Running::start(&net, limits, handler.clone()).await;
    let address = server.address.clone();
    let client = Client::new(net, ClientLimits::default());
    let stop = async {
        until("requests begun", &handler.begun, 1).await;
        server.stop().await
    };
    let (answer, served) = tokio::join!(post(&client, &address, "1"), stop);
    assert!(matches!(answer, Err(HttpError::Broken(_))), "{answer:?}");
    assert_eq!(served, Served { connections: 1, cut_off: 1, ..Served::default() });
    until("handlers cancelled", &handler.cancelled, 1).await;
}

pub(crate) async fn a_client_that_leaves_cancels_its_handler<N: Net>(net: N) {
    let handler = Cancellable::default();
    let server = Running::start(&net, limits(), handler.clone()).await;
    let stream = raw(&net, &server.address, GET).await;
    until("requests begun", &handler.begun, 1).await;
    assert_eq!(handler.cancelled.load(Ordering::SeqCst), 0);
    drop(stream);
    until("handlers cancelled", &handler.cancelled, 1).await;
    assert_eq!(server.stop().await.cut_off, 0);
}

/// `nc -N` is such a client. Until its answer comes, it is asked whether it is there.
pub(crate) async fn a_client_that_closes_its_sending_half_is_answered<N: Net>(net: N) {
    let slow = |request: Request| async move {
        sleep(SHORT).await;
        echo(request).await
    };
    let server = Running::start(&net, limits(), slow).await;
    for (version, asked) in [("1.1", true), ("1.0", false)] {
        let request = format!("POST / HTTP/{version}\r\nhost: a\r\ncontent-length: 2\r\n\r\n{{}}");
        let mut stream = raw(&net, &server.address, request).await;
        stream.shutdown().await.expect("an open connection");
        let answers = rest(&mut stream).await;
        let (before, answer) = answers.split_at(answers.rfind("HTTP/1.").expect("an answer"));
        assert!(answer.contains(" 200 OK\r\n") && answer.ends_with("{}"), "{version}: {answers:?}");
        assert_eq!(before.replace("HTTP/1.1 100 Continue\r\n\r\n", ""), "", "{version}");
        assert_eq!(!before.is_empty(), asked, "{version}: {before:?}");
    }
    // A client that closes its half in the middle of a request gets 400.
    let half = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{";
    let mut stream = raw(&net, &server.address, half).await;
    stream.shutdown().await.expect("an open connection");
    assert_status(&rest(&mut stream).await, "400");
    server.stop().await;
}

pub(crate) async fn requests_come_in_many_forms<N: Net>(net: N) {
    let server = Running::start(&net, limits(), echo).await;
    for request in [
        "\r\n\r\nPOST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}",
        "POST http://a/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "POST / HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         1;a=b\r\n{\r\n1\r\n}\r\n0\r\nsum: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\n\
         http2-settings: AAMAAABkAAQAAP__\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let mut stream = raw(&net, &server.address, request).await;
        let answer = rest(&mut stream).await;
        let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
        assert!(
            answer.contains(" 200 OK\r\n") && answer.ends_with("{}"),
            "{request:?}: {answer:?}"
        );
    }
    server.stop().await;
}

pub(crate) async fn other_protocols_are_told_what_is_spoken<N: Net>(net: N) {
    let http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    expect_refusal(&net, limits(), http2, "505").await;
    expect_refusal(&net, limits(), "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03", "400").await;
}

pub(crate) async fn a_request_that_is_dropped_cancels_its_handler<N: Net>(net: N) {
    let handler = Cancellable::default();
    let server = Running::start(&net, limits(), handler.clone()).await;
    let client = Client::new(net, ClientLimits::default());
    let call = {
        let (client, address) = (client.clone(), server.address.clone());
        tokio::spawn(async move { post(&client, &address, "1").await })
    };
    until("requests begun", &handler.begun, 1).await;
    call.abort();
    until("handlers cancelled", &handler.cancelled, 1).await;
    assert_eq!(client.connections().open, 0);
    server.stop().await;
}

pub(crate) async fn a_panic_costs_one_connection<N: Net>(net: N) {
    let handler = |request: Request| async move {
        assert_ne!(request.path(), "/panic", "on purpose");
        echo(request).await
    };
    let server = Running::start(&net, limits(), handler).await;
    let client = Client::new(net, ClientLimits::default());
    let answer = post_within(&client, &server.address, "/panic", LONG).await;
    assert!(matches!(answer, Err(HttpError::Broken(_))), "{answer:?}");
    assert_answered(post(&client, &server.address, "1").await, "1");
    assert_eq!(server.stop().await, Served { connections: 2, panicked: 1, ..Served::default() });
}
