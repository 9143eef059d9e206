//! The phases of a connection, each with a time limit of its own, as its socket shows them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::presence::{ClientPresence, FirstBytes, HalfClosed};
use crate::http::ServerLimits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Open, and not a byte read yet.
    Fresh,
    /// Reading the headers of a request.
    Head,
    /// Reading a body; timed where it is done.
    Receiving,
    /// Running the handler.
    Handling,
    /// The same for a client of HTTP/1.0.
    HandlingOld,
    /// Writing an answer, or what follows the last piece of a streamed one.
    Writing,
    /// In the middle of a streamed answer, with something to be written.
    Streaming,
    /// In the middle of a streamed answer, waiting for its next piece.
    StreamIdle,
    /// Writing what there is of a streamed answer that goes no further.
    Cutting,
    /// Writing the answer to a request that was not read to its end; the last phase.
    Refusing,
    /// Between two requests.
    Idle,
}

impl Phase {
    /// How long a connection may stay in this phase.
    pub(super) fn limit(self, limits: &ServerLimits) -> Option<Duration> {
        match self {
            Self::Fresh | Self::Head => Some(limits.header_read),
            Self::Receiving | Self::Handling | Self::HandlingOld | Self::StreamIdle => None,
            Self::Writing | Self::Streaming | Self::Cutting | Self::Refusing => Some(limits.write),
            Self::Idle => Some(limits.keep_alive),
        }
    }
}

/// The phase of one connection, and how often it has changed.
///
/// The task that drives the connection reads it after each poll. All writers run inside that poll,
/// so no memory ordering is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct PhaseTracker(Arc<AtomicU64>);

impl PhaseTracker {
    /// Bits of the value that are the phase.
    const PHASE_BITS: u32 = 4;
    const PHASES: [Phase; 11] = [
        Phase::Fresh,
        Phase::Head,
        Phase::Receiving,
        Phase::Handling,
        Phase::HandlingOld,
        Phase::Writing,
        Phase::Streaming,
        Phase::StreamIdle,
        Phase::Cutting,
        Phase::Refusing,
        Phase::Idle,
    ];

    /// The current phase, and a number that no other stay in any phase of this connection has.
    pub(super) fn get(&self) -> (Phase, u64) {
        let value = self.0.load(Ordering::Relaxed);
        let phase = value & ((1 << Self::PHASE_BITS) - 1);
        (Self::PHASES[phase as usize], value)
    }

    /// The network has accepted bytes: of a streamed answer, that is progress.
    fn note_written(&self) {
        if self.get().0 == Phase::Streaming {
            self.enter(Phase::Streaming);
        }
    }

    /// Enters a phase.
    pub(super) fn enter(&self, phase: Phase) {
        let changes = (self.0.load(Ordering::Relaxed) >> Self::PHASE_BITS) + 1;
        self.0.store(changes << Self::PHASE_BITS | phase as u64, Ordering::Relaxed);
    }
}

/// A socket that notes what passes through it, and looks after the client while a handler runs.
pub(super) struct WatchedStream<S> {
    stream: S,
    progress: PhaseTracker,
    client: ClientPresence,
    opening: FirstBytes,
}

impl<S> WatchedStream<S> {
    /// `half_closed`: see [`ServerLimits::half_closed`].
    pub(super) fn new(stream: S, progress: PhaseTracker, half_closed: bool) -> Self {
        Self {
            stream,
            progress,
            client: ClientPresence::new(half_closed),
            opening: FirstBytes::default(),
        }
    }

    /// What the first bytes look like.
    pub(super) fn opening(&self) -> FirstBytes {
        self.opening
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match self.client.take_ahead() {
            Some(byte) => buf.put_slice(&[byte]),
            None => ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?,
        }
        let phase = self.progress.get().0;
        let is_new = buf.filled().len() > before;
        if phase == Phase::Fresh && is_new {
            self.opening = FirstBytes::of(&buf.filled()[before..]);
        }
        if matches!(phase, Phase::Fresh | Phase::Idle) && is_new {
            self.progress.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.progress.note_written();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.progress.note_written();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes the stream only once all that it has buffered is written, and whenever it is
    /// polled.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        let phase = this.progress.get().0;
        match phase {
            Phase::Writing => this.progress.enter(Phase::Idle),
            Phase::Streaming => this.progress.enter(Phase::StreamIdle),
            Phase::Cutting => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            _ => {}
        }
        let half_closed = match phase {
            Phase::Handling => HalfClosed::Ask,
            // It has no answer that could be sent to ask.
            Phase::HandlingOld => HalfClosed::Waits,
            // A question would be taken for a part of the answer.
            Phase::Streaming | Phase::StreamIdle => HalfClosed::HasLeft,
            _ => return Poll::Ready(Ok(())),
        };
        Poll::Ready(this.client.must_be_there(&mut this.stream, half_closed, cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_back_to_a_phase_is_a_new_stay() {
        let progress = PhaseTracker::default();
        assert_eq!(progress.get().0, Phase::Fresh);
        let mut stays = vec![progress.get().1];
        for phase in PhaseTracker::PHASES.iter().chain(&PhaseTracker::PHASES) {
            progress.enter(*phase);
            assert_eq!(progress.get().0, *phase);
            assert!(!stays.contains(&progress.get().1));
            stays.push(progress.get().1);
        }
    }
}
