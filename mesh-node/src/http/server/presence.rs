//! What a server sees of its client besides requests: which protocol it speaks, and whether it is
//! still connected.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What the first bytes of a connection look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FirstBytes {
    /// Nothing that would have to be said.
    #[default]
    Usual,
    /// A TLS handshake.
    Tls,
    /// HTTP/2 without having asked whether it is spoken.
    Http2,
}

impl FirstBytes {
    /// Judges by the first bytes that come together.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            // The content type of a handshake, and the first half of any version (RFC 8446, 5.1).
            [0x16, 0x03, ..] => Self::Tls,
            bytes if bytes.starts_with(b"PRI * HTTP/2") => Self::Http2,
            _ => Self::Usual,
        }
    }
}

/// Makes a client that has left say so, and means nothing to one that waits.
const ASK: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// From the first question to the second: a machine on the same network has answered by then.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Pauses between questions double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watches whether a client is still connected while its request is handled.
pub(super) struct ClientPresence {
    may_half_close: bool,
    /// The first byte of its next request, if looking has read one. From then on nothing more is
    /// read, so a client that leaves is not noticed until its answer is written.
    ahead: Option<u8>,
    /// Its sending half is closed.
    asking: Option<Asking>,
}

/// What is made of a client that has closed its sending half, where that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HalfClosed {
    /// It is asked whether it is there.
    Ask,
    /// It waits for its answer.
    Waits,
    /// It has left.
    HasLeft,
}

struct Asking {
    next: Pin<Box<Sleep>>,
    pause: Duration,
}

impl ClientPresence {
    pub(super) fn new(may_half_close: bool) -> Self {
        Self { may_half_close, ahead: None, asking: None }
    }

    /// The byte that was read by looking: the first one of the next read.
    pub(super) fn take_ahead(&mut self) -> Option<u8> {
        self.ahead.take()
    }

    /// Looks whether the client has left, and wakes the task when it is time to look again. To be
    /// called when nothing is left to write.
    ///
    /// # Errors
    /// If it has left.
    pub(super) fn must_be_there<S>(
        &mut self,
        stream: &mut S,
        half_closed: HalfClosed,
        cx: &mut Context<'_>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.ahead.is_none() && self.asking.is_none() {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer)? {
                Poll::Pending => {}
                Poll::Ready(()) if !buffer.filled().is_empty() => self.ahead = Some(byte[0]),
                Poll::Ready(()) if !self.may_half_close => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Poll::Ready(()) => {
                    let next = Box::pin(sleep(Duration::ZERO));
                    self.asking = Some(Asking { next, pause: FIRST_PAUSE });
                }
            }
        }
        match (&mut self.asking, half_closed) {
            (Some(asking), HalfClosed::Ask) => match asking.poll(stream, cx) {
                Poll::Ready(Err(error)) => Err(error),
                _ => Ok(()),
            },
            (Some(_), HalfClosed::HasLeft) => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }
}

impl Asking {
    /// Asks when it is time to. Never ready but with an error.
    fn poll<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            ready!(self.next.as_mut().poll(cx));
            // The stream has taken all before, so there is room for so few bytes, or it is broken.
            match Pin::new(&mut *stream).poll_write(cx, ASK)? {
                Poll::Ready(length) if length == ASK.len() => {}
                _ => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            }
            self.next.set(sleep(self.pause));
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_known_by_their_first_bytes() {
        assert_eq!(FirstBytes::of(b"\x16\x03\x01\x02\0\x01"), FirstBytes::Tls);
        assert_eq!(FirstBytes::of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), FirstBytes::Http2);
        for usual in [&b""[..], b"GET / HTTP/1.1", b"PRINT / HTTP/1.1", b"\x16", b"{}"] {
            assert_eq!(FirstBytes::of(usual), FirstBytes::Usual);
        }
    }
}
