//! The stream of a client that speaks TLS, or should.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::chain::names_of;
use super::identity::{HANDSHAKE, TlsIdentity};
use crate::net::StreamPeer;

/// The first byte of every TLS connection: the content type of a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// The answer to a client that speaks plain HTTP.
const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n\
                          content-length: 83\r\nconnection: close\r\n\r\n\
                          {\"error\":\"this port speaks TLS: use https:// in the address \
                          (with mesh: --tls-ca)\"}";

/// A stream whose handshake is done by whoever reads from it first, which is the task of the
/// connection: so a slow client holds up nobody else.
pub(in crate::net) struct ServerTlsStream {
    state: HandshakeState,
    pub(in crate::net) peer: StreamPeer,
}

type Handshake = dyn Future<Output = io::Result<Box<TlsStream<TcpStream>>>> + Send;

enum HandshakeState {
    Shaking(Pin<Box<Handshake>>),
    Open(Box<TlsStream<TcpStream>>),
    /// The handshake has failed: the stream has no bytes, and takes none.
    Failed,
}

impl ServerTlsStream {
    pub(super) fn new(identity: Arc<TlsIdentity>, stream: TcpStream, peer: StreamPeer) -> Self {
        let shaking = Box::pin(handshake(identity, stream, peer.clone()));
        Self { state: HandshakeState::Shaking(shaking), peer }
    }

    /// The stream inside, once the handshake is done. `None` if it has failed.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<Pin<&mut TlsStream<TcpStream>>>> {
        if let HandshakeState::Shaking(handshake) = &mut self.state {
            self.state = match ready!(handshake.as_mut().poll(cx)) {
                Ok(stream) => HandshakeState::Open(stream),
                Err(_) => HandshakeState::Failed,
            };
        }
        Poll::Ready(match &mut self.state {
            HandshakeState::Open(stream) => Some(Pin::new(&mut **stream)),
            _ => None,
        })
    }
}

/// Does the handshake, in a limited time and number.
async fn handshake(
    identity: Arc<TlsIdentity>,
    stream: TcpStream,
    peer: StreamPeer,
) -> io::Result<Box<TlsStream<TcpStream>>> {
    let client = stream.peer_addr().ok();
    let shaken = timeout(HANDSHAKE, shake(&identity, stream, &peer)).await;
    let shaken = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match &shaken {
        Ok(_) => identity.count_handshake(client, None),
        // A port scanner, or a load balancer that looks whether the port is open.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => identity.count_handshake(client, Some(&error.to_string())),
    }
    shaken
}

async fn shake(
    identity: &TlsIdentity,
    mut stream: TcpStream,
    peer: &StreamPeer,
) -> io::Result<Box<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first != [TLS_HANDSHAKE] {
        refuse_plain(&mut stream).await?;
        return Err(io::Error::other("it speaks no TLS"));
    }
    let _turn = identity.turns().wait(stream.peer_addr()?.ip()).await;
    // All of the configuration is taken anew for each stream: authorities and lists of revoked
    // certificates are parts of it.
    let config = identity.configs().server.clone();
    let config = config.ok_or_else(|| io::Error::other("there is no own certificate"))?;
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let names = shown.map(|shown| names_of(shown, None)).transpose().map_err(io::Error::other)?;
    peer.has_shown(names);
    Ok(Box::new(stream))
}

/// Answers a client that speaks no TLS, and reads what it still sends, because a socket that is
/// closed with unread bytes is reset, and the reset may overtake the answer.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    const MOST_BYTES: u64 = 1 << 16;
    stream.write_all(PLAIN_HTTP.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

impl AsyncRead for ServerTlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.poll_open(cx)) {
            Some(stream) => stream.poll_read(cx, buf),
            // The end of the stream: whoever reads from it has nothing to answer.
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for ServerTlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_open(cx)) {
            Some(stream) => stream.poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_open(cx)) {
            Some(stream) => stream.poll_write_vectored(cx, bufs),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            HandshakeState::Open(stream) => Pin::new(&mut **stream).poll_flush(cx),
            // Nothing was written.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            HandshakeState::Open(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_that_it_says() {
        let (head, body) = PLAIN_HTTP.split_once("\r\n\r\n").expect("a body");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
