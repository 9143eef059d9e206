//! Where sockets come from: the operating system, or a simulation.

mod guarded;
mod guarded_stream;
mod stream_peer;
#[cfg(feature = "tls")]
mod tls;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

pub use self::guarded::{CallRules, GuardedListener, GuardedNet};
pub use self::guarded_stream::GuardedStream;
pub use self::stream_peer::{LONGEST_TLS_STREAM, StreamPeer};
#[cfg(feature = "tls")]
pub use self::tls::{CertificateFacts, TlsError, TlsFiles, TlsIdentity};

/// A network on which streams can be opened and accepted.
///
/// Everything in this crate that needs sockets is generic over it: [`TokioNet`] is the operating
/// system's TCP, the simulator brings one of its own, and tests use streams in memory.
///
/// [`Net::accept`] must be cancel safe: dropping its future before it is ready loses no connection.
pub trait Net: Clone + Send + Sync + 'static {
    /// A connected stream: bytes arrive in order and none is lost.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A socket that accepts streams. Dropping it refuses new ones.
    type Listener: Send + Sync + 'static;

    /// Listens on `addr` (`ip:port`; port 0 stands for any free one).
    ///
    /// # Errors
    /// If the address is not one of this host, or is taken.
    fn bind(&self, addr: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Waits for the next stream, and says which address opened it.
    ///
    /// # Errors
    /// If this one stream failed, or the host is out of resources. The listener stays usable.
    fn accept(
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address that a listener is bound to, with its real port.
    ///
    /// # Errors
    /// If the operating system does not tell it.
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Opens a stream to `host:port`. May take for ever: the caller needs a timeout of its own.
    ///
    /// # Errors
    /// If the name is unknown, or nobody accepts streams there.
    fn connect(&self, host_port: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// What is known of the other end of a stream. On networks without certificates, that is
    /// nothing.
    fn peer(stream: &Self::Stream) -> StreamPeer {
        let _ = stream;
        StreamPeer::default()
    }

    /// The value of the header field `Authorization` in requests to `host:port`; `None` to send none.
    fn authorization(&self, host_port: &str) -> Option<HeaderValue> {
        let _ = host_port;
        None
    }
}

/// The operating system's TCP, through tokio. Nagle's algorithm is off at both ends, because the
/// traffic is small requests and answers: waiting to fill a packet would only add latency.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

/// How many connections may wait to be accepted. A burst of agents that start together exceeds the
/// usual 128, and each connection beyond waits a second before it tries again.
const BACKLOG: u32 = 4096;

/// How long one address of a name is tried alone before the next one is tried beside it. It is the
/// least that RFC 8305, section 5, recommends, because machines are near and opening a connection
/// to a peer may take only a second in all.
const HEAD_START: Duration = Duration::from_millis(100);

/// Connects to whichever of these addresses answers first. Each address is tried once the one
/// before has failed, or has had its head start, so that a silent address does not use up all the
/// time.
async fn connect_to_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            biased;
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// Listens on one address.
fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As is usual on Unix: a service that restarts does not wait for the end of its old
    // connections.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Net for TokioNet {
    type Stream = TcpStream;
    type Listener = tokio::net::TcpListener;

    async fn bind(&self, addr: &str) -> io::Result<Self::Listener> {
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host(addr).await?.collect();
        // `localhost` is an address of IPv4 and one of IPv6, and most people who write its number
        // write 127.0.0.1.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        for address in addresses {
            match listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn connect(&self, host_port: &str) -> io::Result<Self::Stream> {
        let addresses = tokio::net::lookup_host(host_port).await?.collect();
        let stream = connect_to_first(addresses).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that neither takes nor refuses connections for as long as these sockets live.
    async fn silent() -> (SocketAddr, Vec<impl Sized>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut open = Vec::new();
        // Until the backlog is full and the kernel ignores further attempts.
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await
        {
            open.push((stream, None));
        }
        let (last, _) = open.pop().expect("room for one");
        open.push((last, Some(listener)));
        (address, open)
    }

    #[tokio::test]
    async fn a_dead_address_of_a_name_does_not_stand_before_a_live_one() {
        let live = TokioNet.bind("127.0.0.1:0").await.expect("a port");
        let live = live.local_addr().map(|address| (live, address)).expect("an address");
        let gone = TokioNet.bind("127.0.0.1:0").await.expect("a port").local_addr();
        let gone = gone.expect("an address");
        let (silent, _open) = silent().await;
        let stream = connect_to_first(vec![gone, silent, live.1]).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), live.1);
        let error = connect_to_first(vec![gone]).await.expect_err("nobody there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_to_first(vec![]).await.expect_err("no address");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
