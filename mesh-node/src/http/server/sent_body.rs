//! Bodies on their way to the client.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::watched::{Phase, PhaseTracker};
use crate::http::response::{self, BodyStream};

/// What hyper sends. A streamed body tells the connection's watchdog when there is something to be
/// sent, and when the rest of the answer is like that of any other.
pub(super) enum SentBody {
    Whole(Option<Bytes>),
    Stream { stream: BodyStream, sent: u64, progress: PhaseTracker },
}

impl SentBody {
    pub(super) fn new(body: response::ResponseBody, progress: &PhaseTracker) -> Self {
        match body {
            response::ResponseBody::Whole(bytes) => {
                Self::Whole((!bytes.is_empty()).then_some(bytes))
            }
            response::ResponseBody::Stream(stream) => {
                Self::Stream { stream, sent: 0, progress: progress.clone() }
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
        let (stream, sent, progress) = match self.get_mut() {
            Self::Whole(bytes) => return Poll::Ready(bytes.take().map(|all| Ok(Frame::data(all)))),
            Self::Stream { stream, sent, progress } => (stream, sent, progress),
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
        *sent += piece.len() as u64;
        if *sent > stream.most_bytes {
            return cut(progress, &format_args!("more than {} bytes", stream.most_bytes));
        }
        // If something waits to be sent already, more of it is no progress of the client's.
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

/// Ends a body before its end. An error would have hyper drop what it has not written yet, the head
/// perhaps; so the body is pending until all of that is written, and the socket fails then.
fn cut<T>(progress: &PhaseTracker, reason: &dyn Display) -> Poll<T> {
    tracing::debug!(%reason, "a streamed answer is cut off");
    progress.enter(Phase::Cutting);
    Poll::Pending
}
