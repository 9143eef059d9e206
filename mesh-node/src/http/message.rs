//! Requests and answers as a handler sees them: whole bodies, no streams.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode, Uri};

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

    /// What follows the `?`, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Demands a body of type `application/json`, with or without parameters.
    ///
    /// A missing type is refused too: any web page may make its reader's browser post a body of no
    /// type, or of a plain one, to an address inside the reader's network, but not one of this.
    ///
    /// # Errors
    /// The 415 to answer with.
    pub fn require_json(&self) -> Result<(), Response> {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        if essence.trim().eq_ignore_ascii_case(JSON) {
            return Ok(());
        }
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(Response::error(status, "send the body as content-type: application/json"))
    }
}

const JSON: &str = "application/json";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The body's media type.
    pub content_type: &'static str,
    /// The whole body.
    pub body: Bytes,
    /// The methods that a 405 names as allowed.
    pub allow: Option<&'static str>,
}

impl Response {
    /// A JSON document.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: JSON, body: body.into(), allow: None }
    }

    /// Plain text.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self { status, content_type, body: body.into(), allow: None }
    }

    /// A refusal with its reason: `{"error": reason}`.
    pub fn error(status: StatusCode, reason: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": reason }).to_string())
    }

    /// 404: nothing is served at this path.
    pub fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "no such path")
    }

    /// 405: this path is served, but only for the methods in `allow` (`"GET, POST"`).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut response =
            Self::error(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allow}"));
        response.allow = Some(allow);
        response
    }

    /// The message that hyper sends; `close` ends the connection after it.
    pub(super) fn into_hyper(self, close: bool) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
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
/// The future is dropped if the client hangs up before the answer (closing only its sending half
/// counts), so whatever it holds must free itself on drop. Exception: a client that has already
/// sent bytes of its next request is not seen to hang up until the answer is written.
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

    fn posted_as(content_type: Option<&'static str>) -> Request {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let uri = Uri::from_static("/rpc?a=1");
        Request { method: Method::POST, uri, headers, body: Bytes::new(), peer }
    }

    #[test]
    fn json_is_recognised_whatever_its_spelling() {
        for good in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            assert_eq!(posted_as(Some(good)).require_json(), Ok(()), "{good}");
        }
        for bad in [None, Some("text/plain"), Some("application/jsonp"), Some("")] {
            let refusal = posted_as(bad).require_json().expect_err("not JSON");
            assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }

    #[test]
    fn a_target_splits_at_its_question_mark() {
        let request = posted_as(None);
        assert_eq!((request.path(), request.query()), ("/rpc", Some("a=1")));
    }

    #[test]
    fn a_405_names_what_is_allowed() {
        let response = Response::method_not_allowed("GET, POST").into_hyper(false);
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, POST");
        assert!(!response.headers().contains_key(CONNECTION));
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
