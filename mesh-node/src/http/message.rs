//! Requests and answers as a handler sees them: whole bodies, no streams.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode, Uri};

use super::media::{self, JSON};

/// What a request wants of a service, by its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET, or HEAD: its answer is the same, and sent without its body.
    Get,
    /// POST.
    Post,
    /// No service takes it.
    Other,
}

/// A request that has arrived in full.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST ...
    pub method: Method,
    /// The target as it was sent.
    pub uri: Uri,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body; empty if there was none.
    pub body: Bytes,
    /// Who sent it.
    pub peer: SocketAddr,
}

impl Request {
    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The path as services know it: without the slash that some clients put at its end, or before
    /// it when they join it to a URL that ends in one.
    pub fn route(&self) -> &str {
        let path = self.path();
        match path.trim_start_matches('/') {
            "" => "/",
            name => {
                let start = (path.len() - name.len()).saturating_sub(1);
                path[start..].trim_end_matches('/')
            }
        }
    }

    /// What the method wants of a service.
    pub fn verb(&self) -> Verb {
        match self.method {
            Method::GET | Method::HEAD => Verb::Get,
            Method::POST => Verb::Post,
            _ => Verb::Other,
        }
    }

    /// What follows the `?`, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Demands a body that is called JSON by one of its names, in UTF-8 and not compressed.
    ///
    /// A missing type is refused too: any web page may make its reader's browser post a body of no
    /// type, or of a plain one, to an address inside the reader's network, but not one of JSON's.
    ///
    /// # Errors
    /// The 415 to answer with.
    pub fn require_json(&self) -> Result<(), Box<Response>> {
        media::check_json(&self.headers).map_err(|reason| {
            let mut refusal = Response::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason);
            refusal.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            refusal.into()
        })
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The body's media type.
    pub content_type: &'static str,
    /// The whole body.
    pub body: Bytes,
    /// Further header fields.
    pub headers: HeaderMap,
}

impl Response {
    /// A JSON document.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: JSON, body: body.into(), headers: HeaderMap::new() }
    }

    /// Plain text.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self { status, content_type, body: body.into(), headers: HeaderMap::new() }
    }

    /// A refusal with its reason: `{"error": reason}`.
    pub fn error(status: StatusCode, reason: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": reason }).to_string())
    }

    /// The answer to a path that is not served, where these are (`"POST /rpc, GET /healthz"`): 404,
    /// unless the request asks for the options of the server as a whole.
    pub fn not_found(request: &Request, served: &str) -> Self {
        if request.path() == "*" {
            return Self::other_method(request, "GET, HEAD, POST, OPTIONS");
        }
        Self::error(StatusCode::NOT_FOUND, &format!("no such path; served here: {served}"))
    }

    /// The answer to a method that a path does not take, where it takes those in `allow`: 405, or
    /// 204 if it is OPTIONS, which asks for them. No answer of ours has the header fields by which
    /// a browser lets other sites' pages read it or send more than they may unasked.
    pub fn other_method(request: &Request, allow: &'static str) -> Self {
        let mut response = match request.method {
            Method::OPTIONS => Self::empty(),
            _ => Self::error(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allow}")),
        };
        response.headers.insert(ALLOW, HeaderValue::from_static(allow));
        response
    }

    /// [`Self::other_method`] of a path to GET.
    pub fn only_get(request: &Request) -> Self {
        Self::other_method(request, "GET, HEAD, OPTIONS")
    }

    /// [`Self::other_method`] of a path to POST to.
    pub fn only_post(request: &Request) -> Self {
        Self::other_method(request, "POST, OPTIONS")
    }

    /// 204: done, and there is nothing to say.
    pub fn empty() -> Self {
        Self::text(StatusCode::NO_CONTENT, Bytes::new())
    }

    /// Adds a header field with a number for its value.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: u64) -> Self {
        self.headers.insert(name, HeaderValue::from(value));
        self
    }

    /// The message that hyper sends; `close` ends the connection after it.
    pub(super) fn into_hyper(self, close: bool) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The bytes of this answer as the last one of a connection that hyper does not drive.
    pub(super) fn to_last_bytes(&self) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What answers requests. Any `async` closure from [`Request`] to [`Response`] is one.
///
/// The future is dropped if the client hangs up before the answer, so whatever it holds must free
/// itself on drop. A client that only closes its sending half gets its answer: see
/// [`half_closed`](super::ServerLimits::half_closed). Exception: a client that has already sent bytes
/// of its next request is not seen to hang up until the answer is written.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send,
{
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send {
        self(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, uri: &'static str) -> Request {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let uri = Uri::from_static(uri);
        Request { method, uri, headers: HeaderMap::new(), body: Bytes::new(), peer }
    }

    #[test]
    fn a_target_splits_at_its_question_mark() {
        let posted = request(Method::POST, "http://host/rpc/?a=1");
        assert_eq!((posted.path(), posted.route(), posted.query()), ("/rpc/", "/rpc", Some("a=1")));
        for (path, route) in [("/", "/"), ("//", "/"), ("//rpc", "/rpc"), ("//a//b//", "/a//b")] {
            assert_eq!(request(Method::POST, path).route(), route);
        }
    }

    #[test]
    fn a_405_and_options_name_what_is_allowed() {
        let answer = |method, uri| Response::only_get(&request(method, uri)).into_hyper(false);
        let response = answer(Method::DELETE, "/healthz");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD, OPTIONS");
        assert!(!response.headers().contains_key(CONNECTION));
        let response = answer(Method::OPTIONS, "/healthz");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD, OPTIONS");
        let response = Response::not_found(&request(Method::OPTIONS, "*"), "").into_hyper(false);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }

    #[test]
    fn last_bytes_are_a_complete_message() {
        let bytes = Response::error(StatusCode::REQUEST_TIMEOUT, "too slow").to_last_bytes();
        assert_eq!(
            String::from_utf8(bytes).expect("text"),
            "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n\
             content-length: 20\r\nconnection: close\r\n\r\n{\"error\":\"too slow\"}"
        );
    }
}
