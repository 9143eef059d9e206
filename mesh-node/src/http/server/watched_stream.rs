//! The phases of a connection, each with its own time limit, and the stream that tells them by the
//! bytes that pass through it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::client_presence::{ClientPresence, FirstBytes, HalfClosed};
use crate::http::ServerLimits;

/// What a connection is doing. Each change of phase starts that phase's time limit anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The connection is open, and not a byte has been read.
    Fresh,
    /// Reading the headers of a request.
    Head,
    /// Reading a body. The code that reads it has its own timeout.
    ReadingBody,
    /// Running the handler.
    Handling,
    /// Running the handler for a client of HTTP/1.0.
    HandlingHttp10,
    /// Writing a whole answer, or what follows the last piece of a streamed one.
    Writing,
    /// In the middle of a streamed answer, while bytes wait to be written.
    Streaming,
    /// In the middle of a streamed answer, while it waits for its next piece.
    StreamIdle,
    /// Writing what is left of a streamed answer that was cut off. The connection is closed after
    /// it.
    Cutting,
    /// Writing the answer to a request that was not read to its end. This is the last phase.
    Refusing,
    /// Between two requests.
    Idle,
}

impl Phase {
    /// How long a connection may stay in this phase.
    pub(super) fn limit(self, limits: &ServerLimits) -> Option<Duration> {
        match self {
            Self::Fresh | Self::Head => Some(limits.header_read),
            Self::ReadingBody | Self::Handling | Self::HandlingHttp10 | Self::StreamIdle => None,
            Self::Writing | Self::Streaming | Self::Cutting | Self::Refusing => Some(limits.write),
            Self::Idle => Some(limits.keep_alive),
        }
    }
}

/// The phase of one connection, and a count of its changes. Clones share both.
///
/// The task that drives the connection reads it after each poll. All writers run inside of that
/// poll, so no memory ordering is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct PhaseTracker(Arc<AtomicU64>);

impl PhaseTracker {
    /// How many bits of the value hold the phase; the others count the changes.
    const PHASE_BITS: u32 = 4;
    const PHASES: [Phase; 11] = [
        Phase::Fresh,
        Phase::Head,
        Phase::ReadingBody,
        Phase::Handling,
        Phase::HandlingHttp10,
        Phase::Writing,
        Phase::Streaming,
        Phase::StreamIdle,
        Phase::Cutting,
        Phase::Refusing,
        Phase::Idle,
    ];

    /// The current phase, and a number that differs from that of every other time in any phase of
    /// this connection.
    pub(super) fn get(&self) -> (Phase, u64) {
        let value = self.0.load(Ordering::Relaxed);
        let phase = value & ((1 << Self::PHASE_BITS) - 1);
        (Self::PHASES[phase as usize], value)
    }

    /// The network has accepted bytes. In the middle of a streamed answer, that starts the time
    /// limit anew.
    fn note_written(&self) {
        if self.get().0 == Phase::Streaming {
            self.enter(Phase::Streaming);
        }
    }

    /// Enters a phase, and so starts its time limit.
    pub(super) fn enter(&self, phase: Phase) {
        let changes = (self.0.load(Ordering::Relaxed) >> Self::PHASE_BITS) + 1;
        self.0.store(changes << Self::PHASE_BITS | phase as u64, Ordering::Relaxed);
    }
}

/// The stream of a connection. It tells the phases from the bytes that pass through it, and looks
/// after the client while a handler runs.
pub(super) struct WatchedStream<S> {
    stream: S,
    progress: PhaseTracker,
    client: ClientPresence,
    first_bytes: FirstBytes,
}

impl<S> WatchedStream<S> {
    /// `half_closed`: see [`ServerLimits::half_closed`].
    pub(super) fn new(stream: S, progress: PhaseTracker, half_closed: bool) -> Self {
        Self {
            stream,
            progress,
            client: ClientPresence::new(half_closed),
            first_bytes: FirstBytes::default(),
        }
    }

    /// Which protocol the client speaks.
    pub(super) fn first_bytes(&self) -> FirstBytes {
        self.first_bytes
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match self.client.take_read_ahead() {
            Some(byte) => buf.put_slice(&[byte]),
            None => ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?,
        }
        let phase = self.progress.get().0;
        let is_new = buf.filled().len() > before;
        if phase == Phase::Fresh && is_new {
            self.first_bytes = FirstBytes::of(&buf.filled()[before..]);
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

    /// hyper flushes the stream whenever it is polled, and only once everything that it has
    /// buffered is written. So a flush marks the end of an answer, and is a good moment to look
    /// after the client.
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
            // HTTP/1.0 has no interim answer that could be sent to ask.
            Phase::HandlingHttp10 => HalfClosed::Waits,
            // In the middle of an answer, a question would become a part of it.
            Phase::Streaming | Phase::StreamIdle => HalfClosed::HasLeft,
            _ => return Poll::Ready(Ok(())),
        };
        Poll::Ready(this.client.check_present(&mut this.stream, half_closed, cx))
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
