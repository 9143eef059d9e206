//! The answers of services: a status, header fields, and a body that is whole or a stream.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::media::JSON;

/// The answer of a service to an HTTP request. The functions below make the usual ones; the fields
/// are there for everything else.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The media type of the body. Not sent with 204.
    pub content_type: &'static str,
    /// The body, whole or a stream.
    pub body: ResponseBody,
    /// Header fields besides `content-type` and `content-length`.
    pub headers: HeaderMap,
}

/// The body of an answer.
pub enum ResponseBody {
    /// All of the body. Its length is told before it.
    Whole(Bytes),
    /// A body that is sent piece by piece as it arises: see [`Response::stream`].
    Stream(BodyStream),
}

/// Polled for the next piece of a body.
type NextPiece = dyn FnMut(&mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> + Send;

/// A streamed body: the source of its pieces, and the most bytes that they may have together.
pub struct BodyStream {
    pub(crate) next: Box<NextPiece>,
    pub(super) most_bytes: u64,
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(whole: T) -> Self {
        Self::Whole(whole.into())
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(bytes).finish(),
            Self::Stream(stream) => f.debug_tuple("Stream").field(&stream.most_bytes).finish(),
        }
    }
}

impl Response {
    /// An answer with a JSON document.
    pub fn json(status: StatusCode, body: impl Into<ResponseBody>) -> Self {
        Self { status, content_type: JSON, body: body.into(), headers: HeaderMap::new() }
    }

    /// An answer with plain text in UTF-8.
    pub fn text(status: StatusCode, body: impl Into<ResponseBody>) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self { status, content_type, body: body.into(), headers: HeaderMap::new() }
    }

    /// An answer with a body of unknown length, sent as its pieces come. It may have `most_bytes`.
    ///
    /// `next` is polled for the next piece, but only once the client has taken most of the pieces
    /// before it. It is dropped when it returns `None`, which ends the body; when the client
    /// leaves; when the body exceeds `most_bytes`; or when the client takes nothing for as long as
    /// [`write`](super::ServerLimits::write) allows.
    ///
    /// Unless the body came to its end without an error, the connection is closed in the middle of
    /// it, so that no HTTP/1.1 client takes it for complete. An HTTP/1.0 client can't tell, because
    /// there a closed connection ends every body. A server that shuts down waits for a stream as
    /// for any answer.
    ///
    /// ```
    /// use mesh_node::http::{Bytes, Response};
    ///
    /// let (events, mut receiver) = tokio::sync::mpsc::channel(16);
    /// let most_bytes = 64 << 20;
    /// let answer =
    ///     Response::stream("text/event-stream", most_bytes, move |cx| receiver.poll_recv(cx));
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// // Waits while the client is slow. An error means that the client has left.
    /// events.send(Ok(Bytes::from("data: hello\n\n"))).await.unwrap();
    /// # });
    /// ```
    pub fn stream(
        content_type: &'static str,
        most_bytes: u64,
        next: impl FnMut(&mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> + Send + 'static,
    ) -> Self {
        let body = ResponseBody::Stream(BodyStream { next: Box::new(next), most_bytes });
        Self { status: StatusCode::OK, content_type, body, headers: HeaderMap::new() }
    }

    /// A refusal with its reason, as JSON: `{"error": reason}`.
    pub fn error(status: StatusCode, reason: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": reason }).to_string())
    }

    /// 204 without a body: the request was carried out, and there is nothing to say.
    pub fn empty() -> Self {
        Self::text(StatusCode::NO_CONTENT, Bytes::new())
    }

    /// Adds a header field whose value is a number.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: u64) -> Self {
        self.headers.insert(name, HeaderValue::from(value));
        self
    }

    /// The head for hyper, and the body. With `close`, the head says that the connection ends.
    pub(super) fn into_parts(self, close: bool) -> (hyper::Response<()>, ResponseBody) {
        let mut head = hyper::Response::new(());
        *head.status_mut() = self.status;
        *head.headers_mut() = self.headers;
        let headers = head.headers_mut();
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        (head, self.body)
    }

    /// This answer as bytes, with `connection: close`: the last answer of a connection that hyper
    /// does not drive any more. Only refusals are written in this way, and their bodies are whole.
    pub(super) fn to_last_bytes(&self) -> Vec<u8> {
        let body = match &self.body {
            ResponseBody::Whole(body) => &body[..],
            ResponseBody::Stream(_) => &[],
        };
        let mut bytes = format!(
            "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.status,
            self.content_type,
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
