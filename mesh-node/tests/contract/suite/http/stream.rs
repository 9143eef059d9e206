//! What streamed answers promise.

use std::io;

use mesh_node::http::StreamedAnswer;
use tokio::sync::mpsc;

use super::*;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// A handler that answers `/events` with a stream of at most `most_bytes`, whose sending end it
/// hands out, and every other path with the request's body.
fn events(most_bytes: u64) -> (impl Handler, mpsc::Receiver<Pieces>) {
    let (streams, begun) = mpsc::channel(8);
    let handler = move |request: Request| {
        let streams = streams.clone();
        async move {
            if request.path() != "/events" {
                return echo(request).await;
            }
            let (pieces, mut receiver) = mpsc::channel(1);
            streams.send(pieces).await.expect("somebody wants to send");
            Response::stream("text/event-stream", most_bytes, move |cx| receiver.poll_recv(cx))
        }
    };
    (handler, begun)
}

async fn say(pieces: &Pieces, text: &'static str) {
    pieces.send(Ok(Bytes::from_static(text.as_bytes()))).await.expect("the client is there");
}

/// Asks for the events: the answer, and the end that sends them.
async fn listen<N: Net>(
    client: &Client<N>,
    address: &str,
    begun: &mut mpsc::Receiver<Pieces>,
) -> (StreamedAnswer, Pieces) {
    let answer = client.stream(address, (Method::GET, "/events"), 100, LONG);
    // The head comes before the first piece.
    let (answer, pieces) = tokio::join!(answer, begun.recv());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    (answer, pieces.expect("a stream"))
}

pub(crate) async fn a_stream_comes_piece_by_piece<N: Net>(net: N) {
    let (handler, mut begun) = events(100);
    // Time without a piece does not count as slowness of the client.
    let limits = ServerLimits { write: SHORT, keep_alive: SHORT, ..limits() };
    let server = Running::start(&net, limits, handler).await;
    let client = Client::new(net, ClientLimits::default());
    let (mut answer, pieces) = listen(&client, &server.address, &mut begun).await;
    for text in ["data: 1\n\n", "data: 2\n\n"] {
        sleep(AFTER_SHORT).await;
        say(&pieces, text).await;
        assert_eq!(answer.next(LONG).await.expect("a piece"), Some(Bytes::from(text)));
    }
    let none = answer.next(SHORT).await.expect_err("nothing was sent");
    assert!(matches!(none, HttpError::Timeout { sent: true }), "{none:?}");
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 0 });
    drop(pieces);
    assert_eq!(answer.next(LONG).await.expect("the end"), None);
    assert_eq!(client.connections(), ConnectionCounts { open: 1, idle: 1 });
    assert_answered(post(&client, &server.address, "1").await, "1");
    assert_eq!(server.stop().await.connections, 1, "the connection is as good as new");
}

pub(crate) async fn a_stream_ends_when_its_client_leaves<N: Net>(net: N) {
    let (handler, mut begun) = events(100);
    let server = Running::start(&net, limits(), handler).await;
    let client = Client::new(net, ClientLimits::default());
    // Before the first piece, and after one.
    for texts in [&[][..], &["data: 1\n\n"]] {
        let (mut answer, pieces) = listen(&client, &server.address, &mut begun).await;
        for text in texts {
            say(&pieces, text).await;
            answer.next(LONG).await.expect("a piece");
        }
        drop(answer);
        assert_eq!(client.connections().open, 0);
        timeout(LONG, pieces.closed()).await.expect("it is seen to leave");
    }
    server.stop().await;
}

pub(crate) async fn a_stream_that_goes_no_further_is_not_taken_for_complete<N: Net>(net: N) {
    let (handler, mut begun) = events(10);
    let server = Running::start(&net, limits(), handler).await;
    let client = Client::new(net.clone(), ClientLimits::default());
    for last in [Ok(Bytes::from_static(b"67890!")), Err(io::Error::other("no more"))] {
        let (mut answer, pieces) = listen(&client, &server.address, &mut begun).await;
        say(&pieces, "12345").await;
        pieces.send(last).await.expect("the client is there");
        assert_eq!(answer.next(LONG).await.expect("a piece"), Some(Bytes::from("12345")));
        let error = answer.next(LONG).await.expect_err("cut off");
        assert!(matches!(error, HttpError::Broken(_)), "{error:?}");
        assert_eq!(answer.next(LONG).await.expect("nothing more"), None);
        timeout(LONG, pieces.closed()).await.expect("nobody waits for more");
    }
    // What was sent before is not lost, though all comes at once.
    let request = "GET /events HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut stream = raw(&net, &server.address, request).await;
    let pieces = begun.recv().await.expect("a stream");
    say(&pieces, "1234567890").await;
    say(&pieces, "1").await;
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("\r\n\r\nA\r\n1234567890\r\n"), "{answer:?}");
    server.stop().await;
}

pub(crate) async fn a_client_refuses_a_stream_that_is_too_long<N: Net>(net: N) {
    let (handler, mut begun) = events(u64::MAX);
    let server = Running::start(&net, limits(), handler).await;
    let client = Client::new(net, ClientLimits::default());
    let (mut answer, pieces) = listen(&client, &server.address, &mut begun).await;
    pieces.send(Ok(Bytes::from(vec![b' '; 101]))).await.expect("the client is there");
    let error = loop {
        match answer.next(LONG).await {
            Ok(piece) => assert!(piece.is_some(), "it is no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, HttpError::TooLarge { limit: 100 }), "{error:?}");
    assert_eq!(client.connections().open, 0);
    server.stop().await;
}

pub(crate) async fn the_head_of_a_stream_is_an_answer_to_head<N: Net>(net: N) {
    let (handler, mut begun) = events(100);
    let server = Running::start(&net, limits(), handler).await;
    let requests = "HEAD /events HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    let answers = rest(&mut raw(&net, &server.address, requests).await).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers:?}");
    begun.recv().await.expect("a stream").closed().await;
    server.stop().await;
}
