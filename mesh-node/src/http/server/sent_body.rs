//! The bodies of answers as hyper sends them.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::watched_stream::{Phase, PhaseTracker};
use crate::http::response::{self, BodyStream};

/// A body that hyper asks for its next bytes. A streamed body tells the connection's watchdog when
/// bytes wait to be sent, and when it has come to its end.
pub(super) enum SentBody {
    Whole(Option<Bytes>),
    Stream { stream: BodyStream, sent_bytes: u64, progress: PhaseTracker },
}

impl SentBody {
    pub(super) fn new(body: response::ResponseBody, progress: &PhaseTracker) -> Self {
        match body {
            response::ResponseBody::Whole(bytes) => {
                Self::Whole((!bytes.is_empty()).then_some(bytes))
            }
            response::ResponseBody::Stream(stream) => {
                Self::Stream { stream, sent_bytes: 0, progress: progress.clone() }
            }
        }
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (stream, sent_bytes, progress) = match self.get_mut() {
            Self::Whole(bytes) => return Poll::Ready(bytes.take().map(|all| Ok(Frame::data(all)))),
            Self::Stream { stream, sent_bytes, progress } => (stream, sent_bytes, progress),
        };
        if progress.get().0 == Phase::Cutting {
            return Poll::Pending;
        }
        let piece = match ready!((stream.next)(cx)) {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return cut(progress, &error),
            None => {
                progress.enter(Phase::Writing);
                return Poll::Ready(None);
            }
        };
        *sent_bytes += piece.len() as u64;
        if *sent_bytes > stream.most_bytes {
            return cut(progress, &format_args!("more than {} bytes", stream.most_bytes));
        }
        // If bytes wait to be sent already, more of them must not count as progress of the client.
        if progress.get().0 != Phase::Streaming {
            progress.enter(Phase::Streaming);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}

/// Ends a body before its end. Were an error returned, hyper would drop what it has not written
/// yet, perhaps even the head. So the body stays pending until everything is written, and then the
/// socket fails (see `Phase::Cutting`).
fn cut<T>(progress: &PhaseTracker, reason: &dyn Display) -> Poll<T> {
    tracing::debug!(%reason, "a streamed answer is cut off");
    progress.enter(Phase::Cutting);
    Poll::Pending
}
