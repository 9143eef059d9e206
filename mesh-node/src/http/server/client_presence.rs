//! What a server sees of a client besides its requests: which protocol it speaks, and whether it is
//! still connected.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Which protocol the first bytes of a connection belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FirstBytes {
    /// HTTP/1, or something unknown that hyper answers with 400.
    #[default]
    Usual,
    /// A TLS handshake.
    Tls,
    /// HTTP/2, begun without asking whether the server speaks it.
    Http2,
}

impl FirstBytes {
    /// Judges by the bytes of the first read.
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            // The content type of a handshake, and the first byte of any version (RFC 8446, 5.1).
            [0x16, 0x03, ..] => Self::Tls,
            bytes if bytes.starts_with(b"PRI * HTTP/2") => Self::Http2,
            _ => Self::Usual,
        }
    }
}

/// Asks a client whether it is there. One that waits skips these bytes; the socket of one that has
/// left answers with a reset, which the server sees.
const PRESENCE_QUESTION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The pause from the first question to the second one. By then, a machine on the same network has
/// answered.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Pauses between questions double up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watches whether a client is still connected while its request is handled.
pub(super) struct ClientPresence {
    may_half_close: bool,
    /// The first byte of the client's next request, if looking has read one. From then on nothing
    /// more is read, so if the client leaves, that is noticed only when its answer is written.
    read_ahead: Option<u8>,
    /// Set once the client has closed its sending half: the questions to it.
    asking: Option<Asking>,
}

/// What to make of a client that has closed its sending half, where clients may do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HalfClosed {
    /// Ask it whether it is there.
    Ask,
    /// Take it to wait for its answer.
    Waits,
    /// Take it to have left.
    HasLeft,
}

/// The questions to a client that has closed its sending half: when the next one is due, and the
/// pause after it.
struct Asking {
    next: Pin<Box<Sleep>>,
    pause: Duration,
}

impl ClientPresence {
    pub(super) fn new(may_half_close: bool) -> Self {
        Self { may_half_close, read_ahead: None, asking: None }
    }

    /// Takes the byte that was read by looking. It belongs before the bytes of the next read.
    pub(super) fn take_read_ahead(&mut self) -> Option<u8> {
        self.read_ahead.take()
    }

    /// Looks whether the client has left, and wakes the task when it is time to look again. Call it
    /// when nothing is left to write.
    ///
    /// # Errors
    /// If the client has left.
    pub(super) fn check_present<S>(
        &mut self,
        stream: &mut S,
        half_closed: HalfClosed,
        cx: &mut Context<'_>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.read_ahead.is_none() && self.asking.is_none() {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer)? {
                Poll::Pending => {}
                Poll::Ready(()) if !buffer.filled().is_empty() => self.read_ahead = Some(byte[0]),
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
    /// Sends a question whenever one is due. Is ready only with an error.
    fn poll<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            ready!(self.next.as_mut().poll(cx));
            // Everything before has been written, so there is room for so few bytes, or the
            // connection is broken.
            match Pin::new(&mut *stream).poll_write(cx, PRESENCE_QUESTION)? {
                Poll::Ready(length) if length == PRESENCE_QUESTION.len() => {}
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
