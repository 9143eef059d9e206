//! What is decided about a request before its body is read.

use mesh_node::http::{Head, RequestCheck, RequestChecks, Route, RoutedService, Service};

use super::*;

#[derive(Clone, Copy)]
enum Endpoint {
    Echo,
    Short,
    Fixed,
}

/// Counts the requests that reach it, and the answers that it is told of.
#[derive(Clone, Default)]
struct Counting {
    reached: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl Service for Counting {
    type Endpoint = Endpoint;
    const ROUTES: &'static [Route<Endpoint>] = &[
        Route::post_json("/echo", Endpoint::Echo),
        Route::post_json("/short", Endpoint::Short).with_body_bytes(4),
        Route::get("/short", Endpoint::Fixed),
    ];

    async fn answer(&self, endpoint: Endpoint, request: Request) -> Response {
        self.reached.fetch_add(1, Ordering::SeqCst);
        match endpoint {
            Endpoint::Echo | Endpoint::Short => echo(request).await,
            Endpoint::Fixed => Response::text(StatusCode::OK, "fixed"),
        }
    }

    fn answered(&self, _: Option<&'static str>, _: StatusCode) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }
}

fn refuse(status: StatusCode, reason: &str) -> Result<(), Box<Response>> {
    Err(Response::error(status, reason).into())
}

/// A check that wants a key.
fn has_key(head: &Head) -> Result<(), Box<Response>> {
    match head.header("x-key") {
        Some("open sesame") => Ok(()),
        Some(_) => refuse(StatusCode::FORBIDDEN, "that is no key"),
        None => refuse(StatusCode::UNAUTHORIZED, "no key"),
    }
}

/// A check that wants the right host name.
struct Named(&'static str);

impl RequestCheck for Named {
    fn check(&self, head: &Head) -> Result<(), Box<Response>> {
        let is_known = head.header("host") == Some(self.0) && head.client.ip().is_loopback();
        if is_known { Ok(()) } else { refuse(StatusCode::MISDIRECTED_REQUEST, "not its name") }
    }
}

const HEAD: &str = "POST /echo HTTP/1.1\r\ncontent-type: application/json\r\n\
                    content-length: 2\r\nexpect: 100-continue\r\n";

pub(crate) async fn a_refused_request_does_not_send_its_body<N: Net>(net: N) {
    let service = Counting::default();
    let checks = RequestChecks::default().and(Named("a")).and(has_key);
    let server = Running::start(&net, limits(), RoutedService::new(service.clone(), checks)).await;
    for (fields, status) in
        [("host: b\r\n", "421"), ("host: a\r\n", "401"), ("host: a\r\nx-key: guess\r\n", "403")]
    {
        let mut stream = raw(&net, &server.address, format!("{HEAD}{fields}\r\n")).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer:?}");
        assert!(answer.contains("connection: close"), "what follows may be the body: {answer:?}");
    }
    assert_eq!(service.reached.load(Ordering::SeqCst), 0);
    let head = format!("{HEAD}host: a\r\nx-key: open sesame\r\nconnection: close\r\n\r\n");
    let mut stream = raw(&net, &server.address, head).await;
    let mut asked = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked).await.expect("the body is wanted");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.expect("room for a body");
    assert!(rest(&mut stream).await.ends_with("{}"));
    assert_eq!(service.reached.load(Ordering::SeqCst), 1);
    assert_eq!(service.answered.load(Ordering::SeqCst), 4);
    server.stop().await;
}

pub(crate) async fn a_refusal_without_a_body_keeps_the_connection<N: Net>(net: N) {
    let checks = RequestChecks::default().and(has_key);
    let server =
        Running::start(&net, limits(), RoutedService::new(Counting::default(), checks)).await;
    let requests = "GET /short HTTP/1.1\r\n\r\n\
                    GET /short HTTP/1.1\r\nx-key: open sesame\r\nconnection: close\r\n\r\n";
    let answers = rest(&mut raw(&net, &server.address, requests).await).await;
    let (refusal, answer) = answers.split_at(answers.rfind("HTTP/1.1").expect("an answer"));
    assert!(refusal.contains(" 401 ") && refusal.ends_with("{\"error\":\"no key\"}"), "{refusal}");
    assert!(answer.contains(" 200 OK") && answer.ends_with("fixed"), "{answer}");
    server.stop().await;
}

pub(crate) async fn a_table_decides_what_is_read_and_who_answers<N: Net>(net: N) {
    let service = Counting::default();
    let handler = RoutedService::new(service.clone(), RequestChecks::default());
    let server = Running::start(&net, limits(), handler).await;
    let ask = async |request: &str, body: &str| {
        let head = format!(
            "{request} HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        rest(&mut raw(&net, &server.address, head).await).await
    };
    for (request, body, parts) in [
        ("POST /short", "1234", &[" 200 OK", "\r\n\r\n1234"][..]),
        ("POST /short", "12345", &[" 413 ", "body larger than 4 bytes"]),
        ("POST //echo/?a=b", "12345", &[" 200 OK", "\r\n\r\n12345"]),
        ("GET /short", "", &[" 200 OK", "\r\n\r\nfixed"]),
        ("GET /short", "12345", &[" 200 OK", "\r\n\r\nfixed"]),
        ("HEAD /short", "", &[" 200 OK", "content-length: 5\r\n"]),
        ("DELETE /short", "", &[" 405 ", "allow: GET, HEAD, POST, OPTIONS\r\n"]),
        ("GET /echo", "", &[" 405 ", "allow: POST, OPTIONS\r\n", "allowed here: POST, OPTIONS"]),
        ("OPTIONS /echo", "", &[" 204 ", "allow: POST, OPTIONS\r\n"]),
        ("OPTIONS *", "", &[" 204 ", "allow: GET, HEAD, POST, OPTIONS\r\n"]),
        ("POST /other", "{}", &[" 404 ", "served here: POST /echo, POST /short, GET /short"]),
    ] {
        let answer = ask(request, body).await;
        assert!(parts.iter().all(|part| answer.contains(part)), "{request}: {answer}");
    }
    assert_eq!(service.reached.load(Ordering::SeqCst), 5);
    let as_text = "POST /echo HTTP/1.1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let answer = rest(&mut raw(&net, &server.address, as_text).await).await;
    assert!(answer.contains(" 415 ") && answer.contains("accept-encoding: identity"), "{answer}");
    server.stop().await;
}
