//! Answers: a status, header fields and a body that is whole or a stream.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::media::JSON;

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The body's media type.
    pub content_type: &'static str,
    /// The body.
    pub body: ResponseBody,
    /// Further header fields.
    pub headers: HeaderMap,
}

/// The body of an answer.
pub enum ResponseBody {
    /// All of it, whose length is told before it.
    Whole(Bytes),
    /// Piece by piece, as they come: see [`Response::stream`].
    Stream(BodyStream),
}

/// Is polled for the next piece of a body.
type NextPiece = dyn FnMut(&mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> + Send;

/// The pieces of a streamed body and the limit on them.
pub struct BodyStream {
    pub(super) next: Box<NextPiece>,
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
    /// A JSON document.
    pub fn json(status: StatusCode, body: impl Into<ResponseBody>) -> Self {
        Self { status, content_type: JSON, body: body.into(), headers: HeaderMap::new() }
    }

    /// Plain text.
    pub fn text(status: StatusCode, body: impl Into<ResponseBody>) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self { status, content_type, body: body.into(), headers: HeaderMap::new() }
    }

    /// A body of unknown length, of `most_bytes` at most, sent as its pieces come.
    ///
    /// `next` is polled for the next piece, but only once the client has taken most of those before
    /// it. It is dropped when it is ready with `None`, which ends the body; when the client leaves;
    /// when the body exceeds its bytes; or when the client takes nothing for as long as
    /// [`write`](super::ServerLimits::write) allows. Unless it came to its end, and without an
    /// error, the connection is closed in the middle of the body, so that no HTTP/1.1 client takes
    /// that for complete. An HTTP/1.0 client can't tell: there, a closed connection ends every body.
    /// A server that shuts down waits for it as for any answer.
    ///
    /// ```
    /// use mesh_node::http::{Bytes, Response};
    ///
    /// let (events, mut receiver) = tokio::sync::mpsc::channel(16);
    /// let most_bytes = 64 << 20;
    /// let answer =
    ///     Response::stream("text/event-stream", most_bytes, move |cx| receiver.poll_recv(cx));
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// // Waits while the client is slow. An error: the client has left.
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

    /// A refusal with its reason: `{"error": reason}`.
    pub fn error(status: StatusCode, reason: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": reason }).to_string())
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

    /// The head that hyper sends, and the body; `close` ends the connection after it.
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

    /// The bytes of this answer as the last one of a connection that hyper does not drive. Only
    /// refusals are written so, and their bodies are whole.
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
