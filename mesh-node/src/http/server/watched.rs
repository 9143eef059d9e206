//! What a connection is doing, seen from its socket, so that each doing has its own time limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::ServerLimits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Open, and not a byte read yet.
    Fresh,
    /// Reading the headers of a request.
    Head,
    /// Reading a body or running the handler; the former is timed where it is done.
    Handling,
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
            Self::Handling => None,
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
    const PHASES: [Phase; 6] =
        [Phase::Fresh, Phase::Head, Phase::Handling, Phase::Writing, Phase::Refusing, Phase::Idle];

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

/// A stream that notes what passes through it.
pub(super) struct Watched<S> {
    stream: S,
    progress: Progress,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, progress: Progress) -> Self {
        Self { stream, progress }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let waiting = matches!(self.progress.get().0, Phase::Fresh | Phase::Idle);
        if waiting && buf.filled().len() > before {
            self.progress.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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

    /// hyper flushes the stream only once all that it has buffered is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.progress.get().0 == Phase::Writing {
            self.progress.enter(Phase::Idle);
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
