//! A stream of the operating system, with TLS or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::StreamPeer;
#[cfg(feature = "tls")]
use super::tls::ServerTlsStream;

/// A stream of a [`GuardedNet`](super::GuardedNet).
pub struct GuardedStream(pub(super) Inner);

/// What a [`GuardedStream`] is made of.
pub(super) enum Inner {
    /// Without TLS.
    Plain(TcpStream),
    /// This end has opened it.
    #[cfg(feature = "tls")]
    Opened(Box<tokio_rustls::client::TlsStream<TcpStream>>, StreamPeer),
    /// The other end has opened it.
    #[cfg(feature = "tls")]
    Accepted(ServerTlsStream),
}

/// Hands a poll to the stream inside.
macro_rules! inner {
    ($self:expr, $stream:ident => $poll:expr) => {
        match &mut $self.get_mut().0 {
            Inner::Plain($stream) => {
                let $stream = Pin::new($stream);
                $poll
            }
            #[cfg(feature = "tls")]
            Inner::Opened($stream, _) => {
                let $stream = Pin::new(&mut **$stream);
                $poll
            }
            #[cfg(feature = "tls")]
            Inner::Accepted($stream) => {
                let $stream = Pin::new($stream);
                $poll
            }
        }
    };
}

impl GuardedStream {
    /// What is known of the other end.
    pub(super) fn peer(&self) -> StreamPeer {
        match &self.0 {
            Inner::Plain(_) => StreamPeer::default(),
            #[cfg(feature = "tls")]
            Inner::Opened(_, peer) => peer.clone(),
            #[cfg(feature = "tls")]
            Inner::Accepted(stream) => stream.peer.clone(),
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_shutdown(cx))
    }
}
