//! What a connection is doing, seen from its socket, so that each doing has its own time limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::client::{Client, Opening};
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
    /// Writing an answer.
    Writing,
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
            Self::Receiving | Self::Handling | Self::HandlingOld => None,
            Self::Writing | Self::Refusing => Some(limits.write),
            Self::Idle => Some(limits.keep_alive),
        }
    }
}

/// The phase of one connection, and how often it has changed.
///
/// The task that drives the connection reads it after each poll. All writers run inside that poll,
/// so no memory ordering is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    const PHASES: [Phase; 8] = [
        Phase::Fresh,
        Phase::Head,
        Phase::Receiving,
        Phase::Handling,
        Phase::HandlingOld,
        Phase::Writing,
        Phase::Refusing,
        Phase::Idle,
    ];

    /// The current phase, and a number that no other stay in any phase of this connection has.
    pub(super) fn get(&self) -> (Phase, u64) {
        let value = self.0.load(Ordering::Relaxed);
        (Self::PHASES[(value & 7) as usize], value)
    }

    /// Enters a phase.
    pub(super) fn enter(&self, phase: Phase) {
        let changes = (self.0.load(Ordering::Relaxed) >> 3) + 1;
        self.0.store(changes << 3 | phase as u64, Ordering::Relaxed);
    }
}

/// A stream that notes what passes through it, and looks after the client while a handler runs.
pub(super) struct Watched<S> {
    stream: S,
    progress: Progress,
    client: Client,
    opening: Opening,
}

impl<S> Watched<S> {
    /// `half_closed`: see [`ServerLimits::half_closed`].
    pub(super) fn new(stream: S, progress: Progress, half_closed: bool) -> Self {
        Self { stream, progress, client: Client::new(half_closed), opening: Opening::default() }
    }

    /// What the first bytes look like.
    pub(super) fn opening(&self) -> Opening {
        self.opening
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
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
            self.opening = Opening::of(&buf.filled()[before..]);
        }
        if matches!(phase, Phase::Fresh | Phase::Idle) && is_new {
            self.progress.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes the stream only once all that it has buffered is written, and whenever it is
    /// polled.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        match this.progress.get().0 {
            Phase::Writing => this.progress.enter(Phase::Idle),
            Phase::Handling => this.client.must_be_there(&mut this.stream, true, cx)?,
            Phase::HandlingOld => this.client.must_be_there(&mut this.stream, false, cx)?,
            _ => {}
        }
        Poll::Ready(Ok(()))
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
        let progress = Progress::default();
        assert_eq!(progress.get().0, Phase::Fresh);
        let mut stays = vec![progress.get().1];
        for phase in Progress::PHASES.iter().chain(&Progress::PHASES) {
            progress.enter(*phase);
            assert_eq!(progress.get().0, *phase);
            assert!(!stays.contains(&progress.get().1));
            stays.push(progress.get().1);
        }
    }
}
